//! Actions as checks want them: a script over a few files.

use bytes::Bytes;
use goma_common::reapi::{Executed, Execution, fetch_all};
use goma_common::{Digest, Result};
use goma_proto::reapi::{
    Action, ActionResult, Command, Directory, DirectoryNode, FileNode, Platform, SymlinkNode,
    command, platform,
};
use prost::Message;

use super::visited::Visited;

/// One of them; its salt makes it another action than any before.
pub(super) struct Script {
    pub(super) script: &'static str,
    pub(super) outputs: Vec<String>,
    pub(super) working_directory: &'static str,
    pub(super) deprecated_outputs: bool,
    pub(super) do_not_cache: bool,
    pub(super) timeout_seconds: i64,
    /// Properties beside those of all.
    pub(super) property: Option<(&'static str, &'static str)>,
}

/// A script that writes `out` and nothing else.
pub(super) fn script(script: &'static str) -> Script {
    Script {
        script,
        outputs: vec!["out".to_owned()],
        working_directory: "",
        deprecated_outputs: false,
        do_not_cache: false,
        timeout_seconds: 60,
        property: None,
    }
}

/// What a script finds: `dir/input` of these bytes, `dir/tool`, which is executable, `dir/link` to
/// the input, and an empty directory `empty`.
pub(super) struct Inputs {
    pub(super) root: Digest,
    pub(super) input: Digest,
    pub(super) blobs: Vec<(Digest, Bytes)>,
}

impl Inputs {
    pub(super) fn new() -> Self {
        let input = blob(format!("input {:032x}\n", fastrand::u128(..)).into());
        let tool = blob("#!/bin/sh\nprintf ran\n".into());
        let empty = encoded(&Directory::default());
        let file = |name: &str, digest: Digest, is_executable| FileNode {
            name: name.to_owned(),
            digest: Some(digest.into()),
            is_executable,
            ..Default::default()
        };
        let dir = encoded(&Directory {
            files: vec![file("input", input.0, false), file("tool", tool.0, true)],
            symlinks: vec![SymlinkNode {
                name: "link".to_owned(),
                target: "input".to_owned(),
                ..Default::default()
            }],
            ..Default::default()
        });
        let directory = |name: &str, digest: Digest| DirectoryNode {
            name: name.to_owned(),
            digest: Some(digest.into()),
        };
        let root = encoded(&Directory {
            directories: vec![directory("dir", dir.0), directory("empty", empty.0)],
            ..Default::default()
        });
        let blobs = vec![input.clone(), tool, empty, dir, root.clone()];
        Self { root: root.0, input: input.0, blobs }
    }

    /// Without the contents of `dir/input`, which no server has.
    pub(super) fn without_input(mut self) -> Self {
        let input = self.input;
        self.blobs.retain(|(digest, _)| *digest != input);
        self
    }
}

impl Script {
    /// Uploads it with its inputs; the digest of the action.
    pub(super) async fn upload(&self, visited: &Visited, inputs: &Inputs) -> Result<Digest> {
        let mut properties = visited.properties.clone();
        if let Some((name, value)) = self.property {
            properties.push((name.to_owned(), value.to_owned()));
        }
        properties.sort_unstable();
        let property = |(name, value)| platform::Property { name, value };
        let platform = Platform { properties: properties.into_iter().map(property).collect() };
        let (mut files, mut paths) = (Vec::new(), Vec::new());
        let outputs = if self.deprecated_outputs { &mut files } else { &mut paths };
        outputs.extend(self.outputs.iter().cloned());
        let variable = |name: &str, value: &str| command::EnvironmentVariable {
            name: name.to_owned(),
            value: value.to_owned(),
        };
        #[allow(deprecated, reason = "what is deprecated is to be tried")]
        let command = encoded(&Command {
            arguments: ["/bin/sh", "-c", self.script].map(ToOwned::to_owned).to_vec(),
            environment_variables: vec![
                variable("GREETING", "hello"),
                variable("PATH", "/usr/bin:/bin"),
            ],
            output_paths: paths,
            output_files: files,
            platform: Some(platform.clone()),
            working_directory: self.working_directory.to_owned(),
            ..Default::default()
        });
        let action = encoded(&Action {
            command_digest: Some(command.0.into()),
            input_root_digest: Some(inputs.root.into()),
            timeout: Some(goma_proto::protobuf::Duration {
                seconds: self.timeout_seconds,
                nanos: 0,
            }),
            do_not_cache: self.do_not_cache,
            salt: fastrand::u128(..).to_le_bytes().to_vec(),
            platform: Some(platform),
        });
        let mut blobs = inputs.blobs.clone();
        blobs.extend([command, action.clone()]);
        visited.upload(&blobs).await?;
        Ok(action.0)
    }

    /// Uploads and runs it.
    pub(super) async fn run(&self, visited: &Visited) -> Result<ActionResult> {
        let action = self.upload(visited, &Inputs::new()).await?;
        Ok(execute(visited, action, true).await?.result)
    }
}

pub(super) async fn execute(visited: &Visited, action: Digest, fresh: bool) -> Result<Executed> {
    let execution = Execution::new(action, fresh);
    visited.backend.executor.execute(&execution, visited.deadline()).await
}

/// The contents of an output; `None` when there is no such output.
pub(super) async fn output(
    visited: &Visited,
    result: &ActionResult,
    path: &str,
) -> Result<Option<Bytes>> {
    let Some(file) = result.output_files.iter().find(|file| file.path == path) else {
        return Ok(None);
    };
    let digest = Digest::try_from(&file.digest.clone().unwrap_or_default())?;
    let found = fetch_all(&visited.backend, &[digest], visited.deadline()).await?;
    Ok(found.get(&digest).cloned())
}

fn blob(contents: Bytes) -> (Digest, Bytes) {
    (Digest::of(&contents), contents)
}

fn encoded(message: &impl Message) -> (Digest, Bytes) {
    blob(message.encode_to_vec().into())
}
