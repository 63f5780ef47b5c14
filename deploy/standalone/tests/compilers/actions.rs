//! The digests of actions: equal for equal compiles, and the same in every release.

use goma_proto::api::ExecReq;

use crate::mode::Mode;
use crate::support::goma::file;
use crate::support::process::{Program, temp_dir};
use crate::support::requests::{compiler_script, object, with};

const COPY: &str = "#!/bin/sh\nexec cp a.c out.o\n";

/// A compile whose compiler comes along, so that nothing of this machine is part of it.
fn request(fixed: bool) -> ExecReq {
    let mut request = compiler_script("/home/u/src", b"int x;\n", COPY);
    request = with(request, "../inc/x.h", &file(b"int y;\n"));
    if fixed {
        request.arg.push("-g".to_owned());
    }
    request
}

/// Its inputs the other way round, and two of them twice in another spelling.
fn otherwise(mut request: ExecReq) -> ExecReq {
    request = with(request, "./a.c", &file(b"int x;\n"));
    request = with(request, "../src/../inc//x.h", &file(b"int y;\n"));
    request.input.reverse();
    request
}

async fn digest(program: &Program, request: &ExecReq) -> String {
    let answer = program.goma().exec(request).await;
    object(&answer);
    answer.cache_key().to_owned()
}

/// Another digest here is a new cache for everybody: to be wanted, not to happen.
#[tokio::test]
async fn a_compile_has_one_digest_whoever_asks_in_whatever_order_in_every_release() {
    let kinds = [
        (Mode::Property, false),
        (Mode::Property, true),
        (Mode::Rewrite, false),
        (Mode::Rewrite, true),
    ];
    let mut digests = Vec::new();
    for (mode, fixed) in kinds {
        let (one, other) = (temp_dir(), temp_dir());
        let one = Program::proxy(one.path(), &[mode.flag()]).await;
        let other = Program::proxy(other.path(), &[mode.flag()]).await;
        let request = request(fixed);
        let told = digest(&one, &request).await;
        assert_eq!(digest(&other, &otherwise(request)).await, told, "{mode:?}, fixed: {fixed}");
        digests.push(told);
    }
    assert_eq!(digests, GOLDEN);
}

const GOLDEN: [&str; 4] = [
    "5cb71cd91668a22555cf24f73cbda377fa1674e58a2f767e0c75a3b7167cc786/147",
    "91a7142ac64ee3985025dae2fb8f93ceac4c602ffbfd51b810397a0741420d53/183",
    "5cb71cd91668a22555cf24f73cbda377fa1674e58a2f767e0c75a3b7167cc786/147",
    "1c1d7a1105adbee8f1f5ed85b3e00be9cea9bb2bc4a62ef0454f94ea3cb747c7/148",
];
