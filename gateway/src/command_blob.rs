//! The REAPI messages Command and Action as blobs.
//!
//! Their bytes are the key of the farm's cache: equal requests must give equal bytes on every
//! gateway and in every release.

use std::time::Duration;

use bytes::Bytes;
use goma_common::Digest;
use goma_common::preset::OutputFields;
use goma_common::shards::Blob;
use goma_proto::protobuf;
use goma_proto::reapi::{Action, Command, Platform, command, platform};
use prost::Message;

use crate::worker::Properties;

/// What a worker runs.
pub(crate) struct CommandBlob<'a> {
    pub(crate) arguments: Vec<String>,
    /// Sorted by name.
    pub(crate) env: Vec<(String, String)>,
    /// Relative to the input root; empty for the root itself.
    pub(crate) working_directory: String,
    /// Relative to the working directory.
    pub(crate) outputs: Vec<String>,
    /// Directories that are outputs with all that is in them; relative likewise.
    pub(crate) output_dirs: Vec<String>,
    /// By which fields they are asked for.
    pub(crate) output_fields: OutputFields,
    /// Sorted by name.
    pub(crate) properties: &'a Properties,
}

impl CommandBlob<'_> {
    /// The Command; its output paths sorted and once each, as REAPI asks.
    pub(crate) fn encode(mut self) -> Blob {
        self.outputs.sort_unstable();
        self.outputs.dedup();
        self.output_dirs.sort_unstable();
        self.output_dirs.dedup();
        let (output_files, output_directories) = match self.output_fields {
            OutputFields::Paths => (Vec::new(), Vec::new()),
            OutputFields::Both => (self.outputs.clone(), self.output_dirs.clone()),
        };
        let mut output_paths = self.outputs;
        output_paths.append(&mut self.output_dirs);
        output_paths.sort_unstable();
        output_paths.dedup();
        #[allow(
            deprecated,
            reason = "backends before REAPI 2.2 read the platform there, before 2.1 the outputs"
        )]
        let command = Command {
            arguments: self.arguments,
            environment_variables: self
                .env
                .into_iter()
                .map(|(name, value)| command::EnvironmentVariable { name, value })
                .collect(),
            output_paths,
            output_files,
            output_directories,
            platform: platform(self.properties),
            working_directory: self.working_directory,
            ..Default::default()
        };
        blob(&command)
    }
}

/// What makes an Action of a Command.
pub(crate) struct ActionBlob<'a> {
    pub(crate) command: Digest,
    pub(crate) root: Digest,
    pub(crate) timeout: Duration,
    pub(crate) properties: &'a Properties,
    /// Sets the action apart from others with the same command and inputs; empty for none.
    pub(crate) salt: Vec<u8>,
    pub(crate) do_not_cache: bool,
}

impl ActionBlob<'_> {
    /// The Action.
    pub(crate) fn encode(self) -> Blob {
        blob(&Action {
            command_digest: Some(self.command.into()),
            input_root_digest: Some(self.root.into()),
            timeout: Some(protobuf::Duration {
                seconds: i64::try_from(self.timeout.as_secs()).unwrap_or(i64::MAX),
                nanos: 0,
            }),
            do_not_cache: self.do_not_cache,
            salt: self.salt,
            platform: platform(self.properties),
        })
    }
}

fn platform(properties: &Properties) -> Option<Platform> {
    let properties = properties
        .iter()
        .map(|(name, value)| platform::Property { name: name.clone(), value: value.clone() })
        .collect();
    Some(Platform { properties })
}

/// A message with its name in the CAS.
pub(crate) fn blob(message: &impl Message) -> Blob {
    let contents = Bytes::from(message.encode_to_vec());
    Blob { digest: Digest::of(&contents), contents: Some(contents) }
}
