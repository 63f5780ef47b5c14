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
    for (mode, fixed, golden) in [
        (
            Mode::Property,
            false,
            "8af850f2a5529d494ff355cb06b0c9f3d844500056e4f44cd0dc85208d53b3b7/147",
        ),
        (
            Mode::Property,
            true,
            "87e79273340d2e127c0115c175dd428f9bd3684847d8e3ead2eb3f7b196c951d/182",
        ),
        (
            Mode::Rewrite,
            false,
            "8af850f2a5529d494ff355cb06b0c9f3d844500056e4f44cd0dc85208d53b3b7/147",
        ),
        (
            Mode::Rewrite,
            true,
            "bf39323b7f85f84879c6cd4b2aa2c69fa5b0d7044e54983f65454641773ccb10/148",
        ),
    ] {
        let (one, other) = (temp_dir(), temp_dir());
        let one = Program::proxy(one.path(), &[mode.flag()]).await;
        let other = Program::proxy(other.path(), &[mode.flag()]).await;
        let request = request(fixed);
        assert_eq!(digest(&one, &request).await, golden, "{mode:?}, fixed: {fixed}");
        assert_eq!(digest(&other, &otherwise(request)).await, golden, "{mode:?}, fixed: {fixed}");
    }
}
