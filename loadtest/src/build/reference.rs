//! What local compiles made, to compare with: kept under what they depend on, so that a second run
//! compiles nothing locally.

use std::path::{Path, PathBuf};

use super::commands::Entry;
use super::local;
use crate::client::{Client, Outcome, Prepared};
use crate::error::{Error, Result};
use crate::report::UnitReport;

/// Exit status of the local compile; written last, so a directory without it is not whole.
const STATUS: &str = "exit-status";

/// A directory of results.
pub(super) struct References {
    root: PathBuf,
    /// Holds the directory where the user named none.
    _temporary: Option<tempfile::TempDir>,
}

/// One local compile's result.
pub(super) struct Reference {
    dir: PathBuf,
    exit_status: i32,
    outputs: Vec<String>,
}

impl References {
    /// Results in `root`, or in a directory that goes with this run.
    pub(super) fn open(root: Option<PathBuf>) -> Result<Self> {
        if let Some(root) = root {
            let root = std::path::absolute(&root).map_err(|e| Error::file(&root, e))?;
            std::fs::create_dir_all(&root).map_err(|e| Error::file(&root, e))?;
            return Ok(Self { root, _temporary: None });
        }
        let temporary = tempfile::tempdir().map_err(|e| Error::file("temporary directory", e))?;
        Ok(Self { root: temporary.path().to_owned(), _temporary: Some(temporary) })
    }

    /// The result of this compile, by running it unless that was done before.
    ///
    /// It runs in its own directory with its own command: paths of outputs get into dependency
    /// files and debug information, so a redirected `-o` would make something else. What it wrote
    /// is moved away.
    pub(super) async fn of(
        &self,
        client: &Client,
        entry: &Entry,
        prepared: &Prepared,
    ) -> Result<Reference> {
        let dir = self.root.join(client.fingerprint(prepared).await?.hex());
        let outputs = prepared.outputs().to_vec();
        let status_file = dir.join(STATUS);
        if let Ok(text) = tokio::fs::read_to_string(&status_file).await
            && let Ok(exit_status) = text.trim().parse()
        {
            return Ok(Reference { dir, exit_status, outputs });
        }
        tokio::fs::create_dir_all(&dir).await.map_err(|e| Error::file(&dir, e))?;
        let output = local::run(entry).await?;
        let exit_status = output.status.code().unwrap_or(-1);
        for (index, name) in outputs.iter().enumerate() {
            let from = entry.directory.join(name);
            match tokio::fs::copy(&from, dir.join(index.to_string())).await {
                Ok(_) => tokio::fs::remove_file(&from).await,
                // An output that a failed compile did not make.
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
                Err(e) => Err(e),
            }
            .map_err(|e| Error::file(&from, e))?;
        }
        tokio::fs::write(&status_file, exit_status.to_string())
            .await
            .map_err(|e| Error::file(&status_file, e))?;
        Ok(Reference { dir, exit_status, outputs })
    }
}

impl Reference {
    /// Compares with what came from the server. A compile that failed remotely alone is told as
    /// failed and not as different.
    pub(super) async fn compare(
        self,
        directory: &Path,
        outcome: &Outcome,
        report: &mut UnitReport,
    ) {
        if outcome.failure.is_some() {
            return;
        }
        if outcome.exit_status != self.exit_status {
            let (remote, local) = (outcome.exit_status, self.exit_status);
            return report.fail(format!("exit status {remote}, locally {local}"));
        }
        if self.exit_status != 0 {
            // Both compilers refuse it: that is agreement.
            return report.agree_on_failure();
        }
        for (index, name) in self.outputs.iter().enumerate() {
            let local = tokio::fs::read(self.dir.join(index.to_string())).await.ok();
            let remote = tokio::fs::read(directory.join(name)).await.ok();
            report.compared(name, local == remote);
        }
    }
}
