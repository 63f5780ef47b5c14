//! What a gateway reads of others, for the targets of `fuzz/`: a plain function a decoder, which panics
//! where what must always hold does not. Built by cargo-fuzz alone.

use goma_common::remote_args::RemoteArgs;
use goma_common::{Digest, FileEntry, FileKey};
use goma_proto::api::FileBlob;
use prost::Message;

use crate::command::{self, Family, Flags, Relocation};
use crate::file_blob;
use crate::paths::{AbsPath, BadPath};
use crate::platforms::{ExecConfig, entry};
use crate::text_form::is_text_proto;
use crate::windows_path::WindowsDir;

pub use crate::exec::fuzzing::{compile, exec_request};
pub use crate::http::fuzzing::body;
pub use crate::identity::fuzzing::{access_list, bearer_token, issuer_answer, token_file};
pub use crate::peer::fuzzing::{client_certificate, forwarded, proxy_header};

/// A FileBlob as it comes over the wire: made again of what was understood, it has the same key, which is
/// the hash of its bytes.
pub fn file_blob(message: &[u8]) {
    let Ok(blob) = FileBlob::decode(message) else { return };
    let Ok(verified) = file_blob::verify(&blob) else { return };
    let size = u64::try_from(blob.file_size.unwrap_or(0)).expect("it was verified");
    let contents = verified.contents.clone();
    assert!(contents.as_ref().is_none_or(|(_, contents)| contents.len() as u64 == size));
    let again = match &verified.entry {
        FileEntry::File(digest) => {
            let (named, contents) = contents.expect("a file has contents");
            assert_eq!((named, Digest::of(&contents)), (*digest, *digest));
            file_blob::file(contents)
        }
        FileEntry::Chunk { view, offset } => {
            let (named, contents) = contents.expect("a chunk has contents");
            assert!(view.is_whole() && view.digest == named && Digest::of(&contents) == named);
            file_blob::chunk(*offset, contents, size)
        }
        FileEntry::Manifest { size: told, chunks, whole } => {
            assert!(contents.is_none() && whole.is_none() && *told == size);
            file_blob::manifest(size, chunks)
        }
    };
    let bytes = again.encode_to_vec();
    assert_eq!(FileKey(Digest::of(&bytes).hash), verified.key);
    let verified_again = file_blob::verify(&again).expect("as before");
    assert_eq!((verified_again.key, verified_again.entry), (verified.key, verified.entry));
    assert_eq!(FileKey::parse(&verified.key.hex()).ok(), Some(verified.key));
}

/// A command line, an argument on each line: read and written it is the same, and no other flag makes a
/// compile that is tied to its directory one that may run anywhere.
pub fn command_line(text: &str) {
    ["gcc", "clang++", "clang-cl"].iter().for_each(|compiler| command_line_of(compiler, text));
}

fn command_line_of(compiler: &str, text: &str) {
    let args: Vec<String> = text.lines().map(ToOwned::to_owned).collect();
    let reading = Flags::default().reading(Family::of(compiler));
    let tokens = reading.parse(&args);
    assert_eq!(command::render(&tokens), args);
    for family in Family::WITH_TABLES {
        let read = Flags::default().reading(family).parse(&args);
        assert_eq!(command::render(&read), args, "{family:?}");
    }
    for token in &tokens {
        if let Some((to, inner)) = token.handed_on(reading.table()) {
            let list = command::render(&inner).join(",");
            assert_eq!(command::render(std::slice::from_ref(token)), [format!("{to}{list}")]);
        }
        token.glued_paths().for_each(|path| is_clean(&path));
    }
    let env: Vec<(String, String)> = text
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let alone = command::relocation(&reading, &tokens, &[]);
    let all = command::relocation(&reading, &tokens, &env);
    assert!(all != Relocation::Relocatable || alone == all, "variables only tie down");
    let users = ["/home/u/a.c".to_owned()];
    let more = [reading.parse(&users), tokens.clone()].concat();
    assert_ne!(command::relocation(&reading, &more, &[]), Relocation::Relocatable);
    command::is_cxx(compiler, &tokens);
    command::recording_flag(reading.family, &tokens);
    let builtin = ["/usr/include/c++/12", "/usr/include"].map(ToOwned::to_owned);
    let dirs = command::include_dirs(reading.table(), &tokens, &env, &builtin);
    let is_told = |dir: &String| builtin.contains(dir) || args.iter().any(|arg| arg.contains(dir));
    // Those of unknown flags are cleaned.
    let clean = !text.contains("//")
        && !text.contains("sysroot")
        && !text.contains("/.")
        && !text.contains(
            "/
",
        );
    assert!(!clean || text.ends_with('/') || dirs.iter().all(is_told), "{dirs:?}");
    if let Some(name) = command::dependency_file(reading.table(), &tokens) {
        assert!(text.contains("-MD") || text.contains("-MMD"), "{name}");
    }
}

/// A file of platforms and backends: what is secret in it is not shown.
pub fn platform_file(text: &str) {
    const SECRET: &str = "hunter2";
    let secrets = text.matches("remote-header = \"hunter2").count();
    // The original's form has no place for one, and its mistakes are shown.
    let is_secret = secrets == text.matches(SECRET).count() && !is_text_proto(text);
    let told = |why: String| assert!(!is_secret || !why.contains(SECRET), "{why}");
    match ExecConfig::parse(text) {
        Err(why) => told(why),
        Ok(config) => {
            let named = |name: &String| config.backends.contains_key(name);
            assert!(config.platforms.iter().all(|it| it.backend.as_ref().is_none_or(named)));
            for (name, table) in &config.backends {
                let read = entry::<RemoteArgs>(name, table);
                if let Err(error) = read.and_then(|remote| remote.config().map(drop)) {
                    told(error.message);
                }
            }
        }
    }
}

/// A directory and a name, each on a line of its own: walking agrees with the obvious way to do it, and
/// a relative path leads where it was made to lead. On Windows the way of a name leads where it does.
pub fn path(text: &str) {
    let (dir, name) = text.split_once('\n').unwrap_or(("/", text));
    if let Ok(here) = WindowsDir::parse(dir) {
        windows_path(&here, name);
    }
    let Ok(dir) = AbsPath::parse(dir) else { return };
    is_clean(&dir);
    let walked = dir.walk(name);
    if walked == Err(BadPath::TooLong) {
        return;
    }
    assert_eq!(
        walked.as_ref().map(|walked| walked.path.as_str()).ok(),
        plain_walk(&dir, name).as_deref()
    );
    let walked = match walked {
        Ok(walked) => walked,
        Err(error) => {
            assert_ne!(error, BadPath::NotAbsolute, "only a text by itself has to be absolute");
            return;
        }
    };
    let path = walked.path;
    is_clean(&path);
    for through in &walked.through {
        is_clean(through);
        assert!(!dir.is_within(through));
    }
    assert_eq!(AbsPath::parse(path.as_str()).as_ref(), Ok(&path), "clean already");

    let relative = path.relative_to(&dir);
    match dir.walk(&relative) {
        Err(error) => assert_eq!(error, BadPath::TooLong, "{relative:?} leads somewhere"),
        Ok(back) => assert_eq!(back.path, path, "{relative:?} from {dir}"),
    }
    let common = path.common(&dir);
    assert_eq!(common, dir.common(&path));
    assert!(path.is_within(&common) && dir.is_within(&common));
    match path.below(&dir) {
        Some("") => assert_eq!(path, dir),
        Some(below) => assert_eq!(dir.join(below), path),
        None => assert_ne!(common, dir),
    }
    if path != AbsPath::root() {
        let parent = path.parent();
        assert!(path.is_within(&parent) && parent != path);
        assert!(!path.is_system() || parent == AbsPath::root() || parent.is_system());
    }
}

fn windows_path(here: &WindowsDir, name: &str) {
    is_clean(here.path());
    let Ok(walked) = here.walk(name) else {
        assert!(here.way(name).is_err(), "{name:?} leads nowhere");
        return;
    };
    is_clean(&walked.path);
    walked.through.iter().for_each(is_clean);
    assert!(walked.path.as_str().starts_with("/windows/"), "{} is on no drive", walked.path);
    let way = here.way(name).expect("it leads somewhere");
    assert!(!way.starts_with('/') && !way.contains('\\'), "{way}");
    assert_eq!(here.path().walk(&way).map(|walked| walked.path).as_ref(), Ok(&walked.path));
    let told = here.walk(&here.told(&way)).map(|walked| walked.path);
    assert_eq!(told, Ok(walked.path), "{name:?} is told as another");
}

fn is_clean(path: &AbsPath) {
    let parts = path.as_str().strip_prefix('/').expect("absolute");
    let bad = |part: &str| matches!(part, "" | "." | "..") || part.contains('\0');
    assert!(parts.is_empty() || !parts.split('/').any(bad), "{path}");
}

/// Part by part, without a thought of speed.
fn plain_walk(dir: &AbsPath, name: &str) -> Option<String> {
    if name.is_empty() || name.contains('\0') {
        return None;
    }
    let start = if name.starts_with('/') { "" } else { dir.as_str() };
    let mut parts: Vec<&str> = start.split('/').filter(|part| !part.is_empty()).collect();
    for part in name.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(format!("/{}", parts.join("/")))
}
