//! How a command is run, and what is said when it cannot be.

use std::time::Instant;

use goma_common::Digest;
use tonic::Code;

use crate::action::{Action, execute, failure, result, stdout};
use crate::farm::Farm;

#[tokio::test]
async fn a_command_runs_with_its_own_environment_and_no_other() {
    for farm in [Farm::start().await, Farm::bare().await] {
        let env = || Action::new(&["env"]).env("GREETING", "hello you").do_not_cache();
        let response = env().run(&farm).await;
        let mut lines: Vec<_> = stdout(&response).lines().map(str::to_owned).collect();
        lines.sort();
        assert_eq!(lines, ["GREETING=hello you", "PATH=/usr/bin:/bin"]);
        let response = env().env("PWD", "/proc/self/cwd").run(&farm).await;
        assert!(stdout(&response).contains("PWD=/proc/self/cwd\n"), "the client's own PWD stays");
    }
}

#[tokio::test]
async fn exit_code_and_both_streams_are_told() {
    for farm in [Farm::start().await, Farm::bare().await] {
        let response = Action::shell("echo out; echo err >&2; exit 7").run(&farm).await;
        let result = result(&response);
        assert_eq!(result.exit_code, 7);
        assert_eq!(result.stdout_raw, b"out\n");
        assert_eq!(result.stderr_raw, b"err\n");
        let killed = Action::shell("kill -SEGV $$").run(&farm).await;
        assert_eq!(crate::action::result(&killed).exit_code, 128 + 11);
    }
}

#[tokio::test]
async fn long_streams_are_blobs_and_endless_ones_are_cut() {
    let farm = Farm::start().await;
    let response = Action::shell("head -c 100000 /dev/zero; echo x >&2").run(&farm).await;
    let result = result(&response);
    assert_eq!(result.stdout_raw, b"");
    let digest = result.stdout_digest.as_ref().expect("a digest");
    let digest = Digest::try_from(digest).expect("a digest");
    assert_eq!(farm.get(digest).await, vec![0; 100_000]);
    let response = Action::shell("head -c 50000000 /dev/zero").run(&farm).await;
    let digest = crate::action::result(&response).stdout_digest.clone().expect("a digest");
    assert!(digest.size_bytes < 10 << 20);
}

#[tokio::test]
async fn a_program_is_found_by_path_or_from_the_working_directory() {
    for farm in [Farm::start().await, Farm::bare().await] {
        let tool = |argument: &str| {
            let action = Action::new(&[argument]).program("w/bin/tool", "#!/bin/sh\necho $0 $PWD");
            action.in_dir("w").do_not_cache()
        };
        let response = tool("bin/tool").run(&farm).await;
        assert!(stdout(&response).starts_with("bin/tool "), "{}", stdout(&response));
        assert!(stdout(&response).ends_with("/w\n"), "{}", stdout(&response));
    }
}

#[tokio::test]
async fn a_missing_program_is_no_exit_code() {
    for farm in [Farm::start().await, Farm::bare().await] {
        for program in ["no-such-compiler", "./bin/none", "/usr/bin/none"] {
            let response = Action::new(&[program, "-c"]).run(&farm).await;
            let (code, message) = failure(&response);
            assert_eq!(code, Code::InvalidArgument, "{message}");
            assert!(message.contains(program), "{message}");
            assert!(response.result.is_none());
        }
    }
}

#[tokio::test]
async fn time_runs_out_for_the_command_and_its_children() {
    for farm in [Farm::start().await, Farm::bare().await] {
        let begun = Instant::now();
        let script = "echo begun; sleep 1000 & sleep 1000";
        let response = Action::shell(script).timeout_ms(300).run(&farm).await;
        assert_eq!(failure(&response).0, Code::DeadlineExceeded);
        // Had a child survived, its end of the pipe would have held us up.
        assert!(begun.elapsed().as_secs() < 100);
        let partial = response.result.expect("what there was so far");
        assert_ne!(partial.exit_code, 0);
        assert_eq!(partial.stdout_raw, b"begun\n");
    }
}

#[tokio::test]
async fn all_missing_blobs_of_the_closure_are_named() {
    let farm = Farm::start().await;
    // The pieces are on another farm, and never came here.
    let other = Farm::start().await;
    let action = Action::shell("true").input("a/x", "contents of x").input("y", "contents of y");
    let action = action.upload(&other).await;
    let response = execute(&farm, action, false).await;
    assert_eq!(missing(&response), [subject(action)]);
    farm.put(&other.get(action).await).await;
    let response = execute(&farm, action, false).await;
    assert_eq!(missing(&response).len(), 2, "the command and the root directory");
    for name in missing(&response) {
        let (_, digest) = name.split_once('/').expect("blobs/...");
        let (hash, size) = digest.split_once('/').expect("hash/size");
        let digest = Digest::parse(hash, size.parse().expect("a size")).expect("a digest");
        farm.put(&other.get(digest).await).await;
    }
    let response = execute(&farm, action, false).await;
    let named = missing(&response);
    assert_eq!(named.len(), 2, "a directory, and a file beside it: {named:?}");
    assert!(named.contains(&subject(Digest::of(b"contents of y"))));
}

fn subject(digest: Digest) -> String {
    format!("blobs/{digest}")
}

/// The subjects of the violations, which must all be of the kind MISSING.
fn missing(response: &goma_proto::reapi::ExecuteResponse) -> Vec<String> {
    #[derive(Clone, PartialEq, prost::Message)]
    struct PreconditionFailure {
        #[prost(message, repeated, tag = "1")]
        violations: Vec<Violation>,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    struct Violation {
        #[prost(string, tag = "1")]
        kind: String,
        #[prost(string, tag = "2")]
        subject: String,
    }
    let status = response.status.clone().expect("a status");
    assert_eq!(status.code, Code::FailedPrecondition as i32, "{}", status.message);
    assert_eq!(status.details[0].type_url, "type.googleapis.com/google.rpc.PreconditionFailure");
    let failure = prost::Message::decode(status.details[0].value.as_ref());
    let failure: PreconditionFailure = failure.expect("a failure");
    assert!(failure.violations.iter().all(|violation| violation.kind == "MISSING"));
    failure.violations.into_iter().map(|violation| violation.subject).collect()
}

#[tokio::test]
async fn nonsense_is_refused_and_harms_nobody() {
    let farm = Farm::start().await;
    let refused = |response| {
        let (code, message) = failure(&response);
        assert_eq!(code, Code::InvalidArgument, "{message}");
    };
    refused(Action::new(&[]).run(&farm).await);
    refused(Action::new(&["a\0b"]).run(&farm).await);
    refused(Action::shell("true").env("A=B", "c").run(&farm).await);
    refused(Action::shell("true").in_dir("../up").run(&farm).await);
    refused(Action::shell("true").in_dir("/abs").run(&farm).await);
    refused(Action::shell("true").output("../../up").run(&farm).await);
    refused(Action::shell("true").timeout_ms(-5000).run(&farm).await);
    let garbage = farm.put(b"\xff\xff not an action").await;
    refused(execute(&farm, garbage, false).await);
    assert_eq!(stdout(&Action::shell("echo fine").run(&farm).await), "fine\n");
}
