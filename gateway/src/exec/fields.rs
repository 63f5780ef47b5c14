//! The fields of an ExecReq, each validated, with the bounds on their numbers and lengths.
//!
//! Errors are [`Refusal::Failed`] with `InvalidArgument` for what is no proper request at all, and
//! [`Refusal::Impossible`] for a compile that is none of ours; both name the field.

use std::collections::HashMap;
use std::ops::Range;

use bytes::Bytes;
use bytestring::ByteString;
use goma_common::FileKey;

use super::job::{Input, Output, ToolFile, ToolKind};
use crate::command::{self, Reading, Token};
use crate::paths::{AbsPath, BadPath, Paths, Walked, is_too_long};
use crate::posted::PostedInput;
use crate::refusal::{Refusal, impossible};
use crate::windows_path::WindowsDir;
use crate::worker::Sha256;

/// Inputs of one compile. The largest seen has 564; the bound is there for those who try.
const MAX_INPUTS: usize = 200_000;
/// Bytes of their paths together, 300 for each of so many: of names of a byte in a directory of 4,096 they
/// would be a thousand times what was sent.
const MAX_INPUT_PATHS: usize = 64 << 20;
/// Outputs of one compile. An object, its dependencies, its notes and all of `-save-temps` are a
/// dozen; each may take up room in the answer.
const MAX_OUTPUTS: usize = 100;
/// Arguments, and bytes of them: what Linux lets a program have. Variables likewise.
const MAX_ARGS: usize = 100_000;
const MAX_ARG_BYTES: usize = 2 << 20;
/// Files of a compiler; those of the largest seen are some two thousand.
const MAX_TOOL_FILES: usize = 20_000;
/// Compilers that are as good as one.
const MAX_EQUIVALENT: usize = 100;
/// Platform properties of one compile; workers are told apart by a handful.
pub(super) const MAX_PROPERTIES: usize = 100;
/// Directories that paths name, each as often as the path before it did not; and bytes of those that
/// are entered and left again. A name of two bytes a directory becomes a thousand times its size.
const MAX_DIRS: usize = 250_000;
const MAX_THROUGH: usize = 8 << 20;

/// The directory in which a client reads names, POSIX or Windows.
pub(super) struct Here<'a> {
    pub(super) cwd: &'a AbsPath,
    pub(super) windows: Option<&'a WindowsDir>,
}

impl Here<'_> {
    /// Follows a name as the client does.
    pub(super) fn walk(&self, name: &str) -> Result<Walked, BadPath> {
        match self.windows {
            None => self.cwd.walk(name),
            Some(dir) => dir.walk(name),
        }
    }

    /// The same among others: where the path stands there, and what it leads through.
    fn walk_in(
        &self,
        paths: &mut Paths,
        name: &str,
    ) -> Result<(Range<usize>, Vec<AbsPath>), BadPath> {
        match self.windows {
            None => paths.walk(self.cwd, name),
            Some(dir) => dir.walk(name).map(|Walked { path, through }| (paths.add(&path), through)),
        }
    }
}

pub(super) fn invalid<T>(why: impl Into<String>) -> Result<T, Refusal> {
    let code = goma_common::Code::InvalidArgument;
    Err(Refusal::Failed(goma_common::Error::new(code, why).context("ExecReq")))
}

pub(super) fn path<T, E: std::fmt::Display>(
    what: &str,
    path: Result<T, E>,
    text: &str,
) -> Result<T, Refusal> {
    if is_too_long(text, 0, 0) {
        return too_long(what, text);
    }
    path.or_else(|error| impossible(format!("{what} {text:?} {error}")))
}

fn too_long<T>(what: &str, text: &str) -> Result<T, Refusal> {
    let start: String = text.chars().take(100).collect();
    impossible(format!("{what} {start:?}... {}", BadPath::TooLong))
}

/// What the paths of a compile take up when they are walked and laid out.
#[derive(Default)]
struct Room {
    dirs: usize,
    through: usize,
}

impl Room {
    /// Adds a path, of which the last one holds so many bytes too.
    fn add(&mut self, path: &str, shared: usize) {
        self.dirs += path.as_bytes()[shared..].iter().filter(|byte| **byte == b'/').count();
    }

    /// Adds what a path leads through, and says when that is too much.
    fn through(&mut self, dirs: &[AbsPath]) -> Result<(), Refusal> {
        for dir in dirs {
            self.add(dir.as_str(), 0);
            // With what holds it.
            self.through += dir.as_str().len() + 64;
        }
        if self.dirs > MAX_DIRS || self.through > MAX_THROUGH {
            return impossible(
                "the paths lead through more directories than can be laid out: name files without `..`",
            );
        }
        Ok(())
    }
}

/// Looks at the paths on a command line and in lists of directories, which nobody walks that are too
/// long: what a worker finds by them must be known.
pub(super) fn named(
    cwd: &AbsPath,
    reading: &Reading,
    tokens: &[Token],
    env: &[(String, String)],
) -> Result<(), Refusal> {
    let mut room = Room::default();
    let mut look = |text: &str| {
        if is_too_long(text, 0, 0) {
            return too_long("argument", text);
        }
        // Most have no way up in their middle.
        match text.find("/..").and_then(|_| cwd.walk(text).ok()) {
            Some(walked) => room.through(&walked.through),
            None => Ok(()),
        }
    };
    for token in tokens {
        match token.handed_on(reading.table()) {
            Some((_, inner)) => {
                inner.iter().flat_map(Token::paths).try_for_each(&mut look)?;
            }
            None => token.paths().try_for_each(&mut look)?,
        }
    }
    for (name, list) in env.iter().filter(|(name, _)| command::is_list(name)) {
        command::each_of(name, list).try_for_each(&mut look)?;
    }
    Ok(())
}

pub(super) fn sha256(what: &str, hex: &str) -> Result<Sha256, Refusal> {
    match FileKey::parse(hex) {
        Ok(key) => Ok(key.0),
        Err(_) => impossible(format!("{what} {hex:?} is no SHA-256")),
    }
}

/// Those that are none stand for nothing.
pub(super) fn equivalent(hashes: &[bytes::Bytes]) -> Vec<Sha256> {
    let hashes = hashes.iter().take(MAX_EQUIVALENT).map(|hash| String::from_utf8_lossy(hash));
    hashes.filter_map(|hash| FileKey::parse(&hash).ok()).map(|key| key.0).collect()
}

/// Without the first, which is the compiler's name.
pub(super) fn arguments(args: Vec<String>) -> Result<Vec<String>, Refusal> {
    let bytes: usize = args.iter().map(String::len).sum();
    if args.len() > MAX_ARGS || bytes > MAX_ARG_BYTES {
        return impossible(format!("{} arguments of {bytes} bytes are too many", args.len()));
    }
    if args.iter().any(|arg| arg.contains('\0')) {
        return impossible("an argument holds a zero byte");
    }
    Ok(args.into_iter().skip(1).collect())
}

/// Sorted, the last of equal names: what a process would see.
pub(super) fn environment(env: &[String]) -> Result<Vec<(String, String)>, Refusal> {
    let bytes: usize = env.iter().map(String::len).sum();
    if env.len() > MAX_ARGS || bytes > MAX_ARG_BYTES {
        return impossible(format!("{} variables of {bytes} bytes are too many", env.len()));
    }
    let variables: HashMap<&str, &str> =
        env.iter().filter_map(|pair| pair.split_once('=')).collect();
    let mut env: Vec<_> =
        variables.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    env.retain(|(name, value)| !name.is_empty() && !name.contains('\0') && !value.contains('\0'));
    env.sort_unstable();
    Ok(env)
}

/// What is posted holds on to the body for as long as the names are needed.
pub(super) fn inputs(here: &Here<'_>, inputs: Vec<PostedInput>) -> Result<Vec<Input>, Refusal> {
    if inputs.len() > MAX_INPUTS {
        return invalid(format!("{} inputs; {MAX_INPUTS} at most", inputs.len()));
    }
    let mut validated: Vec<Input> = Vec::with_capacity(inputs.len());
    let mut places: Vec<Range<usize>> = Vec::with_capacity(inputs.len());
    let names = inputs.iter().map(|input| input.name.as_ref().map_or(0, Bytes::len));
    let below = here.cwd.as_str().len() + 1;
    let mut paths = Paths::with_room_for(names.map(|name| name + below).sum());
    let mut room = Room::default();
    for input in inputs {
        let Ok(name) = ByteString::try_from(input.name.unwrap_or_default()) else {
            return invalid("the filename of an input is not UTF-8");
        };
        let (place, through) = path("input", here.walk_in(&mut paths, &name), &name)?;
        if paths.len() > MAX_INPUT_PATHS {
            return impossible(format!(
                "the paths of the inputs have more than {MAX_INPUT_PATHS} bytes: compile in a directory with a \
                 shorter name"
            ));
        }
        let last = places.last().map_or("", |last| paths.at(last));
        room.add(paths.at(&place), shared(last, paths.at(&place)));
        room.through(&through)?;
        places.push(place);
        let Some(key) = input.hash_key else {
            return invalid(format!("input {name:?} has no hash_key"));
        };
        let Some(key) = FileKey::of_digits(&key) else {
            let key = String::from_utf8_lossy(&key);
            return impossible(format!("hash_key {key:?} of input {name:?} is no SHA-256"));
        };
        let (path, contents) = (AbsPath::root(), input.content);
        validated.push(Input { name, path, through, key, contents });
    }
    for (input, path) in validated.iter_mut().zip(paths.into_paths(places)) {
        input.path = path;
    }
    Ok(validated)
}

/// Bytes with which both begin.
fn shared(one: &str, other: &str) -> usize {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    // Most of a path is that of the one before: sixteen bytes at a time.
    let (many, of_other) = (one.as_chunks::<16>().0, other.as_chunks::<16>().0);
    let start = 16 * many.iter().zip(of_other).take_while(|(one, other)| one == other).count();
    let rest = one[start..].iter().zip(&other[start..]);
    start + rest.take_while(|(one, other)| one == other).count()
}

pub(super) fn outputs(here: &Here<'_>, names: Vec<String>) -> Result<Vec<Output>, Refusal> {
    if names.len() > MAX_OUTPUTS {
        return impossible(format!("{} outputs; {MAX_OUTPUTS} at most", names.len()));
    }
    let outputs = names.into_iter().map(|name| {
        let path = path("output", here.walk(&name), &name)?.path;
        if path.is_system() {
            return impossible(format!("output {name:?} is in a system directory"));
        }
        if here.cwd.is_within(&path) {
            return impossible(format!(
                "output {name:?} is the directory of the compile, or above"
            ));
        }
        Ok(Output { name, path })
    });
    outputs.collect()
}

pub(super) fn tool_files(
    here: &Here<'_>,
    specs: Vec<goma_proto::api::ToolchainSpec>,
) -> Result<Vec<ToolFile>, Refusal> {
    if specs.len() > MAX_TOOL_FILES {
        return impossible(format!(
            "{} files of the compiler; {MAX_TOOL_FILES} at most",
            specs.len()
        ));
    }
    let files = specs.into_iter().map(|spec| {
        let name = spec.path.unwrap_or_default();
        let path = path("toolchain file", here.walk(&name), &name)?.path;
        let kind = match spec.symlink_path.filter(|target| !target.is_empty()) {
            Some(target) if is_too_long(&target, 0, 0) => {
                return too_long("target of a toolchain link", &target);
            }
            Some(target) => ToolKind::Symlink { target },
            None => ToolKind::File {
                hash: sha256("hash of a toolchain file", &spec.hash.unwrap_or_default())?,
                size: u64::try_from(spec.size.unwrap_or(0)).unwrap_or(0),
                executable: spec.is_executable.unwrap_or(false),
            },
        };
        Ok(ToolFile { path, kind })
    });
    files.collect()
}

#[cfg(test)]
mod tests {
    use super::super::job::Job;
    use super::super::testing::request;
    use super::*;
    use crate::command::Flags;
    use crate::identity::Caller;
    use crate::posted::Posted;

    fn parse(line: &str, inputs: &[String], env: &[String]) -> Result<Job, Refusal> {
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        let mut request = request(line, &inputs);
        request.env = env.to_vec();
        Job::parse(request.into(), &Caller::default(), &Flags::default())
    }

    #[track_caller]
    fn refused(job: &Result<Job, Refusal>, words: &str) {
        assert!(
            matches!(job, Err(Refusal::Impossible(why)) if why.contains(words) && why.len() < 300),
            "{words}"
        );
    }

    #[test]
    fn no_path_of_a_command_line_is_longer_than_one_may_be() {
        let deep = "a/".repeat(200_000) + &"../".repeat(200_000) + "x";
        for line in [
            format!("gcc -I {deep} -c a.c"),
            format!("gcc -Wp,-I{deep} -c a.c"),
            format!("gcc -unheard/{deep} -c a.c"),
            format!("clang -mllvm -x=/{deep} -c a.c"),
            format!("javac -cp a:{deep} A.java"),
            format!("gcc -c {deep}"),
            format!("gcc -I/usr/{} -c a.c", "include/../".repeat(200)),
        ] {
            refused(&parse(&line, &[], &[]), "longer than a path may be");
        }
        refused(
            &parse("gcc -c a.c", &[], &[format!("CPATH=x:{deep}")]),
            "longer than a path may be",
        );
        assert!(parse(&format!("gcc -DX={deep} -c a.c"), &[], &[]).is_ok());
    }

    #[test]
    fn short_names_in_a_long_directory_have_a_bound() {
        let within = |count| {
            let names: Vec<String> = (0..count).map(|at| format!("{at}")).collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let mut request = request("gcc -c a.c", &names);
            request.cwd = Some(format!("/home/{}", "d".repeat(4000)));
            Job::parse(request.into(), &Caller::default(), &Flags::default())
        };
        refused(&within(20_000), "the paths of the inputs have more than");
        assert!(within(1000).is_ok());
    }

    #[test]
    fn a_name_that_is_no_text_is_refused() {
        let mut posted = Posted::from(request("gcc -c a.c", &["a.c"]));
        posted.inputs[0].name = Some(Bytes::from_static(b"\xff.c"));
        let job = Job::parse(posted, &Caller::default(), &Flags::default());
        assert!(
            matches!(&job, Err(Refusal::Failed(error)) if error.message.contains("not UTF-8")),
            "{job:?}"
        );
    }

    #[test]
    fn paths_share_what_both_begin_with() {
        let long = "/src/include/a-library/with/a/long/name.h";
        for at in 0..=long.len() {
            for other in [format!("{}?{}", &long[..at], &long[at..]), long[..at].to_owned()] {
                assert_eq!((shared(long, &other), shared(&other, long)), (at, at), "{other}");
            }
        }
    }

    #[test]
    fn what_names_lead_through_has_a_bound() {
        let twist = format!("{}/../", "d".repeat(20)).repeat(120);
        let twisted = |count| (0..count).map(|at| format!("{twist}{at}.h")).collect::<Vec<_>>();
        let words = "more directories than can be laid out";
        refused(&parse("gcc -c a.c", &twisted(2000), &[]), words);
        assert!(parse("gcc -c a.c", &twisted(10), &[]).is_ok());
        let flags: Vec<String> = twisted(700).iter().map(|name| format!("-I{name}")).collect();
        refused(&parse(&format!("gcc {} -c a.c", flags.join(" ")), &[], &[]), words);
        let deep = "d/".repeat(200);
        let deep: Vec<String> = (0..1500).map(|at| format!("{at}/{deep}x.h")).collect();
        refused(&parse("gcc -c a.c", &deep, &[]), words);
        // As large as any that was seen.
        let usual: Vec<String> = (0..20_000)
            .map(|at| format!("../gen/{}/../include/{}/{at}.h", at % 7, at % 100))
            .collect();
        assert!(parse("gcc -c a.c", &usual, &[]).is_ok());
    }
}
