//! Actions as they are in every release: another digest here is a new cache for everybody, to be wanted
//! and not to happen.

use goma_common::Digest;
use goma_common::preset::AbsolutePaths;
use goma_proto::api::{ExecReq, requester_info::PathStyle};

use super::super::inputs::Inputs;
use super::super::job::Job;
use super::super::layout::Layout;
use super::super::testing;
use super::super::toolchain::Toolchain;
use super::{Plan, SystemFiles};
use crate::command::Flags;
use crate::config::GatewayConfig;
use crate::identity::Caller;

/// A compile of `a.c` that reads a header beside its directory and one of the distribution's.
fn request(line: &str) -> ExecReq {
    let mut request = testing::request(line, &["a.c", "../inc/x.h", "/usr/include/stdio.h"]);
    request.expected_output_files = vec!["a.o".to_owned()];
    request
}

/// A Windows client's, on two drives.
fn of_windows() -> ExecReq {
    let line = "clang-cl -fmsc-version=1929 /c a.cc /IC:\\inc /Foa.obj";
    let mut request = testing::request(line, &["a.cc", "C:\\inc\\x.h", "D:\\sdk\\y.h"]);
    request.cwd = Some("D:\\src".to_owned());
    request.expected_output_files = vec!["a.obj".to_owned()];
    request.requester_info.get_or_insert_default().set_path_style(PathStyle::WindowsStyle);
    let spec = request.command_spec.get_or_insert_default();
    spec.local_compiler_path = Some("C:\\llvm\\clang-cl.exe".to_owned());
    spec.system_include_path.clear();
    request
}

/// The digest of its action, by a compiler that the workers have under `/usr/bin`.
fn action(request: ExecReq, absolute_paths: AbsolutePaths, system: SystemFiles) -> String {
    let job = Job::parse(request.into(), &Caller::default(), &Flags::default()).expect("a job");
    let files = job.inputs.iter().map(|input| (input, Digest::of(input.name.as_bytes())));
    let inputs = Inputs { files: files.collect() };
    let program = format!("/usr/bin/{}", job.compiler.name);
    let toolchain =
        Toolchain { system: vec![(program.clone(), [0xab; 32])], program, ..Toolchain::default() };
    let config = GatewayConfig { absolute_paths, ..GatewayConfig::default() };
    let layout = Layout::of(&job, &inputs, &toolchain, absolute_paths).expect("a place");
    let properties = vec![("container-image".to_owned(), "docker://b".to_owned())];
    let plan = Plan::new(&job, &inputs, &toolchain, &layout, &properties, &config, system);
    plan.expect("a plan").action.to_string()
}

#[test]
fn every_kind_of_action_is_as_it_was() {
    const PLAIN: &str = "gcc -I../inc -c a.c -o a.o";
    const DEBUG: &str = "gcc -g -I../inc -c /home/u/src/a.c -o a.o";
    let (workers, clients) = (SystemFiles::Workers, SystemFiles::Clients);
    let (chroot, rewrite) = (AbsolutePaths::Chroot, AbsolutePaths::Rewrite);
    let now = [
        ("the worker's headers", action(request(PLAIN), AbsolutePaths::Refuse, workers)),
        ("the client's headers", action(request(PLAIN), AbsolutePaths::Refuse, clients)),
        ("the client's root", action(request(DEBUG), chroot, workers)),
        ("the client's root and headers", action(request(DEBUG), chroot, clients)),
        ("rewritten", action(request(DEBUG), rewrite, workers)),
        ("a Windows client's", action(of_windows(), AbsolutePaths::Refuse, workers)),
    ];
    let golden = [
        (
            "the worker's headers",
            "53e2024983e173db060f2b29b131a4b3b23e41e221d027a1dae2a6d9a0dbdb60/213",
        ),
        (
            "the client's headers",
            "0a793b04693fb49e912a961191b022dbd3cc62d026c0c7f7c9826d70ddbda788/213",
        ),
        (
            "the client's root",
            "cd8c63719b7ce2d82627d55866ba2cc872492858501f3fe84d2002897595d6fc/213",
        ),
        (
            "the client's root and headers",
            "92da21031f106835332a19805190848ca79b71ec194c00ca72e4f06a523ba7b8/213",
        ),
        ("rewritten", "7666075e5e60f5491aec9c666fe672b2f3fdc67c9f2dd81bb1f44957ba40afc4/213"),
        (
            "a Windows client's",
            "dd1fbb06541811b1d44c634fb9e88c3801f7135324ef1d14c9e5126b2563dfb9/213",
        ),
    ];
    assert_eq!(now.each_ref().map(|(what, digest)| (*what, digest.as_str())), golden);
}
