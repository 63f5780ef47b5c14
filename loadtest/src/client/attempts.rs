//! The loop of one compile: send, send what is missing, try again where that is allowed, take the
//! outputs.

use std::sync::Arc;

use goma_proto::api::exec_req::{CachePolicy, Input};
use goma_proto::api::exec_resp::ExecError;
use goma_proto::api::{ExecReq, ExecResp, ExecResult, RequesterInfo};
use tokio::time::Instant;

use super::blocking::blocking;
use super::embed::Sending;
use super::inputs::{self, Missing, Plan};
use super::job::Job;
use super::outcome::Outcome;
use super::outputs::Outputs;
use super::process::Process;
use super::request;
use super::store::store;
use crate::error::{Error, Result};
use crate::http::Traffic;
use crate::lock::lock;
use crate::stock::{Temper, Verdict};

/// Runs `job` to its end.
pub(crate) async fn run(
    process: &Arc<Process>,
    job: Arc<Job>,
    task: u64,
    policy: Option<CachePolicy>,
) -> Outcome {
    let outcome = Outcome { exit_status: -1, inputs: job.inputs.len(), ..Outcome::default() };
    let mut attempts = Attempts {
        temper: process.config.temper(),
        process,
        job,
        task,
        policy,
        traffic: Traffic::default(),
        missing: Missing::default(),
        ready: None,
        outcome,
    };
    attempts.run().await;
    let Attempts { traffic, mut outcome, .. } = attempts;
    outcome.bytes_sent = traffic.sent();
    outcome.bytes_received = traffic.received();
    outcome
}

/// The state of the loop.
struct Attempts<'a> {
    process: &'a Arc<Process>,
    temper: Temper,
    job: Arc<Job>,
    task: u64,
    policy: Option<CachePolicy>,
    traffic: Traffic,
    missing: Missing,
    /// Inputs that were sent and may be sent again as they are.
    ready: Option<(Vec<Plan>, Vec<Input>)>,
    outcome: Outcome,
}

/// How one attempt ended.
enum Step {
    /// There is a result, or a reason why there will be none.
    Done,
    /// For this reason there is no result yet.
    Again(String, Verdict),
}

impl Attempts<'_> {
    async fn run(&mut self) {
        let mut attempt = 0;
        loop {
            match self.step(attempt).await {
                Step::Done => return,
                Step::Again(why, Verdict::Stop(reason)) => {
                    self.outcome.failure = Some(format!("{why} ({reason})"));
                    return;
                }
                Step::Again(_, Verdict::Again(pause)) => tokio::time::sleep(pause).await,
            }
            attempt += 1;
        }
    }

    async fn step(&mut self, attempt: u32) -> Step {
        let requester = self.process.identity.requester(self.task, attempt);
        let (plans, inputs) = match self.ready.take() {
            Some(ready) => ready,
            None => match self.prepare(&requester).await {
                Ok(ready) => ready,
                Err(error) => return self.after_error(error, attempt),
            },
        };
        self.outcome.attempts += 1;
        self.outcome.embedded_total += inputs.iter().filter(|i| i.content.is_some()).count();
        let request = self.request(&inputs, &requester);
        let asked_at = Instant::now();
        let call = self.process.transport.call::<ExecResp>("/e", &request, &self.traffic);
        let response = match call.await {
            Ok(response) => response,
            Err(failure) => {
                self.ready = Some((plans, inputs));
                return self.after_error(failure.into(), attempt);
            }
        };
        let missing = response.missing_input.len();
        self.process.trap.learn(attempt, inputs.len(), missing);
        if missing > 0 {
            self.outcome.missing_total += missing;
            let why = format!("{missing} of {} inputs missing", inputs.len());
            let names = response.missing_input.into_iter().collect();
            self.missing = Missing { names, asked_at: Some(asked_at) };
            return Step::Again(why, self.temper.again(attempt, self.is_healthy()));
        }
        self.missing = Missing::default();
        if !response.error_message.is_empty() {
            self.ready = Some((plans, inputs));
            return self.after_message(response, attempt);
        }
        self.accept(&plans, &inputs);
        self.finish(response.result.unwrap_or_default(), response.cache_hit, &requester, attempt)
            .await
    }

    /// Plans, stores and reads the inputs of the next Exec.
    async fn prepare(&self, requester: &RequesterInfo) -> Result<(Vec<Plan>, Vec<Input>)> {
        let plans = {
            let (process, job) = (Arc::clone(self.process), Arc::clone(&self.job));
            let missing = self.missing.clone();
            blocking(move || inputs::plan(&process, &job, &missing)).await?
        };
        for plan in plans.iter().filter(|plan| plan.sending == Sending::Store) {
            let transport = &self.process.transport;
            store(transport, requester, &plan.source, &plan.hashed, &self.traffic).await?;
            self.process.files.accept(&plan.source, plan.hashed.key, Some(Instant::now()));
        }
        let process = Arc::clone(self.process);
        let missing = self.missing.clone();
        blocking(move || {
            let inputs = inputs::fill(&process, &plans, &missing)?;
            Ok((plans, inputs))
        })
        .await
    }

    fn request(&self, inputs: &[Input], requester: &RequesterInfo) -> ExecReq {
        request::exec_req(
            &self.job,
            inputs.to_vec(),
            requester.clone(),
            self.process.config.toolchain_included,
            self.policy,
        )
    }

    /// What was embedded in a request that lacked nothing counts as sent.
    fn accept(&self, plans: &[Plan], inputs: &[Input]) {
        let now = Instant::now();
        for (plan, _) in plans.iter().zip(inputs).filter(|(_, input)| input.content.is_some()) {
            self.process.files.accept(&plan.source, plan.hashed.key, Some(now));
        }
    }

    fn after_error(&mut self, error: Error, attempt: u32) -> Step {
        let words = error.to_string();
        let verdict = match &error {
            Error::Http(failure) => {
                self.outcome.http_failures.push(words.clone());
                self.temper.after_failure(failure, attempt, self.is_healthy())
            }
            Error::Answer(_) => self.temper.again(attempt, self.is_healthy()),
            _ => Verdict::Stop("not the server's doing"),
        };
        Step::Again(words, verdict)
    }

    /// The server says in words why there is no result.
    fn after_message(&mut self, response: ExecResp, attempt: u32) -> Step {
        let words = response.error_message.join("; ");
        let fatal = response.error() == ExecError::BadRequest;
        self.outcome.error_messages.extend(response.error_message);
        if let Some(result) = response.result {
            let passed = result.exit_status == Some(0);
            self.outcome.exit_status = result.exit_status.unwrap_or(-1);
            if passed {
                let trap = "with exit status 0 the stock client would report success";
                return Step::Again(words, Verdict::Stop(trap));
            }
        }
        let verdict = if fatal {
            Verdict::Stop("bad request")
        } else {
            self.temper.again(attempt, self.is_healthy())
        };
        Step::Again(words, verdict)
    }

    /// There is a result: shows it, and writes the outputs of a good one.
    async fn finish(
        &mut self,
        result: ExecResult,
        cache_hit: Option<i32>,
        requester: &RequesterInfo,
        attempt: u32,
    ) -> Step {
        self.outcome.cache_hit = cache_hit.unwrap_or(0);
        self.outcome.exit_status = result.exit_status.unwrap_or(-1);
        self.outcome.stdout = result.stdout_buffer.unwrap_or_default().into();
        self.outcome.stderr = result.stderr_buffer.unwrap_or_default().into();
        if let Some(claimed) = &result.command_spec {
            let asked = request::command_spec(&self.job);
            if let Some(field) = lock(&self.process.disabled).learn(&asked, claimed) {
                let why = format!("the server used another compiler: its {field} differs");
                return Step::Again(why, Verdict::Stop("the stock client disables the compiler"));
            }
        }
        match self.outcome.exit_status {
            0 => {}
            -1 => {
                let nothing = "an answer without a result".to_owned();
                return Step::Again(nothing, Verdict::Stop("the stock client fails silently"));
            }
            _ => return Step::Done,
        }
        let outputs = Outputs {
            transport: &self.process.transport,
            requester,
            traffic: &self.traffic,
            cwd: &self.job.cwd,
            expected: &self.job.line.outputs,
        };
        match outputs.write(&result.output).await {
            Ok(written) => self.outcome.outputs = written,
            Err(error) => {
                // The server believes in outputs that it cannot give: only a new run has them.
                if matches!(error, Error::Http(_) | Error::Answer(_)) {
                    self.policy = Some(CachePolicy::StoreOnly);
                }
                return self.after_error(error, attempt);
            }
        }
        let written = &self.outcome.outputs;
        let lacking = |name: &&String| !written.iter().any(|file| file.name == **name);
        if let Some(name) = self.job.line.outputs.iter().find(lacking) {
            let trap = "the stock client would report success without the file";
            let why = format!("exit status 0 without the expected output {name}");
            return Step::Again(why, Verdict::Stop(trap));
        }
        Step::Done
    }

    fn is_healthy(&self) -> bool {
        self.process.transport.is_healthy()
    }
}
