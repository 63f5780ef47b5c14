//! Sends bodies that are ready as they are, and remembers nothing of how that went.
//!
//! A [`Transport`](super::Transport) is one client with its temper: after errors it holds requests back, and
//! learns not to compress. Who measures a server wants each request to leave when it is due.

use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::connection::{Connection, Response};
use super::encoding::{self, Coding};
use super::failure::Failure;
use super::head::RequestHead;
use super::manners::Manners;
use super::pool::Pool;
use super::server::Server;
use super::traffic::Traffic;

/// A user's connections to a server, one for each request under way.
#[derive(Debug)]
pub(crate) struct Caller {
    server: Server,
    user_agent: String,
    token: Option<String>,
    /// How bodies are compressed before they come here, and what is advertised.
    coding: Option<Coding>,
    manners: Manners,
    deadline: Duration,
    pool: Pool,
}

/// What a [`Caller`] is made from.
#[derive(Clone, Debug)]
pub(crate) struct CallerConfig {
    pub(crate) server: Server,
    pub(crate) user_agent: String,
    pub(crate) token: Option<String>,
    pub(crate) coding: Option<Coding>,
    pub(crate) manners: Manners,
    /// Of a whole call, connecting included.
    pub(crate) deadline: Duration,
}

/// An answer of status 200.
#[derive(Debug)]
pub(crate) struct Answer {
    /// As it came.
    body: Vec<u8>,
    encoding: Option<String>,
    cap: usize,
    /// When its last byte had come: what is done with it after that is no time of the server's.
    pub(crate) arrived: Instant,
    /// The `Server-Timing` header.
    pub(crate) timing: Option<String>,
}

impl Caller {
    pub(crate) fn new(config: CallerConfig) -> Self {
        let CallerConfig { server, user_agent, token, coding, manners, deadline } = config;
        let pool = Pool::new(manners.keep_idle, manners.check_idle);
        Self { server, user_agent, token, coding, manners, deadline, pool }
    }

    /// Makes a message's bytes what [`Caller::call`] takes.
    ///
    /// # Errors
    /// Never for memory alone, but compressors may say so.
    pub(crate) fn pack(coding: Option<Coding>, plain: &[u8]) -> std::io::Result<Vec<u8>> {
        coding.map_or_else(|| Ok(plain.to_vec()), |coding| coding.compress(plain))
    }

    /// Sends a packed body and reads the answer, within the deadline.
    pub(crate) async fn call(
        &self,
        path: &str,
        packed: &[u8],
        traffic: &Traffic,
    ) -> Result<Answer, Failure> {
        match timeout(self.deadline, self.exchange(path, packed, traffic)).await {
            Ok(result) => result,
            Err(_) => {
                let seconds = self.deadline.as_secs();
                Err(Failure::Silence { seconds, after_first_byte: false })
            }
        }
    }

    async fn exchange(
        &self,
        path: &str,
        packed: &[u8],
        traffic: &Traffic,
    ) -> Result<Answer, Failure> {
        let head = RequestHead {
            path,
            user_agent: &self.user_agent,
            length: packed.len(),
            token: self.token.as_deref(),
            accept_encoding: self.coding.map(Coding::name),
            content_encoding: self.coding.map(Coding::name),
        };
        let head = head.render(&self.server);
        let mut connection = match self.pool.take() {
            Some(connection) => connection,
            None => Connection::open(&self.server, &self.manners).await?,
        };
        let response = connection.exchange(head, packed, &self.manners, traffic).await?;
        let arrived = Instant::now();
        let Response { head, body, reusable } = response;
        if reusable {
            self.pool.put(connection);
        }
        Ok(Answer {
            body,
            encoding: head.get("content-encoding").map(ToOwned::to_owned),
            cap: self.manners.max_body,
            arrived,
            timing: head.get("server-timing").map(ToOwned::to_owned),
        })
    }
}

impl Answer {
    /// Bytes on the wire, its head not counted.
    pub(crate) fn len(&self) -> usize {
        self.body.len()
    }

    /// The message's bytes.
    ///
    /// # Errors
    /// A body that is not compressed as it says.
    pub(crate) fn inflate(self) -> Result<Vec<u8>, Failure> {
        encoding::inflate(self.encoding.as_deref(), self.body, self.cap).map_err(Failure::BadBody)
    }
}
