//! How the workers behind a server differ from this machine, before any compile is refused for it.
//!
//! One script ([`script`]) looks at this machine and, as an Exec, at a worker; [`seen`] reads what each
//! wrote, and [`difference`] compares.

mod difference;
mod script;
mod seen;

use std::path::Path;
use std::process::Command;

pub use difference::{Difference, Fact, Headers};

use crate::client::{Client, blocking};
use crate::error::{Error, Result};
use seen::Seen;

/// Compares a worker with this machine, as far as these compilers read and run it.
///
/// # Errors
/// A compiler that is not here, or as the server answers.
pub async fn compare(client: &Client, compilers: Vec<String>) -> Result<Difference> {
    let (here, script) = blocking(move || {
        let script = script::write(&compilers)?;
        Ok::<_, Error>((here(&script)?, script))
    })
    .await?;
    let there = client.run_on_worker(&script).await?;
    Ok(Difference::of(&here, &Seen::read(&there)))
}

/// What the script sees here.
fn here(script: &str) -> Result<Seen> {
    let dir = tempfile::tempdir().map_err(|error| Error::file("temporary directory", error))?;
    let (program, output) = (dir.path().join("look"), dir.path().join("seen"));
    std::fs::write(&program, script).map_err(|error| Error::file(&program, error))?;
    let ended = Command::new("/bin/sh")
        .arg(&program)
        .args(["-c", "look.c", "-o"])
        .arg(&output)
        .current_dir(dir.path())
        .output()
        .map_err(|error| Error::file(Path::new("/bin/sh"), error))?;
    if !ended.status.success() {
        let reason = String::from_utf8_lossy(&ended.stderr).trim().to_owned();
        return Err(Error::Compiler { program: "/bin/sh".to_owned(), reason });
    }
    let seen = std::fs::read(&output).map_err(|error| Error::file(&output, error))?;
    Ok(Seen::read(&seen))
}
