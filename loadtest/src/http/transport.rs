//! A call to the server: message in, message out, with everything that a client process remembers
//! between calls.

use std::sync::Mutex;
use std::time::Duration;

use prost::Message;
use tokio::time::Instant;

use super::connection::{Connection, Response};
use super::encoding::{self, Coding};
use super::failure::Failure;
use super::head::RequestHead;
use super::manners::Manners;
use super::negotiation::Negotiation;
use super::pool::Pool;
use super::server::Server;
use super::traffic::Traffic;
use crate::lock::lock;
use crate::stock::{Health, RemoteSwitch, Throttle};

/// One client process's way to its server.
#[derive(Debug)]
pub struct Transport {
    server: Server,
    user_agent: String,
    token: Option<String>,
    manners: Manners,
    pool: Pool,
    negotiation: Negotiation,
    health: Mutex<Health>,
    /// Stock clients hold requests back after errors; others do not.
    throttle: Option<Mutex<Throttle>>,
    /// Set by a 302, 401 or 403.
    switch: Mutex<RemoteSwitch>,
}

/// What a [`Transport`] is made from.
#[derive(Clone, Debug)]
pub struct TransportConfig {
    /// Where to.
    pub server: Server,
    /// The header's value.
    pub user_agent: String,
    /// Bearer token.
    pub token: Option<String>,
    /// What is advertised and, at first, sent.
    pub coding: Option<Coding>,
    /// Habits on the wire.
    pub manners: Manners,
    /// Whether errors slow the whole client down, as they do the stock one.
    pub throttle: bool,
    /// Of the pauses' jitter.
    pub seed: u64,
}

impl Transport {
    /// A transport without connections yet.
    #[must_use]
    pub fn new(config: TransportConfig) -> Self {
        let manners = config.manners;
        let now = Instant::now();
        Self {
            server: config.server,
            user_agent: config.user_agent,
            token: config.token,
            pool: Pool::new(manners.keep_idle, manners.check_idle),
            manners,
            negotiation: Negotiation::new(config.coding),
            health: Mutex::default(),
            throttle: config.throttle.then(|| Mutex::new(Throttle::new(now, config.seed))),
            switch: Mutex::new(RemoteSwitch::new(config.seed)),
        }
    }

    /// Whether at most 30 % of the last 3 seconds' requests failed.
    pub fn is_healthy(&self) -> bool {
        lock(&self.health).is_healthy(Instant::now())
    }

    /// Whether compiles are sent at all now.
    pub fn is_on(&self) -> bool {
        lock(&self.switch).is_on(Instant::now())
    }

    /// Sends `request` to `path` and reads the answer as a `Resp`.
    ///
    /// # Errors
    /// How it failed; what to do about that is the caller's affair.
    pub async fn call<Resp: Message + Default>(
        &self,
        path: &str,
        request: &impl Message,
        traffic: &Traffic,
    ) -> Result<Resp, Failure> {
        self.hold_back().await;
        let result = self.exchange(path, &request.encode_to_vec(), traffic).await;
        let result = result.and_then(|body| {
            Resp::decode(&body[..]).map_err(|e| Failure::BadBody(format!("not a message: {e}")))
        });
        self.take_note(&result);
        result
    }

    /// Asks whether we are let in. Neither throttled nor counted, as in the stock client.
    ///
    /// # Errors
    /// How it failed.
    pub async fn ping(&self, traffic: &Traffic) -> Result<(), Failure> {
        let result = self.exchange("/ping", &[], traffic).await.map(drop);
        let status = result.as_ref().err().map_or(200, Failure::status);
        lock(&self.switch).learn(status, Instant::now());
        result
    }

    async fn exchange(
        &self,
        path: &str,
        body: &[u8],
        traffic: &Traffic,
    ) -> Result<Vec<u8>, Failure> {
        let state = self.negotiation.now();
        let coding = state.send.filter(|_| !body.is_empty());
        let compressed = coding
            .map(|coding| coding.compress(body))
            .transpose()
            .map_err(|e| Failure::Write(e.to_string()))?;
        let body = compressed.as_deref().unwrap_or(body);
        let head = RequestHead {
            path,
            user_agent: &self.user_agent,
            length: body.len(),
            token: self.token.as_deref(),
            accept_encoding: state.advertise.map(Coding::name),
            content_encoding: coding.map(Coding::name),
        };
        let mut connection = self.connect().await?;
        let head = head.render(&self.server);
        let result = connection.exchange(head, body, &self.manners, traffic).await;
        let response = match result {
            Ok(response) => response,
            Err(failure) => {
                self.negotiation.learn(failure.status(), None);
                return Err(failure);
            }
        };
        let Response { head, body, reusable } = response;
        self.negotiation.learn(head.status, head.get("accept-encoding"));
        if reusable {
            self.pool.put(connection);
        }
        encoding::inflate(head.get("content-encoding"), body, self.manners.max_body)
            .map_err(Failure::BadBody)
    }

    async fn connect(&self) -> Result<Connection, Failure> {
        if let Some(connection) = self.pool.take() {
            return Ok(connection);
        }
        let mut tries = 1;
        loop {
            match Connection::open(&self.server, &self.manners).await {
                Err(_) if tries < self.manners.connect_tries => {
                    tokio::time::sleep(self.pause()).await;
                    tries += 1;
                }
                result => return result,
            }
        }
    }

    /// Waits while this client's second is one of errors.
    async fn hold_back(&self) {
        let Some(throttle) = &self.throttle else { return };
        loop {
            let Some(pause) = lock(throttle).try_start(Instant::now()) else { return };
            tokio::time::sleep(pause).await;
        }
    }

    fn pause(&self) -> Duration {
        match &self.throttle {
            Some(throttle) => lock(throttle).pause(),
            None => Duration::from_millis(300),
        }
    }

    fn take_note<T>(&self, result: &Result<T, Failure>) {
        let now = Instant::now();
        let status = result.as_ref().err().map_or(200, Failure::status);
        lock(&self.health).record(now, status);
        lock(&self.switch).learn(status, now);
        if let Some(throttle) = &self.throttle {
            lock(throttle).record(now, result.is_ok());
        }
    }
}
