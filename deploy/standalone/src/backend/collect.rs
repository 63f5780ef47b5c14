//! What a command left behind, stored before anybody is told.
//!
//! A command may leave links anywhere; nothing outside of its root is read through them.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use goma_common::{Digest, Result};
use goma_proto::reapi::{self, ActionResult};
use rustix::fs::FileType;

use super::beneath::{self, Opened};
use super::blob_writer::{self, BlobWriter};
use super::index::Kind;
use super::output_dir;
use super::outputs::{Announced, Output, Outputs};
use super::store::{Store, io_error};

/// Files up to this size are read whole, so that nothing is written for those that are known.
const SMALL: u64 = 1 << 20;

/// Stores the outputs found below `root` and names them in `result`; those that are not there are
/// left out.
pub(super) fn collect(
    store: &Arc<Store>,
    root: &Path,
    outputs: &Outputs,
    result: &mut ActionResult,
) -> Result<()> {
    let root = beneath::open_root(root)?;
    for output in &outputs.all {
        collect_one(store, &root, output, outputs.with_directories, result)?;
    }
    Ok(())
}

fn collect_one(
    store: &Arc<Store>,
    root: &Opened,
    output: &Output,
    with_directories: bool,
    result: &mut ActionResult,
) -> Result<()> {
    let path = match output.parts.is_empty() {
        true => PathBuf::from("."),
        false => output.parts.iter().collect(),
    };
    let Some(found) = beneath::look(root, &path)? else { return Ok(()) };
    let path_told = output.path.clone();
    match found.file_type() {
        FileType::RegularFile => {
            let Some(file) = beneath::open(root, &path)? else { return Ok(()) };
            let is_executable = file.is_executable();
            let digest = Some(store_file(store, file)?.into());
            let (path, contents) = (path_told, Vec::new());
            let node_properties = None;
            let file = reapi::OutputFile { path, digest, is_executable, contents, node_properties };
            result.output_files.push(file);
        }
        FileType::Directory => {
            let Some(dir) = beneath::open(root, &path)? else { return Ok(()) };
            let stored = output_dir::store(store, &dir, with_directories)?;
            result.output_directories.push(reapi::OutputDirectory {
                path: path_told,
                tree_digest: Some(stored.tree.into()),
                is_topologically_sorted: false,
                root_directory_digest: stored.root.map(Into::into),
            });
        }
        FileType::Symlink => {
            let target = beneath::read_link(&found)?;
            let link = reapi::OutputSymlink { path: path_told, target, node_properties: None };
            add_symlink(result, output.announced, link);
        }
        // Sockets and devices have no contents.
        _ => {}
    }
    Ok(())
}

#[allow(deprecated, reason = "older clients look there")]
fn add_symlink(result: &mut ActionResult, announced: Announced, link: reapi::OutputSymlink) {
    match announced {
        Announced::Path => {}
        Announced::File => result.output_file_symlinks.push(link.clone()),
        Announced::Directory => result.output_directory_symlinks.push(link.clone()),
    }
    result.output_symlinks.push(link);
}

/// Stores a file, reading each byte of it once.
pub(super) fn store_file(store: &Arc<Store>, opened: Opened) -> Result<Digest> {
    let size = opened.size();
    let mut file = opened.into_file();
    if size > SMALL {
        let mut writer = BlobWriter::begin(store, Kind::Blob, size)?;
        blob_writer::copy(&mut file, &mut writer)?;
        return writer.finish_any();
    }
    let mut contents = Vec::with_capacity(size as usize + 1);
    // A process that outlived the command could still be writing.
    let read = file.take(SMALL + 1).read_to_end(&mut contents);
    read.map_err(|error| io_error("read an output", &error))?;
    put(store, &contents)
}

/// Stores what is at hand.
pub(super) fn put(store: &Arc<Store>, contents: &[u8]) -> Result<Digest> {
    let digest = Digest::of(contents);
    store.put_known(digest, contents).map(|()| digest)
}
