//! The least that a server must do for a cached Exec.
//!
//! It inflates and decodes the request, hashes directories that somebody else made, asks the action
//! cache, and encodes and compresses the answer with what it was given. It looks at no input, decides
//! nothing, and believes the backend's bytes.

use std::io::{Read, Write};

use bytes::Bytes;
use flate2::Compression;
use flate2::bufread::GzDecoder;
use flate2::write::GzEncoder;
use goma_common::reapi::Backend;
use goma_common::shards::Blob;
use goma_common::{Deadline, Digest};
use goma_proto::api::file_blob::BlobType;
use goma_proto::api::{ExecReq, ExecResp, ExecResult, FileBlob, exec_result};
use prost::Message;
use std::time::Duration;

/// What it needs that is not in the request.
pub(crate) struct Floor {
    pub(crate) backend: Backend,
    pub(crate) body: Bytes,
    /// What the gateway made of the request: directories, and last the Command and the Action.
    pub(crate) made: Vec<Blob>,
}

impl Floor {
    /// The body of the answer.
    pub(crate) async fn serve(&self) -> Bytes {
        let request = ExecReq::decode(gunzip(&self.body)).expect("an ExecReq");
        let (action, rest) = self.made.split_last().expect("an action");
        let (_command, directories) = rest.split_last().expect("a command");
        for directory in directories {
            let contents = directory.contents.as_ref().expect("a directory");
            assert_eq!(Digest::of(contents), directory.digest);
        }
        let outputs = &request.expected_output_files;
        let deadline = Deadline::after(Duration::from_secs(10));
        let cached = self.backend.action_cache.get(action.digest, outputs, deadline).await;
        let cached = cached.expect("an action cache").expect("a result");
        let outputs = cached.output_files.into_iter().map(|file| exec_result::Output {
            filename: Some(file.path),
            blob: Some(FileBlob {
                blob_type: Some(BlobType::File.into()),
                file_size: Some(file.contents.len() as i64),
                content: Some(file.contents.into()),
                ..Default::default()
            }),
            is_executable: Some(file.is_executable),
        });
        let answer = ExecResp {
            result: Some(ExecResult {
                exit_status: Some(0),
                output: outputs.collect(),
                ..Default::default()
            }),
            ..Default::default()
        };
        gzip(&answer.encode_to_vec())
    }
}

/// As the gateway inflates.
pub(crate) fn gunzip(body: &[u8]) -> Bytes {
    let mut inflated = Vec::with_capacity(body.len() * 4);
    GzDecoder::new(body).read_to_end(&mut inflated).expect("gzip");
    inflated.into()
}

/// As the gateway compresses.
pub(crate) fn gzip(answer: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::with_capacity(answer.len() / 2), Compression::fast());
    encoder.write_all(answer).expect("memory");
    encoder.finish().expect("memory").into()
}
