//! Idle connections, the youngest first.

use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use super::connection::Connection;
use crate::lock::lock;

/// What is kept between requests.
#[derive(Debug)]
pub(super) struct Pool {
    keep: Duration,
    /// Whether a connection is looked at before it is handed out. The stock client does not, so a
    /// server that closes early makes its next request fail.
    check: bool,
    idle: Mutex<Vec<(Instant, Connection)>>,
}

impl Pool {
    pub(super) fn new(keep: Duration, check: bool) -> Self {
        Self { keep, check, idle: Mutex::default() }
    }

    /// A connection that was idle for less than the limit.
    pub(super) fn take(&self) -> Option<Connection> {
        let mut idle = lock(&self.idle);
        let now = Instant::now();
        idle.retain(|(since, _)| now.duration_since(*since) < self.keep);
        while let Some((_, connection)) = idle.pop() {
            if !self.check || connection.is_quiet() {
                return Some(connection);
            }
        }
        None
    }

    /// Keeps a connection for the next request.
    pub(super) fn put(&self, connection: Connection) {
        lock(&self.idle).push((Instant::now(), connection));
    }
}
