//! Compiles that reach for what is not theirs, or are too much: refused in words, with nothing stored
//! and nothing executed.

use std::time::Duration;

use goma_proto::api::requester_info::PathStyle;
use goma_proto::api::{ExecReq, PlatformProperty, RequesterInfo, ToolchainSpec};
use prost::Message;

use crate::support::bench::{Bench, KEPT};
use crate::support::goma::{file, key};
use crate::support::http::post;
use crate::support::requests::{gcc, refusal, with_key};

const CWD: &str = "/home/a/src";

/// What is attempted, the request, the status, and words of the answer.
type Attempt = (&'static str, ExecReq, u16, &'static str);

/// All that is in it is known to the server, so that nothing need be stored for it.
fn ordinary() -> ExecReq {
    with_key(gcc(CWD, "a.c"), "a.c", &key(&file(KEPT)))
}

fn in_dir(cwd: &str) -> ExecReq {
    ExecReq { cwd: Some(cwd.to_owned()), ..ordinary() }
}

fn input(name: &str) -> ExecReq {
    with_key(ordinary(), name, &key(&file(KEPT)))
}

fn outputs(names: &[&str]) -> ExecReq {
    let expected_output_files = names.iter().map(|name| (*name).to_owned()).collect();
    ExecReq { expected_output_files, ..ordinary() }
}

/// With a compiler whose files are these links.
fn links(links: &[(&str, &str)]) -> ExecReq {
    let link = |(path, target): &(&str, &str)| ToolchainSpec {
        path: Some((*path).to_owned()),
        symlink_path: Some((*target).to_owned()),
        ..Default::default()
    };
    let toolchain_specs = links.iter().map(link).collect();
    ExecReq { toolchain_included: Some(true), toolchain_specs, ..ordinary() }
}

/// With these arguments before the others.
fn args(more: &[&str]) -> ExecReq {
    let mut request = ordinary();
    request.arg.splice(1..1, more.iter().map(|arg| (*arg).to_owned()));
    request
}

fn rooted(root: &str) -> ExecReq {
    let exec_root = Some(format!("/{root}"));
    requester(RequesterInfo { exec_root, ..Default::default() })
}

/// Of a Windows client, which names this file.
fn on_drive(name: &str) -> ExecReq {
    let mut request = with_key(in_dir("C:\\src"), name, &key(&file(KEPT)));
    request.command_spec.get_or_insert_default().name = Some("clang-cl".to_owned());
    request
}

fn requester(info: RequesterInfo) -> ExecReq {
    ExecReq { requester_info: Some(info), ..ordinary() }
}

fn many<T>(count: usize, make: impl Fn(usize) -> T) -> Vec<T> {
    (0..count).map(make).collect()
}

async fn all_are_refused(attempts: &[Attempt]) {
    let bench = Bench::start().await;
    let before = bench.stored();
    for (what, request, status, words) in attempts {
        let reply = post(bench.program.port, "/e", &[], &request.encode_to_vec()).await;
        assert_eq!(reply.status, *status, "{what}: {}", reply.text());
        let why = match reply.status {
            200 => refusal(&Message::decode(&reply.body[..]).expect("an ExecResp")),
            _ => reply.text(),
        };
        assert!(why.contains(words), "{what}: {why}");
        assert_eq!(bench.stored(), before, "{what}: something was stored");
    }
    bench.is_unharmed().await;
    assert!(bench.stored() > before, "or else nothing of this can be seen");
}

#[tokio::test]
async fn what_reaches_out_of_its_root_is_refused() {
    let windows =
        RequesterInfo { path_style: Some(PathStyle::WindowsStyle.into()), ..Default::default() };
    all_are_refused(&[
        ("an input above the root", input("../../../../etc/passwd"), 200, "above the root"),
        ("the same hidden in its middle", input("x/../../../../../y"), 200, "above the root"),
        ("an output above the root", outputs(&["../../../../x"]), 200, "above the root"),
        ("an output in /etc", outputs(&["../../../etc/cron.d/x"]), 200, "system directory"),
        ("an output in /usr/bin", outputs(&["/usr/bin/gcc"]), 200, "system directory"),
        ("and by a detour", outputs(&["/home/../usr/./bin//gcc"]), 200, "system directory"),
        ("a cwd above the root", in_dir("/home/../.."), 200, "cwd"),
        ("a cwd on a drive", in_dir("C:\\src"), 200, "Windows"),
        ("a cwd on a drive, slashed", in_dir("C:/src"), 200, "Windows"),
        ("a cwd above a drive", in_dir("C:\\src\\..\\.."), 200, "above the root"),
        ("a cwd in a drive's own", in_dir("C:src"), 200, "cwd"),
        ("a cwd on another machine", in_dir("\\\\server\\share"), 200, "cwd"),
        ("a Windows client elsewhere", requester(windows), 200, "cwd"),
        ("a link out of the root", links(&[("/usr/bin/gcc", "../../../x")]), 200, "above the root"),
        (
            "links in a circle",
            links(&[("/usr/bin/gcc", "cc"), ("/usr/bin/cc", "/usr/bin/gcc")]),
            200,
            "circle",
        ),
        (
            "an input through an absolute link",
            with_key(
                links(&[("/usr/bin/gcc", "/bin/sh"), ("tools", "/etc")]),
                "tools/passwd",
                &key(&file(KEPT)),
            ),
            200,
            "",
        ),
    ])
    .await;
}

#[tokio::test]
async fn what_is_too_much_is_refused() {
    let header = key(&file(KEPT));
    let inputs = (0..200_001)
        .fold(ordinary(), |request, at| with_key(request, &format!("h{at}.h"), &header));
    let deep = "d/".repeat(300) + "a.h";
    let long = "d".repeat(5000);
    let properties = many(5000, |at| PlatformProperty {
        name: Some(format!("p{at}")),
        value: Some("v".to_owned()),
    });
    let properties = RequesterInfo { platform_properties: properties, ..Default::default() };
    let files = many(20_001, |at| ToolchainSpec {
        path: Some(format!("/usr/lib/gcc/{at}")),
        hash: Some(header.clone()),
        ..Default::default()
    });
    let words = |count| many(count, |_| "-DX".to_owned());
    let variables = many(100_001, |at| format!("V{at}=x"));
    let variable = vec![format!("V={}", "x".repeat(3 << 20))];
    let named = many(101, |at| format!("{at}.o"));
    let in_and_out = "a/".repeat(400_000) + &"../".repeat(400_000) + "x";
    let glued = format!("-Wp,-I{in_and_out}");
    let twist = format!("{}/../", "d".repeat(20)).repeat(120);
    let through = (0..4000)
        .fold(ordinary(), |request, at| with_key(request, &format!("{twist}{at}.h"), &header));
    let depth = "d/".repeat(250);
    let depths = (0..2000)
        .fold(ordinary(), |request, at| with_key(request, &format!("{at}/{depth}a.h"), &header));
    let searched = many(5000, |at| format!("-I{at}"));
    let searched = [ordinary().arg, searched].concat();
    all_are_refused(&[
        ("200,001 inputs", inputs, 400, "200000 at most"),
        ("101 outputs", ExecReq { expected_output_files: named, ..ordinary() }, 200, "100 at most"),
        ("100,001 arguments", ExecReq { arg: words(100_001), ..ordinary() }, 200, "arguments"),
        (
            "3 MiB of arguments",
            ExecReq { arg: vec!["x".repeat(3 << 20)], ..ordinary() },
            200,
            "arguments",
        ),
        (
            "100,001 arguments, expanded",
            ExecReq { expanded_arg: words(100_001), ..ordinary() },
            200,
            "arguments",
        ),
        ("100,001 variables", ExecReq { env: variables, ..ordinary() }, 200, "variables"),
        ("3 MiB of a variable", ExecReq { env: variable, ..ordinary() }, 200, "variables"),
        ("an input 300 directories deep", input(&deep), 200, "longer than a path may be"),
        ("a name of 5000 bytes", input(&long), 200, "longer than a path may be"),
        ("an output as deep", outputs(&[&deep]), 200, "longer than a path may be"),
        ("a cwd as deep", in_dir(&format!("/{deep}")), 200, "longer than a path may be"),
        ("a way of 2 MB into the depth and out", args(&["-I", &in_and_out]), 200, "longer than a"),
        ("the same behind the preprocessor", args(&[&glued]), 200, "longer than a path may be"),
        ("the same as a source", args(&[&in_and_out]), 200, "longer than a path may be"),
        ("the same as an input", input(&in_and_out), 200, "longer than a path may be"),
        ("the same as an output", outputs(&[&in_and_out]), 200, "longer than a path may be"),
        ("the same as a root", rooted(&in_and_out), 200, "longer than a path may be"),
        (
            "the same as a link's target",
            links(&[("/usr/bin/gcc", &in_and_out)]),
            200,
            "longer than a path may be",
        ),
        ("the same on a drive", on_drive(&in_and_out), 200, "longer than a path may be"),
        ("ways in and out of long names", through, 200, "more directories than can be laid out"),
        ("deep names by the thousand", depths, 200, "more directories than can be laid out"),
        ("5000 search directories", ExecReq { arg: searched, ..ordinary() }, 200, "4096 at most"),
        ("5000 properties", requester(properties), 200, "100 at most"),
        (
            "20,001 files of a compiler",
            ExecReq { toolchain_included: Some(true), toolchain_specs: files, ..ordinary() },
            200,
            "20000 at most",
        ),
    ])
    .await;
}

/// The search for headers among the same directory, named again and again, is one.
#[tokio::test]
async fn a_directory_named_by_the_thousand_is_searched_once() {
    let bench = Bench::start().await;
    let header = key(&file(KEPT));
    let inputs = (0..500).fold(ordinary(), |request, at| {
        with_key(request, &format!("/usr/include/nowhere/{at}.h"), &header)
    });
    let same = many(90_000, |at| ["-isystem", "/usr/include"][at % 2].to_owned());
    let arg = [inputs.arg.clone(), same].concat();
    let request = ExecReq { arg, ..inputs }.encode_to_vec();
    let reply = post(bench.program.port, "/e", &[], &request);
    let reply = tokio::time::timeout(Duration::from_secs(20), reply).await.expect("an answer");
    // It came as far as the compiler, which cannot be given so many words.
    assert!(reply.text().contains("Execute"), "{}", reply.text());
    bench.is_unharmed().await;
}
