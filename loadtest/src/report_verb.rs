//! `goma-loadtest report`: a page with pictures of load runs, side by side.

use std::path::PathBuf;

use clap::Args;
use goma_loadtest::report::{LoadReport, Runs};
use goma_loadtest::{Error, Result};

/// Of what, and where to.
#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    /// What `run --out` wrote; the others are compared with the first
    #[arg(required = true, value_name = "FILE")]
    runs: Vec<PathBuf>,
    /// The page
    #[arg(long, value_name = "FILE", default_value = "report.html")]
    out: PathBuf,
}

/// Writes the page.
///
/// # Errors
/// A file that cannot be read or written, or is no report of a run.
pub(crate) fn run(args: ReportArgs) -> Result<u8> {
    let mut runs = Vec::new();
    for path in &args.runs {
        let failed = |source| Error::File { path: path.clone(), source };
        let text = std::fs::read_to_string(path).map_err(failed)?;
        let report: LoadReport =
            serde_json::from_str(&text).map_err(|error| failed(error.into()))?;
        let name = path.file_stem().unwrap_or(path.as_os_str());
        runs.push((name.to_string_lossy().into_owned(), report));
    }
    std::fs::write(&args.out, Runs::new(runs).page())
        .map_err(|source| Error::File { path: args.out.clone(), source })?;
    println!("{}", args.out.display());
    Ok(0)
}
