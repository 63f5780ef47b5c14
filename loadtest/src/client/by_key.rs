//! A request that names all of its inputs by key: what a compile sends whose files are all known.

use std::collections::HashMap;
use std::sync::Arc;

use goma_proto::api::ExecReq;
use goma_proto::api::exec_req::Input;

use super::blocking::blocking;
use super::files::Source;
use super::prepared::Prepared;
use super::process::Client;
use super::request;
use crate::error::Result;

/// The request, and where the contents of its inputs are should the server ask for them.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    pub(crate) request: ExecReq,
    pub(crate) sources: HashMap<String, Source>,
}

impl Client {
    /// What was prepared, as a request of the `task`th compile. Reads files.
    ///
    /// # Errors
    /// An input that cannot be read.
    pub(crate) async fn by_key(&self, prepared: &Prepared, task: u64) -> Result<Named> {
        let (process, job) = (Arc::clone(self.process()), Arc::clone(&prepared.job));
        let policy = prepared.cache_policy;
        blocking(move || {
            let mut inputs = Vec::with_capacity(job.inputs.len());
            for (name, source) in &job.inputs {
                inputs.push(Input {
                    filename: Some(name.clone()),
                    hash_key: Some(process.files.look(source)?.hashed.key.hex()),
                    content: None,
                });
            }
            let requester = process.identity.requester(task, 0);
            let toolchain = process.config.toolchain_included;
            let request = request::exec_req(&job, inputs, requester, toolchain, policy);
            Ok(Named { request, sources: job.inputs.clone().into_iter().collect() })
        })
        .await
    }
}
