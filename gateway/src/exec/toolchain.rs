//! Which compiler runs, where it comes from, and on which workers.

use std::collections::{BTreeSet, HashMap};

use goma_common::Digest;

use super::job::{Compiler, Job, ToolKind};
use crate::command::Family;
use crate::config::GatewayConfig;
use crate::paths::AbsPath;
use crate::platforms::CompilerEntry;
use crate::refusal::{Refusal, impossible};
use crate::worker::{Properties, Sha256, WorkerFiles};

/// Links that a compiler's name may lead through.
pub(super) const MAX_LINKS: usize = 40;

/// The compiler of a job.
#[derive(Default)]
pub(crate) struct Toolchain {
    /// The first argument of the command: absolute for a system compiler, else relative to the cwd.
    pub(crate) program: String,
    /// System files that the worker must have, with the client's hash of each.
    pub(crate) system: Vec<(String, Sha256)>,
    /// Files that are laid out in the tree.
    pub(crate) files: Vec<(AbsPath, Laid)>,
    /// Arguments before those of the client.
    pub(crate) arguments: Vec<String>,
    /// Properties of the workers that have it.
    pub(crate) properties: Vec<(String, String)>,
}

impl Toolchain {
    /// The files of the compiler that stay the worker's own. They are few: to hash the names of all inputs, only to
    /// find that they are none of these, takes longer than to compare them.
    pub(super) fn system_files(&self) -> BTreeSet<&str> {
        self.system.iter().map(|(path, _)| path.as_str()).collect()
    }
}

/// A toolchain file in the tree.
#[derive(Clone, Debug)]
pub(crate) enum Laid {
    File { digest: Digest, executable: bool },
    Symlink { target: String },
}

/// Decides by what the client names: the compiler that it brings, else one of `compilers` that is as
/// good, else one that the worker knows by its hash.
///
/// # Errors
/// [`Refusal::Impossible`] when the client names no toolchain and its compiler is not registered.
pub(super) fn choose(
    job: &Job,
    compilers: &[CompilerEntry],
    worker: &dyn WorkerFiles,
) -> Result<Toolchain, Refusal> {
    let Some(files) = &job.toolchain else {
        let listed = compilers.iter().find(|entry| entry.fits(job.compiler.wanted()));
        return match listed {
            Some(entry) => Ok(of_list(job, entry)),
            None if job.windows.is_some() => for_windows(job),
            None => registered(job, worker),
        };
    };
    let links: HashMap<&AbsPath, &str> = files
        .iter()
        .filter_map(|file| match &file.kind {
            ToolKind::Symlink { target } => Some((&file.path, target.as_str())),
            ToolKind::File { .. } => None,
        })
        .collect();
    let hashes: HashMap<&AbsPath, Sha256> = files
        .iter()
        .filter_map(|file| match &file.kind {
            ToolKind::File { hash, .. } => Some((&file.path, *hash)),
            ToolKind::Symlink { .. } => None,
        })
        .collect();
    let mut toolchain = Toolchain::default();
    for file in files {
        if file.path.is_system() {
            let end = follow(&file.path, &links)?;
            let Some(hash) = hashes.get(&end) else {
                return impossible(format!("toolchain file {} has no hash", file.path));
            };
            toolchain.system.push((file.path.as_str().to_owned(), *hash));
            continue;
        }
        let laid = match &file.kind {
            ToolKind::File { hash, size, executable } => {
                Laid::File { digest: Digest { hash: *hash, size: *size }, executable: *executable }
            }
            ToolKind::Symlink { target } => Laid::Symlink { target: target.clone() },
        };
        toolchain.files.push((file.path.clone(), laid));
    }
    let walked = job.cwd.walk(&job.compiler.path);
    let Ok(path) = walked.map(|walked| walked.path) else {
        return impossible(format!("compiler path {:?} leads nowhere", job.compiler.path));
    };
    if !files.iter().any(|file| file.path == path) {
        return impossible(format!("the toolchain does not hold the compiler {path}"));
    }
    toolchain.program =
        if path.is_system() { path.as_str().to_owned() } else { job.compiler.path.clone() };
    Ok(toolchain)
}

/// A compiler of the operator's list. Whose hash is told must have it on the workers, too.
fn of_list(job: &Job, entry: &CompilerEntry) -> Toolchain {
    let is_target = |arg: &String| arg == "-target" || arg.starts_with("--target");
    let target = &job.compiler.target;
    let adds = entry.add_target && !target.is_empty() && !job.expanded_args.iter().any(is_target);
    Toolchain {
        program: entry.path.clone(),
        system: entry.hash().map(|hash| (entry.path.clone(), hash)).into_iter().collect(),
        files: Vec::new(),
        arguments: mode(job, &entry.path)
            .into_iter()
            .chain(adds.then(|| format!("--target={target}")))
            .collect(),
        properties: entry.properties.clone().into_iter().collect(),
    }
}

fn for_windows(job: &Job) -> Result<Toolchain, Refusal> {
    let Compiler { name, version, target, .. } = &job.compiler;
    impossible(format!(
        "a Windows client's {name} does not run on Linux: list the workers' own as a [[compiler]] of \
         --exec-config-file (version {version:?}, target {target:?})"
    ))
}

/// What makes clang under its own name the clang-cl that the client asks for.
fn mode(job: &Job, program: &str) -> Option<String> {
    let named = program.rsplit('/').next().is_some_and(|name| name.starts_with("clang-cl"));
    let wanted = job.reading.family == Family::ClangCl && !named;
    wanted.then(|| "--driver-mode=cl".to_owned())
}

fn registered(job: &Job, worker: &dyn WorkerFiles) -> Result<Toolchain, Refusal> {
    let compiler = &job.compiler;
    let found = worker.registered_compiler(&compiler.name, &compiler.hash);
    // clang-cl is clang by another name, which is not on every machine.
    let as_clang = || worker.registered_compiler("clang", &compiler.hash);
    match found.or_else(|| (job.reading.family == Family::ClangCl).then(as_clang).flatten()) {
        Some(path) => Ok(Toolchain {
            arguments: mode(job, &path).into_iter().collect(),
            program: path.clone(),
            system: vec![(path, compiler.hash)],
            ..Toolchain::default()
        }),
        None => impossible(format!(
            "{} with hash {} is not registered here: set GOMA_ARBITRARY_TOOLCHAIN_SUPPORT=true, \
             or install the same compiler on the server",
            compiler.name,
            hex::encode(compiler.hash)
        )),
    }
}

fn follow(path: &AbsPath, links: &HashMap<&AbsPath, &str>) -> Result<AbsPath, Refusal> {
    let mut at = path.clone();
    for _ in 0..MAX_LINKS {
        let Some(target) = links.get(&at) else { return Ok(at) };
        match at.parent().walk(target) {
            Ok(walked) => at = walked.path,
            Err(error) => return impossible(format!("symlink {at} -> {target:?} {error}")),
        }
    }
    impossible(format!("the symlinks of {path} lead round in a circle"))
}

/// The properties that choose a worker: those of the compiler, the operator's others, then the client's
/// own, sorted by name.
pub(super) fn properties(job: &Job, toolchain: &Toolchain, config: &GatewayConfig) -> Properties {
    let mut properties = toolchain.properties.clone();
    for (name, value) in &config.platform_properties {
        if !properties.iter().any(|(known, _)| known == name) {
            properties.push((name.clone(), value.clone()));
        }
    }
    for (name, value) in &job.properties {
        if !name.is_empty() && !properties.iter().any(|(known, _)| known == name) {
            properties.push((name.clone(), value.clone()));
        }
    }
    properties.sort_unstable();
    properties
}
