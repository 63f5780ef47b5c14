//! The fields of an ExecReq, each validated, with the bounds on their numbers and lengths.
//!
//! Errors are [`Refusal::Failed`] with `InvalidArgument` for what is no proper request at all, and
//! [`Refusal::Impossible`] for a compile that is none of ours; both name the field.

use std::collections::HashMap;

use goma_common::FileKey;
use goma_proto::api::exec_req;

use super::job::{Input, Output, ToolFile, ToolKind};
use crate::paths::{AbsPath, BadPath, Walked};
use crate::refusal::{Refusal, impossible};
use crate::windows_path::WindowsDir;
use crate::worker::Sha256;

/// Inputs of one compile. The largest seen has 564; the bound is there for those who try.
pub(super) const MAX_INPUTS: usize = 200_000;
/// Outputs of one compile. An object, its dependencies, its notes and all of `-save-temps` are a
/// dozen; each may take up room in the answer.
const MAX_OUTPUTS: usize = 100;
/// Arguments, and bytes of them: what Linux lets a program have. Variables likewise.
const MAX_ARGS: usize = 100_000;
const MAX_ARG_BYTES: usize = 2 << 20;
/// Files of a compiler; those of the largest seen are some two thousand.
const MAX_TOOL_FILES: usize = 20_000;
/// Compilers that are as good as one.
const MAX_EQUIVALENT: usize = 100;
/// Platform properties of one compile; workers are told apart by a handful.
pub(super) const MAX_PROPERTIES: usize = 100;
/// Parts of a path, and bytes of it: what Linux lets a path be.
const MAX_DEPTH: usize = 256;
const MAX_PATH: usize = 4096;

/// The directory in which a client reads names, POSIX or Windows.
pub(super) struct Here<'a> {
    pub(super) cwd: &'a AbsPath,
    pub(super) windows: Option<&'a WindowsDir>,
}

impl Here<'_> {
    /// Follows a name as the client does.
    pub(super) fn walk(&self, name: &str) -> Result<Walked, BadPath> {
        match self.windows {
            None => self.cwd.walk(name),
            Some(dir) => dir.walk(name),
        }
    }
}

pub(super) fn invalid<T>(why: impl Into<String>) -> Result<T, Refusal> {
    let code = goma_common::Code::InvalidArgument;
    Err(Refusal::Failed(goma_common::Error::new(code, why).context("ExecReq")))
}

pub(super) fn path<T, E: std::fmt::Display>(
    what: &str,
    path: Result<T, E>,
    text: &str,
) -> Result<T, Refusal> {
    // A text that is shorter than that has no more parts than it may.
    if text.len() > MAX_PATH
        || text.len() >= MAX_DEPTH && text.split(['/', '\\']).count() > MAX_DEPTH
    {
        let start: String = text.chars().take(100).collect();
        return impossible(format!("{what} {start:?}... is longer than a path may be"));
    }
    path.or_else(|error| impossible(format!("{what} {text:?} {error}")))
}

pub(super) fn sha256(what: &str, hex: &str) -> Result<Sha256, Refusal> {
    match FileKey::parse(hex) {
        Ok(key) => Ok(key.0),
        Err(_) => impossible(format!("{what} {hex:?} is no SHA-256")),
    }
}

/// Those that are none stand for nothing.
pub(super) fn equivalent(hashes: &[bytes::Bytes]) -> Vec<Sha256> {
    let hashes = hashes.iter().take(MAX_EQUIVALENT).map(|hash| String::from_utf8_lossy(hash));
    hashes.filter_map(|hash| FileKey::parse(&hash).ok()).map(|key| key.0).collect()
}

/// Without the first, which is the compiler's name.
pub(super) fn arguments(args: Vec<String>) -> Result<Vec<String>, Refusal> {
    let bytes: usize = args.iter().map(String::len).sum();
    if args.len() > MAX_ARGS || bytes > MAX_ARG_BYTES {
        return impossible(format!("{} arguments of {bytes} bytes are too many", args.len()));
    }
    if args.iter().any(|arg| arg.contains('\0')) {
        return impossible("an argument holds a zero byte");
    }
    Ok(args.into_iter().skip(1).collect())
}

/// Sorted, the last of equal names: what a process would see.
pub(super) fn environment(env: &[String]) -> Result<Vec<(String, String)>, Refusal> {
    let bytes: usize = env.iter().map(String::len).sum();
    if env.len() > MAX_ARGS || bytes > MAX_ARG_BYTES {
        return impossible(format!("{} variables of {bytes} bytes are too many", env.len()));
    }
    let variables: HashMap<&str, &str> =
        env.iter().filter_map(|pair| pair.split_once('=')).collect();
    let mut env: Vec<_> =
        variables.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    env.retain(|(name, value)| !name.is_empty() && !name.contains('\0') && !value.contains('\0'));
    env.sort_unstable();
    Ok(env)
}

pub(super) fn inputs(here: &Here<'_>, inputs: Vec<exec_req::Input>) -> Result<Vec<Input>, Refusal> {
    let mut validated = Vec::with_capacity(inputs.len());
    for input in inputs {
        let name = input.filename.unwrap_or_default();
        let walked = path("input", here.walk(&name), &name)?;
        let Some(key) = input.hash_key else {
            return invalid(format!("input {name:?} has no hash_key"));
        };
        let Ok(key) = FileKey::parse(&key) else {
            return impossible(format!("hash_key {key:?} of input {name:?} is no SHA-256"));
        };
        let contents = input.content.map(Box::new);
        validated.push(Input { name, path: walked.path, through: walked.through, key, contents });
    }
    Ok(validated)
}

pub(super) fn outputs(here: &Here<'_>, names: Vec<String>) -> Result<Vec<Output>, Refusal> {
    if names.len() > MAX_OUTPUTS {
        return impossible(format!("{} outputs; {MAX_OUTPUTS} at most", names.len()));
    }
    let outputs = names.into_iter().map(|name| {
        let path = path("output", here.walk(&name), &name)?.path;
        if path.is_system() {
            return impossible(format!("output {name:?} is in a system directory"));
        }
        if here.cwd.is_within(&path) {
            return impossible(format!(
                "output {name:?} is the directory of the compile, or above"
            ));
        }
        Ok(Output { name, path })
    });
    outputs.collect()
}

pub(super) fn tool_files(
    here: &Here<'_>,
    specs: Vec<goma_proto::api::ToolchainSpec>,
) -> Result<Vec<ToolFile>, Refusal> {
    if specs.len() > MAX_TOOL_FILES {
        return impossible(format!(
            "{} files of the compiler; {MAX_TOOL_FILES} at most",
            specs.len()
        ));
    }
    let files = specs.into_iter().map(|spec| {
        let name = spec.path.unwrap_or_default();
        let path = path("toolchain file", here.walk(&name), &name)?.path;
        let kind = match spec.symlink_path.filter(|target| !target.is_empty()) {
            Some(target) => ToolKind::Symlink { target },
            None => ToolKind::File {
                hash: sha256("hash of a toolchain file", &spec.hash.unwrap_or_default())?,
                size: u64::try_from(spec.size.unwrap_or(0)).unwrap_or(0),
                executable: spec.is_executable.unwrap_or(false),
            },
        };
        Ok(ToolFile { path, kind })
    });
    files.collect()
}
