//! Watches one address: keeps a link to the shard there, probes it, and reports what it is to us.

use std::error::Error as _;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use goma_common::backoff::Backoff;
use goma_common::{Code, Error};
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use super::client::RemoteShard;
use super::doubt::Doubt;
use super::hash_ring::Member;
use super::link::{Expected, Link, NoLink};
use super::standing::{Seen, Standing, State};
use super::view::Up;

/// The name of a shard's service, as its health is asked by.
const SERVICE: &str = "goma.shard.v1.Shard";
/// Time between probes; jittered, so that gateways do not probe in step.
const EVERY: Duration = Duration::from_millis(600);
/// A probe is answered within this, a new connection included.
const PROBE: Duration = Duration::from_secs(1);
/// Least time between probes, however many calls fail.
const PAUSE: Duration = Duration::from_millis(50);

/// What to watch.
#[derive(Clone, Debug)]
pub(super) struct Watched {
    /// `host:port`.
    pub(super) address: String,
    /// Who is to be there.
    pub(super) expected: Expected,
    /// Its share of the ring; `None` where each says its own.
    pub(super) weight: Option<u32>,
}

/// What a member is to us from now on.
pub(super) enum Report {
    /// On the ring, over this link.
    Up(Up),
    /// Off the ring.
    Out {
        /// For people.
        why: String,
        /// To be told that it went down; `None` where calls under way go on.
        gone: Option<CancellationToken>,
    },
}

/// One watcher's state; [`Watcher::run`] is its task.
pub(super) struct Watcher {
    pub(super) id: u64,
    pub(super) watched: Watched,
    /// Hash of the ring as it is by now, for the calls.
    pub(super) ring: Arc<AtomicU64>,
    pub(super) reports: mpsc::Sender<(u64, Report)>,
}

/// A link, and what its callers say of it.
struct Session {
    link: Link,
    doubt: Doubt,
    /// Whether it was reported as up.
    told: bool,
}

/// What a watcher has of its member.
struct Held {
    session: Option<Session>,
    standing: Standing,
    look: Arc<Notify>,
    gone: CancellationToken,
    /// Why it is out, as reported last.
    out: Option<String>,
}

impl Watcher {
    /// Watches until nobody takes its reports; ends early only by being dropped.
    pub(super) async fn run(self) {
        let mut held = Held {
            session: None,
            standing: Standing::new(),
            look: Arc::default(),
            gone: CancellationToken::new(),
            out: None,
        };
        let mut every = Backoff::new(EVERY, EVERY);
        loop {
            let (seen, why) = self.probe(&mut held).await;
            let state = held.standing.see(seen, Instant::now());
            let why = match held.standing.is_held_back(Instant::now()) {
                true => format!("it went down too often lately; {why}"),
                false => why,
            };
            if let Some(report) = self.report(&mut held, state, why)
                && self.reports.send((self.id, report)).await.is_err()
            {
                return;
            }
            if state == State::Down && matches!(seen, Seen::Failed | Seen::Gone) {
                // Whoever comes back is asked anew who it is.
                held.session = None;
            }
            tokio::time::sleep(PAUSE).await;
            let _ = tokio::time::timeout(every.delay(), held.look.notified()).await;
        }
    }

    async fn probe(&self, held: &mut Held) -> (Seen, String) {
        match tokio::time::timeout(PROBE, self.look(held)).await {
            Ok(Ok(ServingStatus::Serving)) => (Seen::Serving, "it serves".to_owned()),
            Ok(Ok(ServingStatus::NotServing)) => (Seen::Draining, "it is draining".to_owned()),
            Ok(Ok(_)) => (Seen::Failed, format!("it does not know of {SERVICE}")),
            Ok(Err(NoLink::Gone(error))) => (Seen::Gone, error.message),
            Ok(Err(NoLink::Failed(error))) => (Seen::Failed, error.message),
            Err(_) => (Seen::Failed, format!("{}: no answer", self.watched.address)),
        }
    }

    /// Asks for its health, over a new link where there is none that holds.
    async fn look(&self, held: &mut Held) -> Result<ServingStatus, NoLink> {
        if let Some(session) = &held.session
            && !session.doubt.is_raised()
        {
            match health(&session.link).await {
                Ok(status) => return Ok(status),
                Err(Broken::Connection(_)) => {}
                Err(Broken::Answer(error)) => return Err(NoLink::Failed(error)),
            }
        }
        let link = Link::open(&self.watched.address, &self.watched.expected).await?;
        let status = health(&link).await.map_err(|broken| match broken {
            Broken::Connection(error) | Broken::Answer(error) => NoLink::Failed(error),
        })?;
        held.session = Some(Session { link, doubt: Doubt::new(held.look.clone()), told: false });
        Ok(status)
    }

    /// What is news of this state.
    fn report(&self, held: &mut Held, state: State, why: String) -> Option<Report> {
        if state == State::Up {
            let session = held.session.as_mut().filter(|session| !session.told)?;
            session.told = true;
            held.out = None;
            return Some(Report::Up(self.up(session, &held.gone)));
        }
        if held.out.as_ref() == Some(&why) {
            return None;
        }
        if let Some(session) = &mut held.session {
            session.told = false;
        }
        held.out = Some(why.clone());
        let gone = (state == State::Down).then(|| std::mem::take(&mut held.gone));
        Some(Report::Out { why, gone })
    }

    fn up(&self, session: &Session, gone: &CancellationToken) -> Up {
        let (link, doubt) = (session.link.clone(), session.doubt.clone());
        let name = link.described.name.clone();
        let weight = self.watched.weight.unwrap_or(link.described.weight).clamp(1, 100);
        Up {
            member: Member { name, weight },
            shard: Arc::new(RemoteShard::new(link, self.ring.clone(), doubt)),
            gone: gone.clone(),
        }
    }
}

/// Why there was no word of its health.
enum Broken {
    Connection(Error),
    Answer(Error),
}

async fn health(link: &Link) -> Result<ServingStatus, Broken> {
    let request = HealthCheckRequest { service: SERVICE.to_owned() };
    match HealthClient::new(link.calls.clone()).check(request).await {
        Ok(answer) => Ok(answer.into_inner().status()),
        Err(status) if status.source().is_some() => Err(Broken::Connection(status.into())),
        Err(status) => {
            let error = Error::new(Code::Unavailable, format!("health: {}", status.message()));
            Err(Broken::Answer(error))
        }
    }
}
