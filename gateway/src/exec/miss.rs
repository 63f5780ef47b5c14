//! A compile as [`crate::status`] compares it with the last one of the same output.

use super::inputs::Inputs;
use super::job::Job;
use super::toolchain::Toolchain;
use crate::identity::Caller;
use crate::status::Compile;
use crate::worker::Properties;

/// What decides about its action.
pub(super) fn compile<'a>(
    job: &'a Job,
    inputs: &Inputs<'a>,
    toolchain: &Toolchain,
    properties: &Properties,
    caller: &'a Caller,
) -> Compile<'a> {
    let told = format!(
        "{} {} {:?} {:?} {:?}",
        job.compiler.name, toolchain.program, job.compiler.hash, job.env, properties
    );
    let output = job.outputs.first().map_or("", |output| output.path.as_str());
    let inputs = inputs.files.iter().map(|(input, digest)| (&*input.name, *digest));
    Compile {
        tenant: caller.tenant,
        user: &caller.name,
        output,
        arguments: &job.args,
        toolchain: told.into_bytes(),
        inputs: inputs.collect(),
    }
}
