//! How the gateway's backend and shards are, asked now.

use std::time::Duration;

use goma_common::Deadline;
use goma_common::shard_status::ShardStatus;
use serde::Serialize;

use crate::gateway::Gateway;

/// Whoever does not tell by then is told of as silent.
const ASK: Duration = Duration::from_millis(800);

/// The gateway and what is behind it.
#[derive(Serialize)]
pub(super) struct Topology {
    host: String,
    backend: Health,
    /// What all gateways must have in common; none where the shard is in this process.
    ring: Option<u64>,
    shards: Vec<ShardStatus>,
}

/// Whether something can serve.
#[derive(Serialize)]
struct Health {
    told: String,
    up: bool,
    why: Option<String>,
}

impl Topology {
    /// Asks.
    pub(super) async fn of(gateway: &Gateway) -> Self {
        let deadline = Deadline::after(ASK);
        let ready = tokio::time::timeout(ASK, gateway.readiness(deadline));
        let (ready, shards) = tokio::join!(ready, gateway.shards.status(deadline));
        let why = match ready {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.message),
            Err(_) => Some(format!("no answer within {} ms", ASK.as_millis())),
        };
        Self {
            host: goma_common::telemetry::host(),
            backend: Health { told: gateway.told.clone(), up: why.is_none(), why },
            ring: gateway.shards.ring_version(),
            shards,
        }
    }
}
