//! What clients ask of the cache, and what is never kept in it.

use goma_proto::api::exec_req::CachePolicy;
use goma_proto::api::{ExecReq, ExecResp};

use crate::support::process::{Program, temp_dir};
use crate::support::requests::{compiler_script, object, refusal};

/// A compiler that never makes the same twice.
const ANEW: &str = "#!/bin/sh\nexec cat /proc/sys/kernel/random/uuid > out.o\n";

fn request(source: &[u8], policy: i32) -> ExecReq {
    let mut request = compiler_script("/home/u/src", source, ANEW);
    request.cache_policy = Some(policy);
    request
}

fn is_hit(answer: &ExecResp) -> bool {
    answer.cache_hit.unwrap_or(0) != 0
}

#[tokio::test]
async fn a_client_may_want_the_cache_alone_or_none_of_it() {
    let dir = temp_dir();
    let program = Program::proxy(dir.path(), &[]).await;
    let exec =
        async |source: &[u8], policy: i32| program.goma().exec(&request(source, policy)).await;
    let (usual, only, anew) = (
        CachePolicy::LookupAndStore.into(),
        CachePolicy::LookupOnly.into(),
        CachePolicy::StoreOnly.into(),
    );
    let why = refusal(&exec(b"a", only).await);
    assert!(why.contains("no cached result"), "{why}");
    let first = object(&exec(b"a", usual).await);
    for policy in [only, usual, 4, 99] {
        let answer = exec(b"a", policy).await;
        assert!(is_hit(&answer) && object(&answer) == first, "{policy}: {answer:?}");
    }
    let answer = exec(b"a", anew).await;
    let second = object(&answer);
    assert!(!is_hit(&answer) && second != first, "it was not run again: {answer:?}");
    assert_eq!(object(&exec(b"a", only).await), second, "the new one is kept");
    // One for successes alone stores these.
    let kept = object(&exec(b"b", 4).await);
    assert_eq!(object(&exec(b"b", only).await), kept);
}

#[tokio::test]
async fn a_failed_compile_runs_again_whatever_is_asked() {
    let dir = temp_dir();
    let program = Program::proxy(dir.path(), &[]).await;
    let script = "#!/bin/sh\ncat /proc/sys/kernel/random/uuid >&2\nexit 1\n";
    let mut told = Vec::new();
    for policy in [CachePolicy::LookupAndStore.into(), 4, CachePolicy::LookupAndStore.into()] {
        let mut request = compiler_script("/home/u/src", b"a", script);
        request.cache_policy = Some(policy);
        let answer = program.goma().exec(&request).await;
        assert!(!is_hit(&answer), "{policy}: {answer:?}");
        let result = answer.result.expect("a result");
        assert_eq!(result.exit_status(), 1);
        told.push(result.stderr_buffer().to_vec());
    }
    told.sort();
    told.dedup();
    assert_eq!(told.len(), 3, "one of them was not run");
}
