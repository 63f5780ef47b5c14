//! A member's process: started with the same command line each time, and ended by its id only.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

use crate::error::{Error, Result};

/// Variables that would change what our programs do behind their command lines' back.
const OTHERS: [&str; 3] = ["GOMA_", "REDISHOST", "REDISPORT"];
/// A killed process is gone within this, unless the machine is in trouble.
const GONE: Duration = Duration::from_secs(10);

/// What to run.
#[derive(Clone, Debug)]
pub(super) struct CommandLine {
    pub(super) program: PathBuf,
    pub(super) args: Vec<OsString>,
    /// Set in its environment.
    pub(super) env: Vec<(String, String)>,
}

/// A program that may be running. Dropping it kills it.
#[derive(Debug)]
pub(super) struct Process {
    name: String,
    line: CommandLine,
    /// Everything it prints, of all its runs.
    pub(super) log: PathBuf,
    child: Option<Child>,
    paused: bool,
}

impl Process {
    pub(super) fn new(name: &str, line: CommandLine, log: PathBuf) -> Self {
        Self { name: name.to_owned(), line, log, child: None, paused: false }
    }

    /// Starts it; it need not be ready when this returns.
    ///
    /// # Errors
    /// When it runs, or the machine does not let it.
    pub(super) fn start(&mut self) -> Result<()> {
        if self.is_running() {
            return Err(Error::member(&self.name, "it is running"));
        }
        let log = OpenOptions::new().create(true).append(true).open(&self.log);
        let log = log.map_err(|error| Error::file(&self.log, error))?;
        let both = log.try_clone().map_err(|error| Error::file(&self.log, error))?;
        let mut command = Command::new(&self.line.program);
        for (name, _) in std::env::vars_os() {
            if OTHERS.iter().any(|other| name.to_string_lossy().starts_with(other)) {
                command.env_remove(name);
            }
        }
        command.args(&self.line.args).envs(self.line.env.iter().cloned());
        command.stdin(Stdio::null()).stdout(both).stderr(log).kill_on_drop(true);
        // The terminal's ctrl-C is for us, who end it in our own way.
        command.process_group(0);
        let spawned = command.spawn();
        let program = self.line.program.display();
        self.child =
            Some(spawned.map_err(|e| Error::member(&self.name, format!("{program}: {e}")))?);
        self.paused = false;
        Ok(())
    }

    /// Its process id while it runs.
    pub(super) fn id(&self) -> Option<u32> {
        self.child.as_ref().and_then(Child::id)
    }

    pub(super) fn is_running(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// Whether it was stopped by [`pause`](Self::pause).
    pub(super) fn is_paused(&self) -> bool {
        self.paused
    }

    /// Stops it where it is: its connections stay open and silent.
    pub(super) fn pause(&mut self) -> Result<()> {
        self.signal(Signal::STOP)?;
        self.paused = true;
        Ok(())
    }

    /// Lets it go on.
    pub(super) fn resume(&mut self) -> Result<()> {
        self.signal(Signal::CONT)?;
        self.paused = false;
        Ok(())
    }

    /// As `kill -9`.
    pub(super) async fn kill(&mut self) -> Result<()> {
        self.signal(Signal::KILL)?;
        self.ended(GONE).await.map(drop)
    }

    /// As a supervisor ends it: SIGTERM, and all the time of `patience` to finish its work.
    pub(super) async fn terminate(&mut self, patience: Duration) -> Result<ExitStatus> {
        if self.paused {
            self.resume()?;
        }
        self.signal(Signal::TERM)?;
        self.ended(patience).await
    }

    async fn ended(&mut self, patience: Duration) -> Result<ExitStatus> {
        let Some(child) = &mut self.child else {
            return Err(Error::member(&self.name, "it is not running"));
        };
        let waited = tokio::time::timeout(patience, child.wait()).await;
        let status = match waited {
            Ok(status) => status.map_err(|error| Error::member(&self.name, error))?,
            Err(_) => {
                let seconds = patience.as_secs();
                return Err(Error::member(&self.name, format!("still running after {seconds} s")));
            }
        };
        self.child = None;
        self.paused = false;
        Ok(status)
    }

    /// To the very process that we started: its id is not given to another one before we waited for
    /// it.
    fn signal(&mut self, signal: Signal) -> Result<()> {
        let id = match self.is_running() {
            true => self.id().and_then(|id| Pid::from_raw(id.cast_signed())),
            false => None,
        };
        let id = id.ok_or_else(|| Error::member(&self.name, "it is not running"))?;
        kill_process(id, signal).map_err(|error| Error::member(&self.name, error))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use super::*;

    fn shell(script: &str, dir: &std::path::Path) -> Process {
        let args = ["-c", script].map(OsString::from).to_vec();
        let line = CommandLine {
            program: "/bin/sh".into(),
            args,
            env: vec![("WORD".into(), "said".into())],
        };
        Process::new("it", line, dir.join("it.log"))
    }

    #[tokio::test]
    async fn it_logs_ends_when_told_and_starts_again() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut process =
            shell("echo $WORD; trap 'exit 3' TERM; echo up; sleep 600 & wait", dir.path());
        for run in 1..=2 {
            process.start().expect("starts");
            assert!(process.start().is_err(), "it runs");
            let log = || std::fs::read_to_string(dir.path().join("it.log")).expect("a log");
            while log().matches("up\n").count() < run {
                tokio::task::yield_now().await;
            }
            assert_eq!(log(), "said\nup\n".repeat(run));
            process.pause().expect("stopped");
            let status = process.terminate(GONE).await.expect("ended");
            assert_eq!(status.code(), Some(3));
            assert!(!process.is_running() && process.id().is_none());
        }
        assert!(process.pause().is_err(), "nobody else gets the signal");
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_does_not_end_is_told_of_and_can_be_killed() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut process = shell("trap '' TERM; echo up; while :; do sleep 600; done", dir.path());
        process.start().expect("starts");
        while std::fs::read(dir.path().join("it.log")).expect("a log") != b"up\n" {
            tokio::task::yield_now().await;
        }
        let error = process.terminate(Duration::from_secs(7)).await.expect_err("it stays");
        assert_eq!(error.to_string(), "it: still running after 7 s");
        let id = process.id().expect("running");
        process.signal(Signal::KILL).expect("sent");
        let status = process.child.as_mut().expect("a child").wait().await.expect("waited for");
        assert_eq!((status.signal(), process.id()), (Some(9), None), "{id}");
    }
}
