//! Has the worker run an action, and recovers from inputs that the backend has lost.

use std::collections::HashSet;
use std::time::Duration;

use goma_common::backoff::Backoff;
use goma_common::reapi::Execution;
use goma_common::shards::{Source, Trust};
use goma_common::{Code, Deadline, Error};
use goma_proto::reapi::ActionResult;
use tracing::Instrument;
use tracing::debug_span;

use super::Exec;
use super::action::Plan;
use super::ensure;
use super::inputs::Inputs;
use super::job::Job;
use super::outputs;
use super::verdict;
use crate::outcome::Outcome;
use crate::refusal::{Refusal, impossible};
use crate::trail::stage;

/// Runs the plan to its outcome. `must_run` keeps the backend from answering out of its cache.
pub(super) async fn run(
    exec: &Exec,
    job: &Job,
    inputs: &Inputs<'_>,
    plan: &Plan,
    mut must_run: bool,
    deadline: Deadline,
) -> Result<Outcome, Refusal> {
    let mut trust = Trust::Presence;
    let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
    let mut retries = 0;
    loop {
        let present = ensure::closure(exec, job, inputs, plan, trust, deadline)
            .instrument(debug_span!("ensure", blobs = plan.made.len() + plan.stored.len()));
        stage("ensure", present).await?;
        let error = match once(exec, plan, must_run, job.source, deadline).await {
            Err(Refusal::Failed(error)) => error,
            Err(refusal) => return Err(refusal),
            Ok(outcome) => return Ok(outcome),
        };
        retries += 1;
        if !may_be_lost_inputs(&error) || retries > exec.config.max_retries {
            return Err(error.into());
        }
        tracing::warn!(%error, retries, "execution failed: looking for lost blobs, then again");
        // What was believed may be wrong; a result that has lost its outputs must not come again.
        trust = Trust::Nothing;
        must_run |= error.code == Code::NotFound;
        exec.shards.forget(&error.missing, deadline).await?;
        tokio::time::sleep(backoff.delay()).await;
    }
}

async fn once(
    exec: &Exec,
    plan: &Plan,
    must_run: bool,
    source: Source,
    deadline: Deadline,
) -> Result<Outcome, Refusal> {
    let execution = Execution::new(plan.action, must_run);
    let executed = exec
        .backend
        .executor
        .execute(&execution, deadline)
        .instrument(debug_span!("execute", action = %plan.action));
    let executed = stage("execute", executed).await.map_err(refused)?;
    let deadline = deadline.at_most(exec.config.timeouts.outputs);
    let links = links(plan, &executed.result);
    let collected =
        outputs::collect(exec, plan, executed.result, executed.cached, source, deadline)
            .instrument(debug_span!("outputs"));
    let collected = stage("outputs", collected).await?;
    let worker = verdict::of_the_worker(&plan.program, collected.exit_status, &collected.stderr);
    let failed = collected.exit_status != 0;
    match worker.or_else(|| failed.then(|| plan.told.not_found(&collected.stderr)).flatten()) {
        Some(why) => impossible(why),
        None => match &collected.lacking {
            Some(name) if !failed => impossible(lacks(plan, &links, name)),
            _ => Ok(collected),
        },
    }
}

/// The expected outputs that a worker made as symbolic links, by the client's names.
#[allow(deprecated, reason = "backends before REAPI 2.1 tell them apart by what they lead to")]
fn links(plan: &Plan, result: &ActionResult) -> HashSet<String> {
    let ActionResult { output_symlinks, output_file_symlinks, .. } = result;
    let links = [output_symlinks, output_file_symlinks, &result.output_directory_symlinks];
    let names = links.into_iter().flatten().filter_map(|link| {
        plan.outputs.get(&link.path).or_else(|| plan.output_dirs.get(&link.path))
    });
    names.cloned().collect()
}

/// What became of an output that a compile which ended well did not leave.
fn lacks(plan: &Plan, links: &HashSet<String>, name: &str) -> String {
    if links.contains(name) {
        return format!("output {name:?} is a symbolic link, which a client cannot be given");
    }
    let in_it = plan.output_dirs.values().any(|dir| dir == name);
    let or =
        if in_it { ", or put a symbolic link into it, which a client cannot be given" } else { "" };
    format!("the compiler ended well on the worker but did not make {name:?}{or}")
}

/// What a backend will not run, it will not run when asked again: a platform that no worker has, an
/// instance that is not ours to use. As an answer with its words the client compiles by itself and
/// its log tells why; as a 5xx it would ask again or fall back without a reason, and slow down.
///
/// Not `Unauthenticated`: a token that has run out is renewed, and the same call then passes.
pub(super) fn refused(error: Error) -> Refusal {
    match error.code {
        Code::InvalidArgument | Code::PermissionDenied => Refusal::Impossible(error.message),
        _ => Refusal::Failed(error),
    }
}

/// Some backends name the lost blobs, some say only that something is missing, some call it
/// internal; outputs that vanish before they are read are lost too.
fn may_be_lost_inputs(error: &Error) -> bool {
    matches!(error.code, Code::MissingBlobs | Code::Internal | Code::NotFound | Code::DataLoss)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_backend_will_never_run_is_refused_in_its_words() {
        for code in [Code::InvalidArgument, Code::PermissionDenied] {
            match refused(Error::new(code, "no worker has property \"pool\"")) {
                Refusal::Impossible(why) => assert!(why.contains("pool"), "{why}"),
                other => panic!("{code:?}: {other:?}"),
            }
        }
        for code in [Code::Unauthenticated, Code::Unavailable, Code::Internal, Code::MissingBlobs] {
            let refusal = refused(Error::new(code, "later"));
            assert!(matches!(refusal, Refusal::Failed(_)), "{code:?}: {refusal:?}");
        }
    }
}
