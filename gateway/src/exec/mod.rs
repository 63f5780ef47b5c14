//! The path of a compile: ten stages, one file each.
//!
//! | stage | file | what it does |
//! |---|---|---|
//! | admit | `admission.rs` | room for the request, before its body is read |
//! | job | [`job`] | the request, validated; Goma types end here; [`fields`] has the bounds |
//! | platform | [`toolchain`] | which compiler, where; which workers |
//! | inputs | [`inputs`] | file keys to digests; what came along is stored; what is missing is named |
//! | tree | [`tree`] | Merkle directories under the input root; [`directory`] writes each |
//! | action | [`action`] | Command and Action |
//! | cached | [`cached`] | a result that is there already |
//! | ensure | [`ensure`] | every blob of the action in the CAS |
//! | execute | [`execute`] | the worker's result |
//! | outputs | [`outputs`] | the result as an answer; [`directories`] finds the files of whole ones, [`kept`] has those of before |
//!
//! [`layout`] decides between them where each file stands, [`system`] whether the worker's own
//! system files may stand in for the client's, and [`sysroot`] lays those out where they may not;
//! [`placing`] moves the paths of the command line there. [`rewrite`] is for backends that run a
//! compile where they like though its result tells the place. [`told`] gives outputs the client's
//! paths, [`text`] keeps what the compiler prints within bounds, and [`verdict`] tells a worker's failure
//! from the compiler's. [`windows`] makes a Windows client's compile one of
//! these. [`miss`] is what a compile is compared by with the last of its output.

mod action;
mod cached;
mod directories;
mod directory;
mod ensure;
mod execute;
mod fields;
#[cfg(fuzzing)]
pub(crate) mod fuzzing;
mod inputs;
mod job;
mod kept;
mod layout;
mod miss;
mod outputs;
mod placing;
mod rewrite;
mod sysroot;
mod system;
#[cfg(test)]
mod testing;
mod text;
mod told;
mod toolchain;
mod tree;
mod verdict;
mod windows;

use std::sync::Arc;
use std::time::Instant;

use goma_common::Deadline;
use goma_common::reapi::{self, Backend, with_invocation};
use goma_common::shards::Shards;
use goma_proto::api::ExecResp;
use tracing::Instrument;
use tracing::debug_span;

use crate::admission::Answers;
use crate::answer::{self, Answer};
use crate::config::GatewayConfig;
use crate::files::Files;
use crate::identity::Caller;
use crate::outcome::Outcome;
use crate::place::Place;
use crate::posted::Posted;
use crate::refusal::{Refusal, impossible};
use crate::shares::Shares;
use crate::status::Misses;
use crate::trail::{note, stage, step};
use crate::worker::WorkerFiles;
use action::{Plan, SystemFiles};
use cached::Cached;
use job::{CachePolicy, Job};
pub(crate) use kept::KeptOutputs;
use layout::Layout;
pub(crate) use rewrite::PathSearch;

/// Serves compiles.
pub(crate) struct Exec {
    config: Arc<GatewayConfig>,
    shards: Arc<dyn Shards>,
    backend: Backend,
    worker: Arc<dyn WorkerFiles>,
    files: Arc<Files>,
    common: Common,
}

/// What all compiles of a gateway share, whoever's they are and wherever they run; a clone is the same.
#[derive(Clone)]
pub(crate) struct Common {
    pub(crate) shares: Shares,
    pub(crate) answers: Answers,
    pub(crate) misses: Arc<Misses>,
    pub(crate) kept: Arc<KeptOutputs>,
}

impl Exec {
    pub(crate) fn new(
        config: Arc<GatewayConfig>,
        place: Place,
        files: Arc<Files>,
        common: Common,
    ) -> Self {
        let Place { backend, shards, worker } = place;
        Self { config, shards, backend, worker, files, common }
    }

    /// The answer to a request. Only what may pass by itself is an error; what cannot be done is an answer that says so.
    pub(crate) async fn serve(
        &self,
        posted: Posted,
        caller: &Caller,
        deadline: Deadline,
    ) -> goma_common::Result<Answer<ExecResp>> {
        let started = Instant::now();
        let what = answer::Described::of(&posted);
        let deadline = deadline.at_most(self.config.timeouts.execute);
        // On the heap: each layer around it would hold it twice and move it, a hundred kilobytes a time.
        let ended = Box::pin(self.compile(posted, caller, deadline));
        let ended = with_invocation(what.invocation(), ended).await;
        what.log(&ended, started.elapsed());
        note(|told| what.note(&ended, told));
        match ended {
            Ok(outcome) => Ok(answer::done(outcome, &what)),
            Err(Refusal::Missing(names) | Refusal::Lost(names)) => {
                Ok(answer::missing(names, &what).into())
            }
            Err(Refusal::Impossible(why)) => Ok(answer::bad_request(why, &what).into()),
            Err(Refusal::Failed(error)) => Err(error),
        }
    }

    async fn compile(
        &self,
        posted: Posted,
        caller: &Caller,
        deadline: Deadline,
    ) -> Result<Outcome, Refusal> {
        let job = debug_span!("job")
            .in_scope(|| step("job", || Job::parse(posted, caller, &self.config.flags)))?;
        let outcome = self.run(&job, caller, deadline).await.map_err(|refusal| match refusal {
            // Whatever a backend finds invalid about our calls is not the client's fault.
            Refusal::Failed(error) => Refusal::Failed(error.of_the_server()),
            other => other,
        })?;
        match &outcome.leaking {
            Some(name) => impossible(format!(
                "{name:?} would name the directory that it was compiled in on the worker"
            )),
            None => Ok(outcome),
        }
    }

    async fn run(
        &self,
        job: &Job,
        caller: &Caller,
        deadline: Deadline,
    ) -> Result<Outcome, Refusal> {
        let config = self.config.as_ref();
        let toolchain = debug_span!("platform").in_scope(|| {
            step("platform", || toolchain::choose(job, &config.compilers, self.worker.as_ref()))
        })?;
        let properties = toolchain::properties(job, &toolchain, config);
        let inputs =
            inputs::gather(self, job, &toolchain, deadline.at_most(config.timeouts.inputs))
                .instrument(debug_span!("inputs", count = job.inputs.len()));
        let inputs = stage("inputs", inputs).await?;
        note(|told| told.input_bytes = inputs.files.iter().map(|(_, digest)| digest.size).sum());
        let layout = Layout::of(job, &inputs, &toolchain, config.absolute_paths)?;
        let plan = |system| {
            let plan = || Plan::new(job, &inputs, &toolchain, &layout, &properties, config, system);
            let plan = debug_span!("action").in_scope(|| step("action", plan))?;
            note(|told| told.action = Some(plan.action));
            reapi::is_for(plan.action);
            Ok::<_, Refusal>(plan)
        };

        // With the worker's own system files first: it is the common case, and a result that is
        // cached under the hashes of the client's files is right whatever the workers have by now.
        let mut planned = plan(SystemFiles::Workers)?;
        let mut looked = self.cached(job, &planned, deadline).await?;
        if let Cached::Hit(hit) = looked {
            return Ok(*hit);
        }
        let expected = system::expectations(job, &inputs, &toolchain);
        let agrees = system::verify(self, &properties, &expected, deadline)
            .instrument(debug_span!("system", files = expected.len()));
        let agrees = stage("system", agrees).await?;
        if !agrees {
            if !job.reading.family.compiles_c() {
                return impossible(format!(
                    "the worker's system files are others than the client's, and {} cannot be given \
                     those in their place",
                    job.compiler.name
                ));
            }
            planned = plan(SystemFiles::Clients)?;
            looked = self.cached(job, &planned, deadline).await?;
            if let Cached::Hit(hit) = looked {
                return Ok(*hit);
            }
        }
        if job.policy == CachePolicy::LookupOnly {
            return impossible("there is no cached result, and the client asked for no other");
        }
        let miss = self.common.misses.compare(&miss::compile(
            job,
            &inputs,
            &toolchain,
            &properties,
            caller,
        ));
        note(|told| told.miss = Some(miss));
        let _turn = self.common.shares.enter(caller.compile_share(), caller.source()).await?;
        execute::run(self, job, &inputs, &planned, looked.must_run(job), deadline).await
    }

    /// A result that is there already, unless the client wants none.
    async fn cached(&self, job: &Job, plan: &Plan, deadline: Deadline) -> Result<Cached, Refusal> {
        if job.policy == CachePolicy::StoreOnly {
            return Ok(Cached::Miss);
        }
        let look = cached::look(self, plan, job.source, deadline);
        look.instrument(debug_span!("cached", action = %plan.action)).await
    }
}
