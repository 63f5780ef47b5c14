//! Uploads of large blobs that break, to backends that remember how far they got and to others.

use bytes::Bytes;
use futures::stream::{StreamExt, iter};
use goma_common::reapi::{Address, Backend, RemoteConfig, Upload, connect};
use goma_common::testing::{Fault, Server, deadline};
use goma_common::{Code, Digest, Error, Result};
use tonic::Status;

const MIB: usize = 1 << 20;
const SIZE: usize = 10 * MIB;

struct Case {
    server: Server,
    backend: Backend,
    blob: (Digest, Bytes),
}

impl Case {
    async fn start() -> Self {
        let server = Server::start().await;
        let address = Address::Network(vec![server.address()]);
        let backend = connect(&RemoteConfig::plain(address, "main")).expect("an address");
        let contents: Bytes = (0..SIZE).map(|_| fastrand::u8(..)).collect();
        Self { server, backend, blob: (Digest::of(&contents), contents) }
    }

    async fn upload(&self) -> Result<()> {
        let upload = Upload::of(self.blob.0, self.blob.1.clone());
        self.backend.cas.upload_stream(&upload, deadline()).await
    }

    async fn takes_it(&self) {
        self.upload().await.expect("taken in the end");
        assert!(self.server.backend.has(self.blob.0), "the server holds it, and it was verified");
    }

    fn taken(&self) -> usize {
        self.server.services.writes.taken()
    }

    fn asked_how_far(&self) -> usize {
        self.server.faults.calls("QueryWriteStatus")
    }
}

#[tokio::test]
async fn an_upload_that_broke_is_gone_on_with_where_the_backend_remembers() {
    let case = Case::start().await;
    case.server.services.writes.remember();
    for part in [3 * MIB, 7 * MIB] {
        case.server.services.writes.break_at(part);
    }
    case.takes_it().await;
    assert_eq!(case.taken(), SIZE, "each byte once");
    assert_eq!(case.asked_how_far(), 2);
}

#[tokio::test]
async fn an_upload_begins_anew_where_the_backend_does_not_remember_and_it_is_asked_once() {
    let case = Case::start().await;
    for part in [3 * MIB, 7 * MIB] {
        case.server.services.writes.break_at(part);
    }
    case.takes_it().await;
    assert_eq!(case.taken(), 3 * MIB + 7 * MIB + SIZE);
    assert_eq!(case.asked_how_far(), 1, "a backend that cannot tell is not asked again");
}

#[tokio::test]
async fn an_upload_that_may_not_be_gone_on_with_begins_anew() {
    let case = Case::start().await;
    case.server.services.writes.remember();
    case.server.services.writes.refuse_to_go_on();
    case.server.services.writes.break_at(3 * MIB);
    case.takes_it().await;
    assert_eq!(case.taken(), 3 * MIB + SIZE);
}

#[tokio::test]
async fn a_blob_that_came_to_be_there_meanwhile_is_taken() {
    let case = Case::start().await;
    case.server.faults.next("Write", Fault::Fails(Status::already_exists("somebody else's")));
    case.upload().await.expect("it is there");
    assert_eq!(case.taken(), 0);
}

#[tokio::test]
async fn any_other_answer_to_an_upload_is_a_failure_in_the_backends_words() {
    let case = Case::start().await;
    case.server.faults.next("Write", Fault::Fails(Status::invalid_argument("too large for us")));
    let error = case.upload().await.expect_err("refused");
    assert!(error.message.contains("too large for us"), "{error}");
    assert!(error.message.contains(&case.blob.0.to_string()), "{error}: which blob");
    assert_eq!(case.server.faults.calls("Write"), 1, "it would be refused again");
}

#[tokio::test]
async fn a_piece_that_cannot_be_had_fails_the_upload_in_its_own_words() {
    let case = Case::start().await;
    let (digest, contents) = case.blob.clone();
    let upload = Upload::new(digest, move |_| {
        let gone = Err(Error::new(Code::NotFound, "the rest is gone"));
        iter([Ok(contents.slice(..4 * MIB)), gone]).boxed()
    });
    let error = case.backend.cas.upload_stream(&upload, deadline()).await.expect_err("failed");
    assert!(error.message.contains("the rest is gone"), "{error}");
    assert!(!case.server.backend.has(digest));
}
