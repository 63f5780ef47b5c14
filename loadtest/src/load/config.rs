//! What a load run is set to do.

use std::path::PathBuf;
use std::time::Duration;

use super::arrivals::Arrivals;
use super::sample::Window;
use super::sender::Sender;
use super::way::Way;
use super::workload::Workload;
use crate::client::ClientConfig;
use crate::error::{Error, Result};
use crate::report::SettingsReport;

/// Largest file that goes whole in one message; larger ones go in pieces, which no load here does.
const MAX_INPUT_BYTES: usize = 2 << 20;

/// What is asked of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Verb {
    /// Compiles.
    Exec,
    /// Puts files there.
    Store,
    /// Gets files from there.
    Lookup,
}

/// When requests are sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// So many workers, each with a request under way at all times: as fast as the server is.
    Closed {
        /// How many.
        workers: usize,
    },
    /// Whenever one is due, however many are under way.
    Open {
        /// Requests a second.
        rate: f64,
        /// How far apart.
        arrivals: Arrivals,
        /// How long the rate grows, from the beginning of the warm-up.
        ramp: Duration,
        /// More are not sent but counted as dropped.
        max_in_flight: usize,
    },
}

/// Settings of a load run.
#[derive(Clone, Debug)]
pub struct LoadConfig {
    /// Where to, and how.
    pub way: Way,
    /// What.
    pub verb: Verb,
    /// When.
    pub pace: Pace,
    /// What is measured.
    pub duration: Duration,
    /// What goes before and is not measured.
    pub warmup: Duration,
    /// Of the workload.
    pub seed: u64,
    /// Inputs of a compile or files of a store or lookup; requests take turns.
    pub inputs: Vec<usize>,
    /// Size of each.
    pub input_bytes: usize,
    /// Known actions of each size.
    pub actions: usize,
    /// Of all requests, those with files that nobody has seen.
    pub new_share: f64,
    /// How many such files those have.
    pub new_files: usize,
    /// Of all requests, those that repeat a known action.
    pub hit_share: f64,
    /// The compiler, as it would be called.
    pub compiler: String,
    /// Name the toolchain in each request.
    pub toolchain_included: bool,
    /// Root of the tree that is asked for.
    pub exec_root: Option<String>,
    /// Platform dimensions besides `os:linux`.
    pub dimensions: Vec<String>,
    /// The server's processes, if they run on this machine and their cost is to be told.
    pub server_pids: Vec<u32>,
    /// Where the sources are made; else where temporary files go.
    pub dir: Option<PathBuf>,
}

impl LoadConfig {
    /// Refuses what cannot be meant.
    ///
    /// # Errors
    /// Names the flag.
    pub fn check(&self) -> Result<()> {
        let refuse = |flag, reason: &str| Err(Error::Config { flag, reason: reason.to_owned() });
        let is_share = |share: f64| (0.0..=1.0).contains(&share);
        match self.pace {
            Pace::Closed { workers: 0 } => return refuse("--workers", "must be 1 or more"),
            Pace::Open { rate, .. } if !(rate > 0.0 && rate.is_finite()) => {
                return refuse("--rate", "must be over 0");
            }
            Pace::Open { max_in_flight: 0, .. } => {
                return refuse("--max-in-flight", "must be 1 or more");
            }
            _ => {}
        }
        if self.duration.is_zero() {
            return refuse("--duration", "must be over 0");
        }
        if self.inputs.is_empty() || self.inputs.contains(&0) {
            return refuse("--inputs", "must be numbers of 1 or more");
        }
        if self.input_bytes == 0 || self.input_bytes > MAX_INPUT_BYTES {
            return refuse("--input-bytes", "must be from 1 to 2097152");
        }
        if self.actions == 0 {
            return refuse("--actions", "must be 1 or more");
        }
        if !is_share(self.new_share) {
            return refuse("--new-share", "must be from 0 to 1");
        }
        // Sums of shares such as 0.9 and 0.1 may be a little over 1.
        if !is_share(self.hit_share) || self.hit_share + self.new_share > 1.0 + 1e-9 {
            return refuse("--hit-share", "must be from 0 to what --new-share leaves");
        }
        if self.verb == Verb::Lookup && self.hit_share < 1.0 {
            return refuse("--hit-share", "lookups are of known files only");
        }
        Ok(())
    }

    pub(crate) fn window(&self) -> Window {
        Window { warmup: self.warmup, duration: self.duration }
    }

    pub(crate) fn workload(&self) -> Workload {
        Workload {
            seed: self.seed,
            sizes: self.inputs.len(),
            actions: self.actions,
            users: self.way.tokens.len().max(1),
            new_share: self.new_share,
            hit_share: self.hit_share,
        }
    }

    /// What sends its requests, from now on.
    pub(crate) fn sender(&self) -> Sender {
        self.way.sender(self.window(), self.inputs.len())
    }

    /// The client that prepares what a user's compiles need.
    pub(crate) fn client(&self, token: Option<String>) -> ClientConfig {
        let mut client = ClientConfig::new(self.way.server.clone(), false);
        client.seed = self.seed;
        client.token = token;
        client.toolchain_included = self.toolchain_included;
        client.exec_root.clone_from(&self.exec_root);
        client.coding = self.way.coding;
        client.dimensions.clone_from(&self.dimensions);
        client.manners.first_byte = self.way.timeout;
        client
    }

    pub(crate) fn settings(&self) -> SettingsReport {
        let mut settings = SettingsReport {
            server: self.way.url.clone(),
            verb: match self.verb {
                Verb::Exec => "exec",
                Verb::Store => "store",
                Verb::Lookup => "lookup",
            }
            .to_owned(),
            duration_s: self.duration.as_secs_f64(),
            warmup_s: self.warmup.as_secs_f64(),
            seed: self.seed,
            inputs: self.inputs.clone(),
            input_bytes: self.input_bytes,
            actions: self.actions,
            new_share: self.new_share,
            new_files: self.new_files,
            hit_share: self.hit_share,
            users: self.way.tokens.len().max(1),
            two_writes: self.way.two_writes,
            compression: self.way.coding.is_some(),
            timeout_s: self.way.timeout.as_secs_f64(),
            compiler: (self.verb == Verb::Exec).then(|| self.compiler.clone()),
            ..Default::default()
        };
        match self.pace {
            Pace::Closed { workers } => settings.workers = Some(workers),
            Pace::Open { rate, arrivals, ramp, max_in_flight } => {
                settings.rate = Some(rate);
                let name = match arrivals {
                    Arrivals::Poisson => "poisson",
                    Arrivals::Fixed => "fixed",
                };
                settings.arrivals = Some(name.to_owned());
                settings.ramp_s = ramp.as_secs_f64();
                settings.max_in_flight = Some(max_in_flight);
            }
        }
        settings
    }
}
