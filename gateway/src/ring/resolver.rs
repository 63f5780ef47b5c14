//! The addresses of a name, asked again and again: shards come and go with their addresses.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::lookup_host;
use tokio::sync::{Notify, mpsc};

/// Time between two questions while nothing is amiss.
const EVERY: Duration = Duration::from_secs(10);
/// Least time between two questions.
const PAUSE: Duration = Duration::from_secs(1);
/// A resolver that does not answer within this is asked again.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Sends all addresses of `name`, `host:port`, whenever it was asked for them, and earlier when
/// `again` says that one of them failed. A name that cannot be resolved now leaves what is known.
pub(super) async fn run(
    name: String,
    again: Arc<Notify>,
    found: mpsc::Sender<Result<BTreeSet<String>, String>>,
) {
    loop {
        let addresses = match tokio::time::timeout(TIMEOUT, lookup_host(&name)).await {
            Ok(Ok(addresses)) => Ok(addresses.map(|address| address.to_string()).collect()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("no answer".to_owned()),
        };
        let addresses = addresses.and_then(|addresses: BTreeSet<String>| {
            if addresses.is_empty() { Err("it has no address".to_owned()) } else { Ok(addresses) }
        });
        if found.send(addresses).await.is_err() {
            return;
        }
        tokio::time::sleep(PAUSE).await;
        let _ = tokio::time::timeout(EVERY - PAUSE, again.notified()).await;
    }
}
