//! clang-cl, by a client on Linux and by one on Windows: what comes back is what this machine's own
//! compiler makes, byte for byte, or a reason.

mod cases;
mod project;
mod windows;

use cases::{CASES, Case, Except};
use goma_proto::api::{ExecReq, ExecResp};
use project::{Ended, Line, Project, request};

use crate::mode::Mode;
use crate::support::casd::Casd;
use crate::support::goma::{Goma, file};
use crate::support::process::{Program, temp_dir};
use crate::support::requests::with;

/// The end of a compile, as it is told, and the words of a refusal if it is one.
fn told(answer: ExecResp) -> (Ended, Option<String>) {
    assert!(answer.missing_input.is_empty(), "{:?}", answer.missing_input);
    let result = answer.result.unwrap_or_default();
    let made = result.output.iter().map(|output| {
        let contents = output.blob.as_ref().map_or(&[][..], |blob| blob.content());
        (output.filename().to_owned(), contents.to_vec())
    });
    let ended = Ended {
        exit_status: Some(result.exit_status()),
        stdout: result.stdout_buffer().to_vec(),
        stderr: result.stderr_buffer().to_vec(),
        made: made.collect(),
    };
    let refusal = Some(answer.error_message.join("; ")).filter(|told| !told.is_empty());
    (ended, refusal)
}

/// How two ends differ, in words.
fn difference(home: &Ended, remote: &Ended) -> Option<String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if home.exit_status != remote.exit_status {
        let told = text(&remote.stderr);
        return Some(format!("exit {:?}, not {:?}: {told}", remote.exit_status, home.exit_status));
    }
    for (what, ours, theirs) in
        [("stdout", &home.stdout, &remote.stdout), ("stderr", &home.stderr, &remote.stderr)]
    {
        if ours != theirs {
            return Some(format!("{what}\n{}\nnot\n{}", text(theirs), text(ours)));
        }
    }
    if !home.made.keys().eq(remote.made.keys()) {
        return Some(format!("files {:?}, not {:?}", remote.made.keys(), home.made.keys()));
    }
    let other = home.made.iter().find(|(name, made)| remote.made[*name] != **made);
    other.map(|(name, made)| {
        let theirs = &remote.made[name];
        let at = made.iter().zip(theirs).take_while(|(ours, theirs)| ours == theirs).count();
        let around = |bytes: &[u8]| {
            let end = bytes.len().min(at + 80);
            bytes.get(at.saturating_sub(40)..end).unwrap_or_default().escape_ascii().to_string()
        };
        format!("{name} differs at {at}:\n  {}\nnot\n  {}", around(theirs), around(made))
    })
}

/// The words of a file of arguments, as clang reads them where no backslash is in it.
fn words_of(contents: &[u8]) -> Vec<String> {
    let text = match contents {
        [0xff, 0xfe, wide @ ..] => {
            let units: Vec<u16> =
                wide.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
            String::from_utf16(&units).expect("text")
        }
        contents => String::from_utf8(contents.to_vec()).expect("text"),
    };
    let mut words = vec![String::new()];
    let mut quoted = false;
    for letter in text.chars() {
        match letter {
            '"' => quoted = !quoted,
            letter if letter.is_whitespace() && !quoted => words.push(String::new()),
            letter => words.last_mut().expect("one at least").push(letter),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// A case as a request, with all files of the project; by absolute names where its line has some.
fn of_case(project: &Project, case: &Case, line: &Line) -> ExecReq {
    let build = project.path("build").display().to_string();
    let mut request = request(&build, line, case.outputs);
    let dir = match case.line.contains("{abs}") {
        true => project.dir(),
        false => "..".to_owned(),
    };
    for (name, contents) in &project.files {
        request = with(request, &format!("{dir}/{name}"), &file(contents));
    }
    let typed = request.arg.clone();
    request.expanded_arg = typed
        .iter()
        .flat_map(|word| match word.strip_prefix('@') {
            Some(name) => {
                words_of(&std::fs::read(project.path("build").join(name)).expect("a file"))
            }
            None => vec![word.clone()],
        })
        .collect();
    request
}

/// True if all is as at home, false if it was refused as it is to be.
async fn one(goma: Goma, project: &Project, case: &Case, mode: Mode) -> Result<bool, String> {
    let line = Line::of(&case.line.replace("{abs}", &project.dir()));
    let (mut remote, refusal) = told(goma.exec(&of_case(project, case, &line)).await);
    match (case.refusal(mode), refusal) {
        (Some(why), Some(told)) if told.contains(why) => return Ok(false),
        (Some(why), told) => return Err(format!("not refused with {why:?} but {told:?}")),
        (None, Some(told)) => return Err(format!("refused: {told}")),
        (None, None) => {}
    }
    let mut home = project.local("build", &line, case.outputs);
    if home.exit_status != Some(0) {
        home.made.clear();
    }
    if case.except == Except::HoldsTheTime {
        // Four bytes of the header of a COFF object.
        for ended in [&mut home, &mut remote] {
            let object = ended.made.get_mut("a.obj").expect("an object");
            assert_ne!(object[4..8], [0; 4], "no time");
            object[4..8].fill(0);
        }
    }
    difference(&home, &remote).map_or(Ok(true), Err)
}

async fn matrix(goma: Goma, mode: Mode) {
    let project = Project::new();
    let mut wrong = Vec::new();
    let (mut equal, mut refused) = (0, 0);
    for case in CASES {
        match one(goma, &project, case, mode).await {
            Ok(true) => equal += 1,
            Ok(false) => refused += 1,
            Err(why) => wrong.push(format!("{}: {why}", case.name)),
        }
    }
    eprintln!("clang-cl, {mode:?}: {equal} as at home, {refused} refused, {} wrong", wrong.len());
    assert!(wrong.is_empty(), "{mode:?}, {equal} as at home:\n{}", wrong.join("\n"));
    assert!(equal > 40, "{equal}");
}

#[tokio::test]
async fn under_the_clients_own_path() {
    let dir = temp_dir();
    let program = Program::proxy(dir.path(), &[Mode::Property.flag()]).await;
    matrix(Goma { port: program.port }, Mode::Property).await;
}

#[tokio::test]
async fn in_a_directory_that_nobody_knows() {
    let dir = temp_dir();
    let program = Program::proxy(dir.path(), &[Mode::Rewrite.flag(), "--sandbox=off"]).await;
    matrix(Goma { port: program.port }, Mode::Rewrite).await;
}

#[tokio::test]
async fn in_the_root_of_another_backend() {
    let dir = temp_dir();
    let Some(casd) = Casd::start(dir.path(), None).await else { return };
    let remote = format!("--remoteexec-addr=127.0.0.1:{}", casd.port);
    let mode = Mode::Chroot;
    let list = dir.path().join("compilers.toml");
    std::fs::write(&list, "[[compiler]]\nname = \"clang-cl\"\npath = \"/usr/bin/clang\"\n")
        .expect("written");
    let list = format!("--exec-config-file={}", list.display());
    let args = ["--backend-preset=casd", "--insecure-remoteexec", &remote, mode.flag(), &list];
    let program = Program::proxy(dir.path(), &args).await;
    program.ready().await;
    matrix(Goma { port: program.port }, mode).await;
    casd.stop().await;
}
