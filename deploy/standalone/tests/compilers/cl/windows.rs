//! Compiles of clients on Windows: the object is that of the same compile under Linux names, and what
//! is told has the client's.

use std::path::Path;

use goma_proto::api::ExecReq;
use goma_proto::api::RequesterInfo;
use goma_proto::api::requester_info::PathStyle;

use super::project::{Ended, Line, Project, files, own_headers, request};
use super::{difference, told};
use crate::support::goma::{Goma, file};
use crate::support::process::{Program, temp_dir};
use crate::support::requests::{refusal, with};

/// A server that has clang-cl on its list, as a Windows client needs.
async fn server(dir: &Path) -> (Program, Goma) {
    let list = dir.join("compilers.toml");
    std::fs::write(&list, "[[compiler]]\nname = \"clang-cl\"\npath = \"/usr/bin/clang\"\n")
        .expect("written");
    let program = Program::proxy(dir, &[&format!("--exec-config-file={}", list.display())]).await;
    let goma = Goma { port: program.port };
    (program, goma)
}

/// The names of the project's files on Windows, where it is `C:\p`, or from its directory `build`.
fn windows_name(name: &str, absolute: bool) -> String {
    let name = name.replace('/', "\\");
    if absolute { format!("C:\\p\\{name}") } else { format!("..\\{name}") }
}

/// A request by a Windows client; clang's own headers are those that it has on another drive.
fn ask(line: &Line, outputs: &[&str], named: impl Fn(&str) -> String) -> ExecReq {
    let mut asked = request("C:\\p\\build", line, outputs);
    asked.input.clear();
    let spec = asked.command_spec.get_or_insert_default();
    spec.binary_hash = Some("ab".repeat(32).into());
    spec.target = Some("x86_64-pc-windows-msvc".to_owned());
    spec.version = Some("clang version 14.0.6".to_owned());
    spec.local_compiler_path = Some("D:\\LLVM\\bin\\clang-cl.exe".to_owned());
    spec.cxx_system_include_path = vec!["D:\\LLVM\\lib\\clang\\14.0.6\\include".to_owned()];
    asked.requester_info = Some(RequesterInfo {
        path_style: Some(PathStyle::WindowsStyle.into()),
        ..Default::default()
    });
    for (name, contents) in files() {
        asked = with(asked, &named(name), &file(&contents));
    }
    for name in ["stddef.h", "__stddef_max_align_t.h"] {
        let contents = std::fs::read(Path::new(&own_headers()).join(name)).expect("a header");
        asked = with(
            asked,
            &format!("D:\\LLVM\\lib\\clang\\14.0.6\\include\\{name}"),
            &file(&contents),
        );
    }
    asked
}

/// What the same compile makes on this machine, by ways from the directory of the drives. `C:\p` is
/// `c/p` there, and `{up}` in the line is the way from `c/p/build` to it.
fn local(line: &str, outputs: &[&str]) -> Ended {
    let project = Project::under("c/p");
    let own = project.path("../../d/LLVM/lib/clang/14.0.6/include");
    std::fs::create_dir_all(&own).expect("a directory");
    for name in ["stddef.h", "__stddef_max_align_t.h"] {
        std::fs::copy(Path::new(&own_headers()).join(name), own.join(name)).expect("copied");
    }
    let drives = |drive: &str, name: &str| {
        let map = |flag: &str| format!("-Xclang -f{flag}-prefix-map=../../../{drive}={name}:");
        [map("debug"), map("macro")].join(" ")
    };
    // In the order in which a server gives them, which debug information tells.
    let mut maps = vec![];
    if line.contains("{up}c/") {
        maps.push(drives("c", "C"));
    }
    maps.push(drives("d", "D"));
    let line = line.replace("{up}", "../../../").replace("{maps}", &maps.join(" "));
    project.local("build", &Line::of(&line), outputs)
}

const ALWAYS: &str = "--target=x86_64-pc-windows-msvc {dirs}-resource-dir={up}d/LLVM/lib/clang/14.0.6 {maps} /Brepro -fmsc-version=1916";
const DIRS: &str = "-fdebug-compilation-dir=C:\\p\\build -fcoverage-compilation-dir=C:\\p\\build \
                    -Xclang -object-file-name=C:\\p\\build\\a.obj ";

/// A Windows line, the same on Linux, and outputs of both by their Linux names.
const CASES: &[(&str, &str, &[&str])] = &[
    ("/c ..\\src\\a.cc /I..\\inc /Foa.obj", "/c ../src/a.cc /I../inc /Foa.obj", &["a.obj"]),
    ("/c /O2 /W4 -I../inc -- ..\\src\\a.cc", "/c /O2 /W4 -I../inc -- ../src/a.cc", &["a.obj"]),
    (
        "/c /DSDK /I..\\inc /imsvc..\\sdk\\um -imsvc ..\\sdk\\crt ..\\src\\a.cc /Fo..\\out\\b.obj",
        "/c /DSDK /I../inc /imsvc../sdk/um -imsvc ../sdk/crt ../src/a.cc /Fo../out/b.obj",
        &["../out/b.obj"],
    ),
    (
        "/c /DSDK /I..\\inc /imsvcC:\\p\\sdk\\um -imsvc C:/p/sdk/crt ..\\src\\a.cc /FoC:\\p\\out\\b.obj",
        "/c /DSDK /I../inc /imsvc{up}c/p/sdk/um -imsvc {up}c/p/sdk/crt ../src/a.cc /Fo{up}c/p/out/b.obj",
        &["../out/b.obj"],
    ),
    (
        "INCLUDE=..\\sdk\\um;C:\\p\\sdk\\crt /c /DSDK /I..\\inc C:\\p\\src\\a.cc",
        "INCLUDE=../sdk/um;{up}c/p/sdk/crt /c /DSDK /I../inc {up}c/p/src/a.cc",
        &["a.obj"],
    ),
    ("/c /Z7 /I..\\inc ..\\src\\a.cc", "/c /Z7 /I../inc ../src/a.cc", &["a.obj"]),
    (
        "/c /Z7 /DSDK /I\\p\\inc /imsvcC:\\p\\sdk\\um /imsvc..\\sdk\\crt C:\\p\\src\\a.cc",
        "/c /Z7 /DSDK /I{up}c/p/inc /imsvc{up}c/p/sdk/um /imsvc../sdk/crt {up}c/p/src/a.cc",
        &["a.obj"],
    ),
    (
        "/c -gdwarf -ffile-compilation-dir=. /FI..\\inc\\pre.h /I..\\inc ..\\src\\a.cc",
        "/c -gdwarf -ffile-compilation-dir=. /FI../inc/pre.h /I../inc ../src/a.cc",
        &["a.obj"],
    ),
    (
        "/c /TP /I..\\inc /Fo..\\out\\ ..\\src\\b.c",
        "/c /TP /I../inc /Fo../out/ ../src/b.c",
        &["../out/b.obj"],
    ),
];

#[tokio::test]
async fn objects_are_those_of_the_same_compile_under_linux_names() {
    let dir = temp_dir();
    let (_program, goma) = server(dir.path()).await;
    let mut wrong = Vec::new();
    for (windows, linux, outputs) in CASES {
        let dirs = if linux.contains("/Z7") { DIRS } else { "" };
        let always = ALWAYS.replace("{dirs}", dirs);
        let words = Line::of(linux);
        let (variables, rest): (Vec<&str>, Vec<&str>) =
            linux.split(' ').partition(|word| word.starts_with("INCLUDE="));
        assert_eq!(variables.len(), words.variables.len());
        let home = local(&[variables, vec![&always], rest].concat().join(" "), outputs);
        assert_eq!(home.exit_status, Some(0), "{}", String::from_utf8_lossy(&home.stderr));
        let names: Vec<String> = outputs.iter().map(|name| name.replace('/', "\\")).collect();
        let line = Line::of(&format!("{windows} /Brepro -fmsc-version=1916"));
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let asked = ask(&line, &names, |name| windows_name(name, false));
        // Behind our own flags on the server, whose order debug information tells.
        let mut asked = asked;
        asked.arg.splice(1..1, ["/Brepro", "-fmsc-version=1916"].map(ToOwned::to_owned));
        asked.arg.truncate(asked.arg.len() - 2);
        let (mut remote, refused) = told(goma.exec(&asked).await);
        remote.made =
            remote.made.into_iter().map(|(name, made)| (name.replace('\\', "/"), made)).collect();
        // Texts are another test's.
        (remote.stdout, remote.stderr) = (home.stdout.clone(), home.stderr.clone());
        let why = refused.or_else(|| difference(&home, &remote));
        wrong.extend(why.map(|why| format!("{windows}: {why}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn line(words: &str) -> Line {
    Line::of(&format!("-fmsc-version=1916 /Brepro /c {words}"))
}

#[tokio::test]
async fn what_is_told_has_the_clients_names() {
    let dir = temp_dir();
    let (_program, goma) = server(dir.path()).await;
    let words = "/showIncludes /W4 /DSDK /I..\\inc /imsvcC:\\p\\sdk\\um -imsvc ..\\sdk\\crt ..\\src\\a.cc /Z7 \
                 /clang:-MD /clang:-MFa.d";
    let asked = ask(&line(words), &["a.obj", "a.d"], |name| windows_name(name, false));
    let (ended, refused) = told(goma.exec(&asked).await);
    let (stdout, stderr) =
        (String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
    assert_eq!((refused, ended.exit_status), (None, Some(0)), "{stderr}");
    for note in [
        "Note: including file: ..\\inc\\x.h\n",
        "Note: including file: C:\\p\\sdk\\um\\windows.h\n",
        "Note: including file:  ..\\sdk\\crt\\crtdefs.h\n",
        "Note: including file: D:\\LLVM\\lib\\clang\\14.0.6\\include\\stddef.h\n",
    ] {
        assert!(stdout.contains(note), "{note} is not in {stdout}");
    }
    assert!(stderr.contains("..\\src\\a.cc(13,"), "{stderr}");
    let holds =
        |text: &str| ended.made["a.obj"].windows(text.len()).any(|part| part == text.as_bytes());
    for text in
        ["C:\\p\\src\\a.cc", "C:\\p\\build", "C:\\p\\build\\a.obj", "C:\\p\\sdk\\um\\windows.h"]
    {
        assert!(holds(text), "{text}");
    }
    assert!(!holds("/proc/") && !holds("/windows/"));
    let rules = String::from_utf8_lossy(&ended.made["a.d"]).into_owned();
    assert!(rules.contains(" C:/p/sdk/um/windows.h") && rules.contains("../inc/x.h"), "{rules}");

    let missing = ask(&line("/DMISSING /I..\\inc ..\\src\\a.cc"), &["a.obj"], |name| {
        windows_name(name, false)
    });
    let why = refusal(&goma.exec(&missing).await);
    assert!(why.contains("\"nowhere.h\" is not found on the worker"), "{why}");

    let broken = ask(&line("/DBROKEN /I..\\inc C:\\p\\src\\a.cc"), &["a.obj"], |name| {
        windows_name(name, false)
    });
    let (ended, _) = told(goma.exec(&broken).await);
    let stderr = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.exit_status == Some(1) && stderr.starts_with("C:\\p\\src\\a.cc("), "{stderr}");
}

#[tokio::test]
async fn names_that_differ_in_case_are_one_file() {
    let dir = temp_dir();
    let (_program, goma) = server(dir.path()).await;
    let source = b"#include \"x.h\"\n#include \"X.H\"\n#include <Windows.h>\nint once = X_VALUE;\n";
    let words = "/I..\\Inc /I..\\INC\\..\\inc /imsvc..\\SDK\\um -imsvc ..\\sdk\\crt ..\\src\\case.cc /Fo..\\OUT\\case.obj";
    let ask = |inputs: &[(&str, &[u8])]| {
        let mut asked = ask(&line(words), &["..\\out\\case.obj"], |name| {
            windows_name(name, name.starts_with("sdk"))
        });
        for (name, contents) in inputs {
            asked = with(asked, name, &file(contents));
        }
        asked
    };
    let header = files().into_iter().find(|(name, _)| *name == "inc/x.h").expect("a header").1;
    let windows = files().into_iter().find(|(name, _)| *name == "sdk/um/windows.h").expect("one").1;
    let inputs = [
        ("..\\src\\case.cc", &source[..]),
        ("..\\Inc\\X.H", &header[..]),
        ("c:\\P\\SDK\\um\\Windows.h", &windows[..]),
    ];
    let answer = goma.exec(&ask(&inputs)).await;
    let digest = answer.cache_key().to_owned();
    let (ended, refused) = told(answer);
    let stderr = String::from_utf8_lossy(&ended.stderr);
    assert_eq!((refused, ended.exit_status), (None, Some(0)), "{stderr}");
    assert!(!ended.made["..\\out\\case.obj"].is_empty());
    let mut reversed = ask(&inputs);
    reversed.input.reverse();
    assert_eq!(goma.exec(&reversed).await.cache_key(), digest, "the order of the inputs counts");

    let other = ask(&[inputs[0], ("..\\INC\\x.H", b"other\n")]);
    let why = refusal(&goma.exec(&other).await);
    assert!(why.contains("are one file on Windows") && why.contains("INC"), "{why}");
}

#[tokio::test]
async fn without_a_compiler_for_linux_the_operator_is_told_what_to_list() {
    let dir = temp_dir();
    let program = Program::proxy(dir.path(), &[]).await;
    let asked = ask(&line("..\\src\\a.cc"), &["a.obj"], |name| windows_name(name, false));
    let why = refusal(&Goma { port: program.port }.exec(&asked).await);
    assert!(why.contains("[[compiler]]") && why.contains("x86_64-pc-windows-msvc"), "{why}");
}
