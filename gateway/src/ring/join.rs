//! A turn at an action, over the wire: the answer, and the end of the run if it is ours.

use std::time::Duration;

use goma_common::reapi::Executed;
use goma_common::turn::{Lease, Turn};
use goma_common::{Result, shard_wire};
use goma_proto::shard as proto;
use goma_proto::shard::join_response;
use prost::Message;
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use super::messages::MAX_BYTES;

/// An outcome that was told is taken within this.
const TAKEN: Duration = Duration::from_secs(5);

/// What the caller sends: the first message, and the second once there is one.
pub(super) fn messages(
    head: proto::JoinRequest,
) -> (ReceiverStream<proto::JoinRequest>, mpsc::Sender<proto::JoinRequest>) {
    let (sender, messages) = mpsc::channel(2);
    // There is room.
    let _ = sender.try_send(head);
    (ReceiverStream::new(messages), sender)
}

/// Waits for the turn that the shard gives.
///
/// # Errors
/// When the stream breaks or the answer is damaged.
pub(super) async fn turn(
    mut answers: Streaming<proto::JoinResponse>,
    second: mpsc::Sender<proto::JoinRequest>,
) -> Result<Turn> {
    let turn = answers.message().await?.and_then(|answer| answer.turn);
    Ok(match turn {
        Some(join_response::Turn::Run(proto::Run {})) => {
            let (lease, end) = Lease::new();
            // Ends with the lease, or soon after.
            tokio::spawn(hold(end, second, answers));
            Turn::Run(lease)
        }
        Some(join_response::Turn::Outcome(outcome)) => {
            Turn::Ran(Box::new(shard_wire::outcome(outcome)?))
        }
        None => Turn::Run(Lease::alone()),
    })
}

/// Keeps the stream open while the lease is held, and tells how the run ended. A lease that was
/// dropped closes it without: the shard lets the next one run the action.
async fn hold(
    end: oneshot::Receiver<Result<Executed>>,
    second: mpsc::Sender<proto::JoinRequest>,
    mut answers: Streaming<proto::JoinResponse>,
) {
    let Ok(outcome) = end.await else { return };
    let outcome = shard_wire::outcome_message(&outcome);
    if outcome.encoded_len() as u64 > MAX_BYTES {
        tracing::debug!("an outcome is too large to be told: the next one asks the backend");
        return;
    }
    let message = proto::JoinRequest { outcome: Some(outcome), ..Default::default() };
    if second.send(message).await.is_ok() {
        drop(second);
        // A stream that is dropped is reset, perhaps before its last message was sent.
        let _ = tokio::time::timeout(TAKEN, answers.message()).await;
    }
}
