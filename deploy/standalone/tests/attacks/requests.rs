//! Compiles that reach for what is not theirs, or are too much: refused in words, with nothing stored
//! and nothing executed.

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
