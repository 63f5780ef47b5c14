//! `goma-loadtest preload`: a sysroot, a toolchain or a source tree on a server before the first compile.
//!
//! A stock client can send a few megabytes of new small files in one compile; what is more than that
//! takes several, and the first of them fail.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::Args;
use goma_loadtest::{Client, Error, Result};
use indicatif::{ProgressBar, ProgressStyle};

use crate::args::ServerArgs;

/// What goes where.
#[derive(Debug, Args)]
pub(crate) struct PreloadArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// Directories, all of whose files are put in place, and files
    #[arg(required = true, value_name = "DIR")]
    paths: Vec<PathBuf>,
}

/// Puts all files in place that are not, and says how many those were.
///
/// # Errors
/// A directory that cannot be read, or as the server answers.
pub(crate) async fn run(args: PreloadArgs) -> Result<u8> {
    let mut files = BTreeSet::new();
    for path in &args.paths {
        let path = std::path::absolute(path).map_err(|source| failed(path, source))?;
        walk(&path, &mut files)?;
    }
    let bar = ProgressBar::new(files.len() as u64);
    // The template is ours; the default bar is good enough should it ever not parse.
    if let Ok(style) = ProgressStyle::with_template("[{bar:40}] {pos}/{len} files {elapsed} {eta}")
    {
        bar.set_style(style.progress_chars("=> "));
    }
    let client = Client::new(args.server.config()?);
    let files = files.into_iter().collect();
    let preloaded = client.preload(files, |files| bar.inc(files as u64)).await?;
    bar.finish_and_clear();
    println!(
        "{} files: {} were known, {} sent, {} bytes",
        preloaded.files,
        preloaded.files - preloaded.sent,
        preloaded.sent,
        preloaded.sent_bytes
    );
    Ok(0)
}

/// Files below a directory. A symbolic link to a file counts as one, and one to a directory is left:
/// what it leads to has a name of its own, or is not the user's.
fn walk(path: &Path, into: &mut BTreeSet<PathBuf>) -> Result<()> {
    let metadata = std::fs::metadata(path).map_err(|source| failed(path, source))?;
    if metadata.is_file() {
        into.insert(path.to_owned());
        return Ok(());
    }
    let mut dirs = vec![path.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(&dir).map_err(|source| failed(&dir, source))? {
            let path = entry.map_err(|source| failed(&dir, source))?.path();
            // A link that leads nowhere is no file.
            let Ok(metadata) = path.metadata() else { continue };
            if metadata.is_file() {
                into.insert(path);
            } else if metadata.is_dir() && !path.is_symlink() {
                dirs.push(path);
            }
        }
    }
    Ok(())
}

fn failed(path: &Path, source: std::io::Error) -> Error {
    Error::File { path: path.to_owned(), source }
}
