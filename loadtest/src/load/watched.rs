//! A run under way, seen to its end and told as a report.

use std::time::Duration;

use super::sender::Sender;
use super::server_process::{ServerProcesses, own_cpu_ms};
use super::watch::{Progress, watch};
use crate::error::Result;
use crate::lock::lock;
use crate::report::{LoadReport, SettingsReport, thousandths};

/// What sends, and what is looked at meanwhile.
pub(crate) struct Watched<'a> {
    pub(crate) sender: &'a Sender,
    /// Nothing in it counts.
    pub(crate) warmup: Duration,
    /// The server's processes on this machine.
    pub(crate) pids: &'a [u32],
    /// The same as they were before the warm-up.
    pub(crate) server: Option<ServerProcesses>,
}

impl Watched<'_> {
    /// Lets `sending` come to its end, or gives it up at `stop`; `told` hears every second how it is going.
    ///
    /// # Errors
    /// What `sending` ends with.
    pub(crate) async fn until(
        mut self,
        sending: impl Future<Output = Result<()>>,
        stop: impl Future<Output = ()>,
        told: &impl Fn(Progress),
        settings: SettingsReport,
    ) -> Result<LoadReport> {
        let (sender, own) = (self.sender, own_cpu_ms());
        tokio::select! {
            ended = sending => ended?,
            () = watch(sender, self.warmup, self.pids, &mut self.server, told) => {}
            () = stop => lock(&sender.measured).stop(sender.start.elapsed()),
        }
        let measured = lock(&sender.measured);
        let mut report = measured.report(settings);
        let own = own_cpu_ms().saturating_sub(own) as f64 / 1e3;
        report.generator.cores = thousandths(own / sender.start.elapsed().as_secs_f64());
        if let Some(mut server) = self.server {
            server.sample(sender.start.elapsed().saturating_sub(self.warmup));
            report.server = Some(server.report(measured.requests()));
        }
        Ok(report)
    }
}
