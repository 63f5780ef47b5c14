//! The facts of one request.

use std::net::IpAddr;
use std::time::Duration;

use goma_common::Digest;

use crate::status::Miss;

/// Bytes of each word that is kept.
const WORDS: usize = 500;

/// What is known of a request once it is answered.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) user: String,
    pub(crate) from: Option<IpAddr>,
    pub(crate) trace: Option<String>,
    pub(crate) compiler: String,
    pub(crate) output: String,
    pub(crate) client: String,
    pub(crate) build: String,
    pub(crate) retry: i32,
    /// Files, keys or logs that the request is about.
    pub(crate) inputs: usize,
    /// Of these, with contents.
    pub(crate) embedded: usize,
    /// Bytes of all inputs, as far as known, sent or not.
    pub(crate) input_bytes: u64,
    /// Bytes of the body, as sent.
    pub(crate) received: usize,
    /// Bytes of the answer, as sent.
    pub(crate) sent: usize,
    pub(crate) action: Option<Digest>,
    /// Whether another request ran the action.
    pub(crate) joined: bool,
    pub(crate) worker: Worker,
    pub(crate) miss: Option<Miss>,
    pub(crate) end: End,
}

impl Told {
    /// Cuts what clients and backends say: it is kept for hundreds of requests, and shown.
    pub(super) fn cut(&mut self) {
        let Self { user, compiler, output, client, build, end, .. } = self;
        let why = match end {
            End::Refused(why) | End::Failed(why) | End::Denied(why) => Some(why),
            _ => None,
        };
        for text in [user, compiler, output, client, build].into_iter().chain(why) {
            if text.len() > WORDS {
                let end = (0..=WORDS).rev().find(|at| text.is_char_boundary(*at));
                text.truncate(end.unwrap_or(0));
                // What was allocated for all of it goes, too.
                text.shrink_to_fit();
            }
        }
    }
}

/// The worker's times, as the backend tells them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Worker {
    /// In the backend's queue.
    pub(crate) queued: Option<Duration>,
    /// Running the compiler, also where that was for somebody else, earlier.
    pub(crate) ran: Option<Duration>,
}

/// How a request ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum End {
    /// Its client went before it was answered.
    #[default]
    Left,
    /// Done, of what is no compile.
    Done,
    /// A compile that the cache answered.
    Hit { exit: i32 },
    /// A compile that a worker ran.
    Ran { exit: i32 },
    /// A compile that needs files first.
    Missing(usize),
    /// A compile that cannot be done here, and why.
    Refused(String),
    /// Something went wrong.
    Failed(String),
    /// Somebody who is not let in.
    Denied(String),
}

impl End {
    /// As a word, one of few.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::Done => "done",
            Self::Hit { .. } => "hit",
            Self::Ran { .. } => "ran",
            Self::Missing(_) => "missing",
            Self::Refused(_) => "refused",
            Self::Failed(_) => "failed",
            Self::Denied(_) => "denied",
        }
    }

    /// For people, where there is more to say.
    pub(crate) fn why(&self) -> Option<&str> {
        match self {
            Self::Refused(why) | Self::Failed(why) | Self::Denied(why) => Some(why),
            _ => None,
        }
    }
}
