//! Actions for tests: a command, its inputs and outputs, uploaded and executed.

use std::collections::BTreeMap;

use goma_common::Digest;
use goma_proto::longrunning::{self, operation};
use goma_proto::protobuf::Duration;
use goma_proto::reapi::command::EnvironmentVariable;
use goma_proto::reapi::platform::Property;
use goma_proto::reapi::{
    self, Command, Directory, DirectoryNode, ExecuteOperationMetadata, ExecuteRequest,
    ExecuteResponse, FileNode, Platform, SymlinkNode,
};
use prost::Message as _;

use crate::farm::Farm;

/// An action in the making.
pub(crate) struct Action {
    pub(crate) command: Command,
    pub(crate) message: reapi::Action,
    pub(crate) root: Dir,
}

/// An input directory in the making.
#[derive(Default)]
pub(crate) struct Dir {
    files: BTreeMap<String, (Vec<u8>, bool)>,
    links: BTreeMap<String, String>,
    dirs: BTreeMap<String, Dir>,
}

impl Action {
    pub(crate) fn new(arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
        let command = Command { arguments, ..Default::default() };
        let (message, root) = (reapi::Action::default(), Dir::default());
        Self { command, message, root }.env("PATH", "/usr/bin:/bin")
    }

    pub(crate) fn shell(script: &str) -> Self {
        Self::new(&["/bin/sh", "-c", script])
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        let (name, value) = (name.to_owned(), value.to_owned());
        self.command.environment_variables.push(EnvironmentVariable { name, value });
        self
    }

    pub(crate) fn output(mut self, path: &str) -> Self {
        self.command.output_paths.push(path.to_owned());
        self
    }

    pub(crate) fn input(self, path: &str, contents: &str) -> Self {
        self.node(path, |dir, name| {
            dir.files.insert(name, (contents.into(), false));
        })
    }

    pub(crate) fn program(self, path: &str, contents: &str) -> Self {
        self.node(path, |dir, name| {
            dir.files.insert(name, (contents.into(), true));
        })
    }

    pub(crate) fn link(self, path: &str, target: &str) -> Self {
        self.node(path, |dir, name| {
            dir.links.insert(name, target.to_owned());
        })
    }

    pub(crate) fn empty_dir(self, path: &str) -> Self {
        self.node(path, |dir, name| {
            dir.dirs.insert(name, Dir::default());
        })
    }

    /// Enough files in a directory to make a read-only mount of it worthwhile.
    pub(crate) fn many_inputs(mut self, dir: &str) -> Self {
        for number in 0..50 {
            self = self.input(&format!("{dir}/{number}.h"), &format!("// {number}"));
        }
        self
    }

    fn node(mut self, path: &str, add: impl FnOnce(&mut Dir, String)) -> Self {
        let (dirs, name) = path.rsplit_once('/').unwrap_or(("", path));
        let mut dir = &mut self.root;
        for part in dirs.split('/').filter(|part| !part.is_empty()) {
            dir = dir.dirs.entry(part.to_owned()).or_default();
        }
        add(dir, name.to_owned());
        self
    }

    pub(crate) fn in_dir(mut self, path: &str) -> Self {
        self.command.working_directory = path.to_owned();
        self
    }

    pub(crate) fn absolute_root(mut self, path: &str) -> Self {
        let (name, value) = ("InputRootAbsolutePath".to_owned(), path.to_owned());
        self.message.platform = Some(Platform { properties: vec![Property { name, value }] });
        self
    }

    pub(crate) fn timeout_ms(mut self, ms: i32) -> Self {
        let (seconds, nanos) = (i64::from(ms / 1000), ms % 1000 * 1_000_000);
        self.message.timeout = Some(Duration { seconds, nanos });
        self
    }

    pub(crate) fn do_not_cache(mut self) -> Self {
        self.message.do_not_cache = true;
        self
    }

    /// Uploads everything and names the action.
    pub(crate) async fn upload(mut self, farm: &Farm) -> Digest {
        let mut blobs = Vec::new();
        let root = self.root.blobs(&mut blobs);
        let command = self.command.encode_to_vec();
        self.message.command_digest = Some(Digest::of(&command).into());
        self.message.input_root_digest = Some(root.into());
        let action = self.message.encode_to_vec();
        let digest = Digest::of(&action);
        for blob in blobs.iter().chain([&command, &action]) {
            farm.put(blob).await;
        }
        digest
    }

    /// Uploads and executes.
    pub(crate) async fn run(self, farm: &Farm) -> ExecuteResponse {
        let action = self.upload(farm).await;
        execute(farm, action, false).await
    }
}

impl Dir {
    fn blobs(&self, blobs: &mut Vec<Vec<u8>>) -> Digest {
        let mut directory = Directory::default();
        for (name, (contents, is_executable)) in &self.files {
            directory.files.push(FileNode {
                name: name.clone(),
                digest: Some(Digest::of(contents).into()),
                is_executable: *is_executable,
                node_properties: None,
            });
            blobs.push(contents.clone());
        }
        for (name, target) in &self.links {
            let (name, target) = (name.clone(), target.clone());
            directory.symlinks.push(SymlinkNode { name, target, node_properties: None });
        }
        for (name, dir) in &self.dirs {
            let (name, digest) = (name.clone(), Some(dir.blobs(blobs).into()));
            directory.directories.push(DirectoryNode { name, digest });
        }
        blobs.push(directory.encode_to_vec());
        Digest::of(blobs.last().expect("just pushed"))
    }
}

pub(crate) async fn execute(farm: &Farm, action: Digest, skip: bool) -> ExecuteResponse {
    let operations = follow(farm, action, skip).await;
    response(operations.last().expect("an operation"))
}

/// All messages of one Execute.
pub(crate) async fn follow(farm: &Farm, action: Digest, skip: bool) -> Vec<longrunning::Operation> {
    let request = request(action, skip);
    let mut stream = farm.execution().execute(request).await.expect("a stream").into_inner();
    let mut operations = Vec::new();
    while let Some(operation) = stream.message().await.expect("an operation") {
        operations.push(operation);
    }
    operations
}

pub(crate) fn request(action: Digest, skip_cache_lookup: bool) -> ExecuteRequest {
    let action_digest = Some(action.into());
    ExecuteRequest { action_digest, skip_cache_lookup, ..Default::default() }
}

pub(crate) fn stage(operation: &longrunning::Operation) -> i32 {
    let metadata = operation.metadata.as_ref().expect("metadata");
    ExecuteOperationMetadata::decode(metadata.value.as_ref()).expect("metadata").stage
}

pub(crate) fn response(operation: &longrunning::Operation) -> ExecuteResponse {
    assert!(operation.done, "the last message is the end");
    match operation.result.as_ref().expect("a result") {
        operation::Result::Response(any) => {
            ExecuteResponse::decode(any.value.as_ref()).expect("a response")
        }
        operation::Result::Error(status) => panic!("an error of the operation: {status:?}"),
    }
}

/// What went wrong with an execution: its code, and its words.
pub(crate) fn failure(response: &ExecuteResponse) -> (tonic::Code, String) {
    let status = response.status.clone().unwrap_or_default();
    (tonic::Code::from_i32(status.code), status.message)
}

/// The result of an execution that went well as far as the worker is concerned.
pub(crate) fn result(response: &ExecuteResponse) -> &reapi::ActionResult {
    assert_eq!(failure(response), (tonic::Code::Ok, String::new()));
    response.result.as_ref().expect("a result")
}

pub(crate) fn stdout(response: &ExecuteResponse) -> String {
    let result = result(response);
    let stderr = String::from_utf8_lossy(&result.stderr_raw);
    assert_eq!(result.exit_code, 0, "{stderr}");
    String::from_utf8(result.stdout_raw.clone()).expect("text")
}
