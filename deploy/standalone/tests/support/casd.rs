//! buildbox-casd, a backend that is not ours, where it is installed.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

use super::eventually;
use super::http::Connection;
use goma_common::testing::free_port;

/// A running casd. Dropping it kills it.
pub struct Casd {
    child: Child,
    pub port: u16,
}

impl Casd {
    /// With this directory in place of the worker's `/usr/include`, if one is given; `None`, and a
    /// word about it, where casd is not installed.
    pub async fn start(dir: &Path, include: Option<&Path>) -> Option<Self> {
        Self::with_worker(dir, include, None).await
    }

    /// The same with another directory in place of the worker's `/usr/bin`, too.
    pub async fn with_worker(
        dir: &Path,
        include: Option<&Path>,
        bin: Option<&Path>,
    ) -> Option<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let programs = std::env::var_os("GOMA_TEST_CASD_DIR")
            .map_or_else(|| root.join("target/tools/casd"), PathBuf::from);
        if !programs.join("buildbox-casd").is_file() || !super::has_program("bwrap") {
            let dir = programs.display();
            super::skipped(&format!("no buildbox-casd in {dir}; .ci/install brings it"));
            return None;
        }
        let port = free_port();
        let log = std::fs::File::create(dir.join("casd.log")).expect("a log file");
        let mut command = Command::new(root.join(".ci/casd"));
        command.arg(port.to_string()).arg(dir.join("casd"));
        command.args([include, bin].map(|dir| dir.unwrap_or(Path::new(""))));
        command.env("GOMA_TEST_CASD_DIR", programs).kill_on_drop(true).stdin(Stdio::null());
        command.stdout(log.try_clone().expect("a log file")).stderr(log);
        let child = command.spawn().expect("casd starts");
        let mut casd = Self { child, port };
        eventually("casd listens", async || {
            let ended = casd.child.try_wait().expect("a child");
            assert!(ended.is_none(), "casd ended: {ended:?}; see {}", dir.display());
            Connection::open(port).await.is_some()
        })
        .await;
        Some(casd)
    }

    /// Ends it as it wants to be ended, so that nothing of it is left.
    pub async fn stop(mut self) {
        let id = self.child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        kill_process(id.expect("it runs"), Signal::TERM).expect("a signal");
        let ended = tokio::time::timeout(super::PATIENCE, self.child.wait()).await;
        ended.expect("it ends").expect("a child");
    }
}
