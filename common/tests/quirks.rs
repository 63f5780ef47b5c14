//! What one kind of backend does and others do not, each met with its own remedy.
//!
//! Others have files of their own: limits that are not told, lost inputs, zstd, streams that end,
//! writes that begin anew, operations that cannot be cancelled.

use bytes::Bytes;
use goma_common::preset::Preset;
use goma_common::reapi::{
    Address, Backend, Execution, RemoteConfig, Upload, connect, fetch_all, fetch_view,
};
use goma_common::testing::{Server, Step, deadline};
use goma_common::{Code, Deadline, Digest, View};
use goma_proto::reapi::{ActionResult, ExecuteResponse};
use std::time::Duration;

const LARGE: usize = 6 << 20;

async fn started(instance: &str) -> (Server, Backend) {
    let server = Server::start().await;
    let address = Address::Network(vec![server.address()]);
    let backend = connect(&RemoteConfig::plain(address, instance)).expect("an address");
    (server, backend)
}

fn random(size: usize) -> Bytes {
    (0..size).map(|_| fastrand::u8(..)).collect()
}

#[tokio::test]
async fn a_backend_that_cannot_read_a_part_is_read_from_the_beginning() {
    let (server, backend) = started("").await;
    let contents = random(LARGE);
    let digest = server.backend.put(contents.clone());
    server.services.quirks.refuse_parts();
    for (offset, length) in [(0, 5), (1 << 20, 3 << 20), (LARGE as u64 - 7, 7)] {
        let view = View { digest, offset, length };
        let read = fetch_view(backend.cas.as_ref(), view, deadline()).await.expect("read");
        let (from, to) = (offset as usize, (offset + length) as usize);
        assert!(read == contents.slice(from..to), "other bytes at {offset}");
    }
}

#[tokio::test]
async fn a_backend_that_gives_other_bytes_is_not_believed() {
    let (server, backend) = started("").await;
    let (small, large) = (Digest::of(b"small"), Digest::of(&random(LARGE)));
    for (digest, forged) in [(small, Bytes::from("other")), (large, random(LARGE))] {
        server.backend.put(forged.clone());
        server.services.quirks.forge(digest, forged);
        let read = fetch_all(&backend, &[digest], deadline()).await;
        assert_eq!(read.expect_err("other bytes").code, Code::DataLoss);
    }
}

#[tokio::test]
async fn an_instance_without_a_name_is_named_by_nothing_and_one_with_slashes_by_all_of_them() {
    for (instance, start) in [("", "uploads/"), ("projects/a/b", "projects/a/b/uploads/")] {
        let (server, backend) = started(instance).await;
        let contents = random(LARGE);
        let upload = Upload::of(Digest::of(&contents), contents);
        backend.cas.upload_stream(&upload, deadline()).await.expect("taken");
        backend.cas.find_missing(&[upload.digest], deadline()).await.expect("asked");
        fetch_view(backend.cas.as_ref(), View::whole(upload.digest), deadline())
            .await
            .expect("read");
        let quirks = &server.services.quirks;
        assert_eq!(quirks.instances().into_iter().collect::<Vec<_>>(), [instance]);
        let resources = quirks.resources();
        assert_eq!(resources.len(), 2, "{resources:?}");
        assert!(resources.iter().any(|resource| resource.starts_with(start)), "{resources:?}");
        assert!(resources.iter().all(|resource| !resource.starts_with('/')), "{resources:?}");
    }
}

#[tokio::test]
async fn a_scheduler_that_tells_no_stages_is_followed_to_the_end() {
    let (server, backend) = started("").await;
    let result = Some(ActionResult { exit_code: 3, ..Default::default() });
    let done = Step::Done(Box::new(ExecuteResponse { result, ..Default::default() }));
    server.executions.next([Step::Bare, Step::Bare, done]);
    let execution = Execution::new(Digest::of(b"action"), false);
    let ran = backend.executor.execute(&execution, deadline()).await.expect("it ended");
    assert_eq!(ran.result.exit_code, 3);
    // One that never ends is not said to be in the queue, which nobody knows.
    server.executions.next([Step::Bare, Step::Silence]);
    let soon = Deadline::after(Duration::from_millis(300));
    let error = backend.executor.execute(&execution, soon).await.expect_err("it never ends");
    assert_eq!(error.code, Code::DeadlineExceeded);
    assert!(!error.message.contains("properties"), "{error}");
}

#[tokio::test]
async fn batches_keep_to_64_kib_where_a_preset_says_so_and_the_backend_does_not() {
    let server = Server::start().await;
    let address = Address::Network(vec![server.address()]);
    let batch_bytes = Preset::Nativelink.traits().batch_bytes;
    let plain = RemoteConfig::plain(address, "");
    let backend = connect(&RemoteConfig { batch_bytes, ..plain }).expect("an address");
    let digests: Vec<Digest> = (0..10).map(|_| server.backend.put(random(20 << 10))).collect();
    let read = fetch_all(&backend, &digests, deadline()).await.expect("read");
    assert_eq!(read.len(), digests.len() + 1, "and the empty blob");
    let batches = server.faults.calls("BatchReadBlobs");
    assert!((4..=5).contains(&batches), "{batches} batches of two or three");
}
