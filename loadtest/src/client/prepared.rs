//! A compile of which all is known but its result.

use std::sync::Arc;
use std::time::Duration;

use goma_proto::api::exec_req::CachePolicy;

use super::job::Job;

/// What [`Client::prepare`](super::Client::prepare) found out.
#[derive(Clone, Debug)]
pub struct Prepared {
    pub(crate) job: Arc<Job>,
    pub(crate) cache_policy: Option<CachePolicy>,
    pub(crate) scan_time: Duration,
}

impl Prepared {
    /// What the compile will write, as its command line names it; the object first.
    #[must_use]
    pub fn outputs(&self) -> &[String] {
        &self.job.line.outputs
    }

    /// Names of the inputs as they will be sent, sorted.
    pub fn inputs(&self) -> impl Iterator<Item = &str> {
        self.job.inputs.keys().map(String::as_str)
    }
}
