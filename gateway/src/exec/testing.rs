//! Jobs for the tests of the stages.

use goma_common::FileKey;
use goma_proto::api::exec_req::Input;
use goma_proto::api::{CommandSpec, ExecReq};

use super::job::Job;
use crate::command::Flags;
use crate::identity::Caller;

/// This command line in `/home/u/src`, whose compiler has `/usr/include`, with these inputs.
pub(super) fn job(line: &str, inputs: &[&str]) -> Job {
    Job::parse(request(line, inputs).into(), &Caller::default(), &Flags::default()).expect("a job")
}

/// The request behind [`job`].
pub(super) fn request(line: &str, inputs: &[&str]) -> ExecReq {
    let arg: Vec<String> = line.split(' ').map(ToOwned::to_owned).collect();
    let include = vec!["/usr/include".to_owned()];
    ExecReq {
        command_spec: Some(CommandSpec {
            name: Some(arg[0].clone()),
            binary_hash: Some("ab".repeat(32).into()),
            local_compiler_path: Some(format!("/usr/bin/{}", arg[0])),
            system_include_path: include,
            ..Default::default()
        }),
        arg,
        cwd: Some("/home/u/src".to_owned()),
        input: inputs.iter().map(|name| input(name)).collect(),
        ..Default::default()
    }
}

fn input(name: &str) -> Input {
    Input {
        filename: Some(name.to_owned()),
        hash_key: Some(FileKey::of_file(name.as_bytes()).hex()),
        content: None,
    }
}
