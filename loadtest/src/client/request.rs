//! Puts an ExecReq together in the stock client's shape.

use goma_proto::api::exec_req::{CachePolicy, Input};
use goma_proto::api::requester_info::PathStyle;
use goma_proto::api::{CommandSpec, ExecReq, RequesterInfo};

use super::config::ClientConfig;
use super::job::Job;

/// Who asks: the same for a whole process but for the number of the task.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    /// `anonymous@host:port/start`, without the task.
    process: String,
    pid: i32,
    dimensions: Vec<String>,
    exec_root: Option<String>,
}

impl Identity {
    pub(crate) fn new(config: &ClientConfig) -> Self {
        let start = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |since| since.as_nanos());
        let dimensions =
            ["os:linux".to_owned()].into_iter().chain(config.dimensions.iter().cloned());
        Self {
            process: format!("anonymous@goma-loadtest:8088/{start}"),
            pid: i32::try_from(std::process::id()).unwrap_or(1),
            dimensions: dimensions.collect(),
            exec_root: config.exec_root.clone(),
        }
    }

    /// Of the `attempt`th Exec (from 0) of this task.
    pub(crate) fn requester(&self, task: u64, attempt: u32) -> RequesterInfo {
        RequesterInfo {
            compiler_proxy_id: Some(format!("{}/{task}", self.process)),
            api_version: Some(2),
            pid: Some(self.pid),
            retry: i32::try_from(attempt).ok(),
            goma_revision: Some("0000000@0".into()),
            dimensions: self.dimensions.clone(),
            path_style: Some(PathStyle::PosixStyle.into()),
            exec_root: self.exec_root.clone(),
            ..Default::default()
        }
    }
}

/// The request for `job` with these inputs.
pub(crate) fn exec_req(
    job: &Job,
    inputs: Vec<Input>,
    requester: RequesterInfo,
    toolchain_included: bool,
    cache_policy: Option<CachePolicy>,
) -> ExecReq {
    ExecReq {
        command_spec: Some(command_spec(job)),
        arg: job.argv.clone(),
        expanded_arg: job.expanded.clone(),
        env: job.env.clone(),
        cwd: Some(job.cwd_sent.clone()),
        input: inputs,
        requester_info: Some(requester),
        cache_policy: cache_policy.map(Into::into),
        hermetic_mode: Some(true),
        trace: Some(false),
        expected_output_files: job.line.outputs.clone(),
        toolchain_included: toolchain_included.then_some(true),
        toolchain_specs: if toolchain_included {
            job.compiler.toolchain.clone()
        } else {
            Vec::new()
        },
        ..Default::default()
    }
}

/// The compiler that is asked for.
pub(crate) fn command_spec(job: &Job) -> CommandSpec {
    let compiler = &job.compiler;
    let (system, cxx) = if job.line.language.is_cxx() {
        (Vec::new(), compiler.include_dirs.clone())
    } else {
        (compiler.include_dirs.clone(), Vec::new())
    };
    CommandSpec {
        name: Some(compiler.name.to_owned()),
        version: Some(compiler.version.clone()),
        target: Some(compiler.target.clone()),
        binary_hash: Some(compiler.hash.clone().into()),
        local_compiler_path: Some(compiler.path.clone()),
        system_include_path: system,
        cxx_system_include_path: cxx,
        size: i64::try_from(compiler.size).ok(),
        ..Default::default()
    }
}
