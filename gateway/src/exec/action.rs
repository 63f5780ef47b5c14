//! The action of a job and all that it needs: its closure. Pure.

use std::collections::BTreeMap;

use goma_common::Digest;
use goma_common::shards::Blob;
use sha2::{Digest as _, Sha256};

use super::inputs::Inputs;
use super::job::Job;
use super::layout::Layout;
use super::sysroot;
use super::toolchain::{Laid, Toolchain};
use super::tree::Tree;
use crate::command_blob::{ActionBlob, CommandBlob};
use crate::config::GatewayConfig;
use crate::refusal::Refusal;
use crate::worker::Properties;

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
    /// A prefix that the command's paths have in place of `/`, where the client's system headers
    /// were sent.
    pub(crate) system_prefix: Option<String>,
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
    /// [`Refusal::Impossible`] when inputs contradict each other.
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
        let sysroot = sysroot::dir(&layout.top);
        let mut tree = Tree::default();
        let mut stored = Vec::with_capacity(inputs.files.len());
        let mut salt = Salt::default();
        for (input, digest) in &inputs.files {
            if !input.path.is_system() {
                tree.file(root, &input.path, *digest, is_compiler(job, toolchain, &input.path))?;
            } else if system == SystemFiles::Clients {
                tree.file(root, &sysroot::inside(&sysroot, &input.path), *digest, false)?;
            } else {
                salt.add(input.path.as_str(), &digest.hash);
                continue;
            }
            stored.push(*digest);
        }
        for (path, hash) in &toolchain.system {
            salt.add(path, hash);
        }
        for (path, laid) in &toolchain.files {
            match laid {
                Laid::File { digest, executable } => {
                    tree.file(root, path, *digest, *executable)?;
                    stored.push(*digest);
                }
                Laid::Symlink { target } => tree.symlink(root, path, target)?,
            }
        }
        for dir in &layout.dirs {
            tree.dir(root, dir)?;
        }
        let merkle = match layout.base {
            Some(base) => tree.nested(base).finish(),
            None => tree.finish(),
        };

        let prefix = sysroot.relative_to(&job.cwd);
        let args = match system {
            SystemFiles::Workers => job.args.clone(),
            SystemFiles::Clients => sysroot::arguments(job, &layout.tokens, &prefix),
        };
        let mut properties = properties.clone();
        if let Some(absolute_root) = &layout.absolute_root {
            properties.retain(|(name, _)| name != "InputRootAbsolutePath");
            properties.push(("InputRootAbsolutePath".to_owned(), absolute_root.clone()));
            properties.sort_unstable();
        }
        let outputs: BTreeMap<String, String> = job
            .outputs
            .iter()
            .map(|output| (output.path.relative_to(&job.cwd), output.name.clone()))
            .collect();
        let command = CommandBlob {
            arguments: std::iter::once(toolchain.program.clone()).chain(args).collect(),
            env: environment(job, layout),
            working_directory: layout.from_input_root(&job.cwd),
            outputs: outputs.keys().cloned().collect(),
            properties: &properties,
        }
        .encode();
        let action = ActionBlob {
            command: command.digest,
            root: merkle.root,
            timeout: config.timeouts.action,
            properties: &properties,
            salt: salt.finish(),
            do_not_cache: false,
        }
        .encode();
        let digest = action.digest;
        let mut made = merkle.directories;
        made.extend([command, action]);
        let system_prefix = (system == SystemFiles::Clients).then_some(prefix);
        Ok(Self { action: digest, made, stored, outputs, system_prefix })
    }
}

/// The program itself must be executable also where the client names it as an input alone.
fn is_compiler(job: &Job, toolchain: &Toolchain, path: &crate::paths::AbsPath) -> bool {
    job.cwd.walk(&toolchain.program).is_ok_and(|walked| walked.path == *path)
}

/// The client's variables. `PWD` is for those that must run in the client's own directory.
fn environment(job: &Job, layout: &Layout) -> Vec<(String, String)> {
    let mut env = job.env.clone();
    env.retain(|(name, _)| name != "PWD");
    if layout.fixed {
        env.push(("PWD".to_owned(), job.cwd.as_str().to_owned()));
    }
    if !env.iter().any(|(name, _)| name == "PATH") {
        env.push(("PATH".to_owned(), DEFAULT_PATH.to_owned()));
    }
    env.sort_unstable();
    env
}

/// Files that the result depends on and that are not in the tree: the action must not be taken for
/// that of another client, whose files of the same names have other contents.
#[derive(Default)]
struct Salt {
    files: BTreeMap<String, [u8; 32]>,
}

impl Salt {
    fn add(&mut self, path: &str, hash: &[u8; 32]) {
        self.files.insert(path.to_owned(), *hash);
    }

    /// SHA-256 over the sorted paths, each ended by a zero byte and followed by its hash.
    fn finish(self) -> Vec<u8> {
        if self.files.is_empty() {
            return Vec::new();
        }
        let mut sha256 = Sha256::new();
        for (path, hash) in &self.files {
            sha256.update(path.as_bytes());
            sha256.update([0]);
            sha256.update(hash);
        }
        sha256.finalize().to_vec()
    }
}
