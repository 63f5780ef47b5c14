//! Asks the action cache, and believes it only if the outputs are really there.

use goma_common::shards::Source;
use goma_common::{Code, Deadline, Error};
use tracing::Instrument;
use tracing::debug_span;

use super::Exec;
use super::action::Plan;
use super::job::{CachePolicy, Job};
use super::outputs;
use crate::outcome::Outcome;
use crate::refusal::Refusal;
use crate::trail::stage;

/// What the cache said.
pub(super) enum Cached {
    /// The result, with its outputs.
    Hit(Box<Outcome>),
    /// Nothing.
    Miss,
    /// A result that is of no use: an output is gone, or was never made.
    Stale,
}

impl Cached {
    /// Whether the backend must not answer from its cache: it would give a stale result again.
    pub(super) fn must_run(&self, job: &Job) -> bool {
        matches!(self, Self::Stale) || job.policy == CachePolicy::StoreOnly
    }
}

/// Whether time ran out, here or where we asked.
fn is_late(error: &Error, asked: Deadline) -> bool {
    error.code == Code::DeadlineExceeded || (asked.is_past() && error.code.is_transient())
}

/// Looks the plan's action up.
pub(super) async fn look(
    exec: &Exec,
    plan: &Plan,
    source: Source,
    deadline: Deadline,
) -> Result<Cached, Refusal> {
    let wanted: Vec<String> = match exec.common.kept.has_all_of(plan.action) {
        true => Vec::new(),
        false => plan.outputs.keys().cloned().collect(),
    };
    let timeouts = &exec.config.timeouts;
    let asked = deadline.at_most(timeouts.cached);
    let result = stage("cached", exec.backend.action_cache.get(plan.action, &wanted, asked)).await;
    let result = match result {
        Ok(Some(result)) => result,
        Ok(None) => return Ok(Cached::Miss),
        // Whoever executes looks there too, and waits for longer.
        Err(error) if is_late(&error, asked) && !deadline.is_past() => {
            tracing::warn!(%error, "the action cache does not answer: going on without it");
            return Ok(Cached::Miss);
        }
        Err(error) => return Err(error.into()),
    };
    if result.exit_code != 0 {
        // Some backends cache failures; a user who repeats a failed compile wants it tried again.
        return Ok(Cached::Stale);
    }
    let deadline = deadline.at_most(timeouts.outputs);
    let collected = outputs::collect(exec, plan, result, true, source, deadline)
        .instrument(debug_span!("outputs"));
    let collected = stage("outputs", collected).await;
    match collected {
        Ok(outcome) if outcome.lacking.is_none() => Ok(Cached::Hit(Box::new(outcome))),
        Ok(_) => Ok(Cached::Stale),
        Err(error) if error.code == Code::NotFound => {
            tracing::info!(%error, "a cached result has lost its outputs: compiling again");
            Ok(Cached::Stale)
        }
        Err(error) => Err(error.into()),
    }
}
