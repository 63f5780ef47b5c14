//! Makes every blob of an action present in the CAS.

use std::collections::HashSet;

use goma_common::shards::{Blob, Trust};
use goma_common::{Deadline, Digest};

use super::Exec;
use super::action::Plan;
use super::inputs::{self, Inputs};
use super::job::Job;
use crate::refusal::{Refusal, impossible};

/// Asks the shards for the whole closure of the plan.
///
/// # Errors
/// [`Refusal::Lost`] for inputs that the CAS has lost and nobody here holds: their keys stay
/// known, only their contents are wanted again.
pub(super) async fn closure(
    exec: &Exec,
    job: &Job,
    inputs: &Inputs<'_>,
    plan: &Plan,
    trust: Trust,
    deadline: Deadline,
) -> Result<(), Refusal> {
    let mut blobs = plan.made.clone();
    blobs.extend(plan.stored.iter().map(|digest| Blob { digest: *digest, contents: None }));
    let mut missing = exec.shards.ensure(blobs.clone(), trust, job.source, deadline).await?;
    if !missing.is_empty() && trust == Trust::Presence {
        // What is believed may be gone too, and the client has but five attempts: it is told of all
        // at once.
        missing = exec.shards.ensure(blobs, Trust::Nothing, job.source, deadline).await?;
    }
    if missing.is_empty() {
        return Ok(());
    }
    exec.shards.forget(&missing, deadline).await?;
    let missing: HashSet<Digest> = missing.into_iter().collect();
    let lost: Vec<_> = inputs.files.iter().filter(|(_, digest)| missing.contains(digest)).collect();
    if lost.is_empty() {
        return impossible("files of the toolchain are not among the inputs and were never stored");
    }
    tracing::info!(count = lost.len(), "inputs are gone from the CAS: asking the client again");
    Err(Refusal::Lost(inputs::names(exec, job, lost.into_iter().map(|(input, _)| *input))))
}
