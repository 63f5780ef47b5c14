//! Calls that are given up cost nobody else on the connection his own.

use goma_common::drain::Drain;
use goma_common::testing::bears_given_up_calls;
use goma_standalone::backend::{Backend, Config};
use tokio::io::DuplexStream;
use tokio_stream::wrappers::ReceiverStream;

#[tokio::test]
async fn many_at_once_do_not_end_the_connection() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let backend = Backend::open(Config::new(dir.path().join("data"))).await.expect("a backend");
    let (connections, incoming) = tokio::sync::mpsc::channel::<std::io::Result<DuplexStream>>(1);
    let drain = Drain::new();
    let serving = {
        let (backend, drain) = (backend.clone(), drain.clone());
        let incoming = ReceiverStream::new(incoming);
        tokio::spawn(async move { backend.serve(incoming, drain).await })
    };
    let (ours, theirs) = tokio::io::duplex(1 << 20);
    connections.send(Ok(theirs)).await.expect("it takes connections");
    assert!(bears_given_up_calls(ours, 500).await.expect("it answers"), "it hung up");
    drain.begin();
    serving.await.expect("no panic").expect("a clean end");
    backend.close().await;
}
