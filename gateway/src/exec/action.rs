//! The action of a job and all that it needs: its closure. Pure.

use std::collections::BTreeMap;

use goma_common::Digest;
use goma_common::shards::Blob;
use sha2::Digest as _;

use super::inputs::Inputs;
use super::job::{Job, Output};
use super::layout::Layout;
use super::rewrite::Rewrite;
use super::sysroot::Sysroot;
use super::told::Told;
use super::toolchain::{Laid, Toolchain};
use super::tree::Tree;
use crate::command_blob::{ActionBlob, CommandBlob};
use crate::config::GatewayConfig;
use crate::refusal::Refusal;
use crate::worker::{Properties, Sha256};

/// Where gcc finds its assembler when the client sends no PATH, as it usually does.
const DEFAULT_PATH: &str = "/usr/bin:/bin";

/// An action, ready to be looked up or run.
pub(crate) struct Plan {
    pub(crate) action: Digest,
    /// Blobs that we made: the action, the command, the directories.
    pub(crate) made: Vec<Blob>,
    /// Blobs that were stored before: inputs and toolchain files.
    pub(crate) stored: Vec<Digest>,
    /// Expected outputs: the path that the command knows, and the client's name.
    pub(crate) outputs: BTreeMap<String, String>,
    /// Expected directories likewise.
    pub(crate) output_dirs: BTreeMap<String, String>,
    /// The compiler, as the worker calls it.
    pub(super) program: String,
    /// Under which paths it runs, for the log.
    pub(super) paths: &'static str,
    /// What of the worker's paths is to be told as the client's.
    pub(super) told: Told,
}

/// Whose system headers a compile reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SystemFiles {
    /// The worker's own, which were seen to be the same.
    Workers,
    /// The client's, laid out in the input root.
    Clients,
}

impl Plan {
    /// Plans a job.
    ///
    /// # Errors
    /// [`Refusal::Impossible`] when inputs contradict each other, or an argument would reach system
    /// files of the worker in place of the client's.
    pub(crate) fn new(
        job: &Job,
        inputs: &Inputs<'_>,
        toolchain: &Toolchain,
        layout: &Layout,
        properties: &Properties,
        config: &GatewayConfig,
        system: SystemFiles,
    ) -> Result<Self, Refusal> {
        let root = &layout.root;
        let sysroot = (system == SystemFiles::Clients).then(|| Sysroot::new(job, layout));
        let compiler = job.cwd.walk(&toolchain.program).ok().map(|walked| walked.path);
        let (system_files, files): (Vec<&(_, _)>, Vec<&(_, _)>) =
            inputs.files.iter().partition(|(input, _)| input.path.is_system());
        let mut sent = Vec::new();
        let mut salt = Salt::default();
        for (input, digest) in system_files {
            match &sysroot {
                None => salt.add(input.path.as_str(), &digest.hash),
                Some(sysroot) => sent.push((sysroot.inside(&input.path), *digest)),
            }
        }
        for (path, hash) in &toolchain.system {
            salt.add(path, hash);
        }
        let mut tree = Tree::new(root);
        let mut stored = Vec::with_capacity(inputs.files.len());
        for (input, digest) in files {
            // The program must be executable also where the client names it as an input alone.
            tree.file(&input.path, *digest, compiler.as_ref() == Some(&input.path))?;
            stored.push(*digest);
        }
        for (path, digest) in &sent {
            tree.file(path, *digest, false)?;
            stored.push(*digest);
        }
        for (path, laid) in &toolchain.files {
            match laid {
                Laid::File { digest, executable } => {
                    tree.file(path, *digest, *executable)?;
                    stored.push(*digest);
                }
                Laid::Symlink { target } => tree.symlink(path, target)?,
            }
        }
        for (link, target) in job.windows.iter().flat_map(|windows| &windows.links) {
            tree.symlink(link, target)?;
        }
        for dir in &layout.dirs {
            tree.dir(dir);
        }
        let merkle = tree.finish(layout.base)?;

        let args = match &sysroot {
            None => job.args.clone(),
            Some(sysroot) => sysroot.arguments(job)?,
        };
        let rewrite = Rewrite::of(job, layout)?;
        let args = match &rewrite {
            None => args,
            // What stands in a file of arguments has to be seen.
            Some(rewrite) if sysroot.is_none() => rewrite.arguments(&job.expanded_args)?,
            Some(rewrite) => rewrite.arguments(&args)?,
        };
        let mut properties = properties.clone();
        if let Some(absolute_root) = &layout.absolute_root {
            properties.retain(|(name, _)| name != "InputRootAbsolutePath");
            properties.push(("InputRootAbsolutePath".to_owned(), absolute_root.clone()));
            properties.sort_unstable();
        }
        let named = |outputs: &[Output]| -> BTreeMap<String, String> {
            let outputs = outputs.iter();
            outputs.map(|it| (it.path.relative_to(&job.cwd), it.name.clone())).collect()
        };
        let (outputs, output_dirs) = (named(&job.outputs), named(&job.output_dirs));
        let program = match &rewrite {
            None => vec![toolchain.program.clone()],
            Some(rewrite) => rewrite.program(toolchain, &job.expanded_args)?,
        };
        let command = CommandBlob {
            arguments: [program, toolchain.arguments.clone(), args].concat(),
            env: environment(job, layout, sysroot.as_ref(), rewrite.as_ref()),
            working_directory: layout.in_input_root(&job.cwd),
            outputs: outputs.keys().cloned().collect(),
            output_dirs: output_dirs.keys().cloned().collect(),
            output_fields: config.output_fields,
            properties: &properties,
        }
        .encode();
        let action = ActionBlob {
            command: command.digest,
            root: merkle.root,
            timeout: config.timeouts.action,
            properties: &properties,
            salt: salt.finish(),
            do_not_cache: config.do_not_cache,
        }
        .encode();
        let digest = action.digest;
        let mut made = merkle.directories;
        made.extend([command, action]);
        let told = Told::new(job, sysroot, rewrite);
        let program = toolchain.program.clone();
        let paths = paths(layout);
        Ok(Self { action: digest, made, stored, outputs, output_dirs, program, paths, told })
    }
}

/// As a word.
fn paths(layout: &Layout) -> &'static str {
    match (layout.fixed, layout.rewritten) {
        (false, _) => "any",
        (true, false) => "the client's",
        (true, true) => "rewritten",
    }
}

/// The client's variables. `PWD` is for those that must run in the client's own directory.
///
/// The stock client sends neither locale nor time zone. What a worker has of them must not show in
/// diagnostics or in `__TIME__`, so they are pinned, unless a client says something of them.
fn environment(
    job: &Job,
    layout: &Layout,
    sysroot: Option<&Sysroot>,
    rewrite: Option<&Rewrite>,
) -> Vec<(String, String)> {
    let mut env = job.env.clone();
    env.retain(|(name, _)| name != "PWD");
    if let Some(sysroot) = sysroot {
        for (name, value) in &mut env {
            *value = sysroot.variable(job, name, std::mem::take(value));
        }
    }
    if let Some(rewrite) = rewrite {
        for (name, value) in &mut env {
            *value = rewrite.variable(name, std::mem::take(value));
        }
    } else if layout.fixed {
        env.push(("PWD".to_owned(), job.cwd.as_str().to_owned()));
    }
    if !env.iter().any(|(name, _)| name == "PATH") {
        env.push(("PATH".to_owned(), DEFAULT_PATH.to_owned()));
    }
    let of_locale = |name: &str| name == "LANG" || name == "LANGUAGE" || name.starts_with("LC_");
    if !env.iter().any(|(name, _)| of_locale(name)) {
        env.push(("LC_ALL".to_owned(), "C".to_owned()));
    }
    if !env.iter().any(|(name, _)| name == "TZ") {
        env.push(("TZ".to_owned(), "UTC".to_owned()));
    }
    env.sort_unstable();
    env
}

/// Files that the result depends on and that are not in the tree: the action must not be taken for
/// that of another client, whose files of the same names have other contents.
#[derive(Default)]
struct Salt<'a> {
    files: Vec<(&'a str, &'a Sha256)>,
}

impl<'a> Salt<'a> {
    fn add(&mut self, path: &'a str, hash: &'a Sha256) {
        self.files.push((path, hash));
    }

    /// SHA-256 over the sorted paths, each ended by a zero byte and followed by its hash. A path with
    /// two hashes counts with both: such a request has no result in common with any other.
    fn finish(mut self) -> Vec<u8> {
        if self.files.is_empty() {
            return Vec::new();
        }
        self.files.sort_unstable();
        self.files.dedup();
        let mut salted = Vec::with_capacity(self.files.len() * 96);
        for (path, hash) in &self.files {
            salted.extend_from_slice(path.as_bytes());
            salted.push(0);
            salted.extend_from_slice(*hash);
        }
        sha2::Sha256::digest(&salted).to_vec()
    }
}

#[cfg(test)]
mod golden;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_order_nor_repetition_of_system_files_changes_the_salt_and_every_hash_does() {
        let salt = |files: &[(&'static str, u8)]| {
            let hashes: Vec<_> = files.iter().map(|(path, byte)| (*path, [*byte; 32])).collect();
            let mut salt = Salt::default();
            hashes.iter().for_each(|(path, hash)| salt.add(path, hash));
            salt.finish()
        };
        let plain = salt(&[("/usr/a", 1), ("/usr/b", 2)]);
        assert_eq!(salt(&[("/usr/b", 2), ("/usr/a", 1), ("/usr/b", 2)]), plain);
        let twice = salt(&[("/usr/a", 1), ("/usr/b", 2), ("/usr/b", 3)]);
        assert_eq!(salt(&[("/usr/b", 3), ("/usr/a", 1), ("/usr/b", 2)]), twice);
        assert!(twice != plain && twice != salt(&[("/usr/a", 1), ("/usr/b", 3)]));
        assert!(salt(&[]).is_empty());
    }
}
