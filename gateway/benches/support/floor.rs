//! The least that a server must do for a cached Exec.
//!
//! It inflates and decodes the request, hashes directories that somebody else made, asks the action
//! cache, and encodes and compresses the answer with what it was given. It looks at no input, decides
//! nothing, and believes the backend's bytes.

use std::cell::RefCell;
use std::io::Read;
use std::time::Duration;

use bytes::Bytes;
use flate2::bufread::GzDecoder;
use flate2::{Compress, Crc, FlushCompress, Status};
use goma_common::reapi::Backend;
use goma_common::shards::Blob;
use goma_common::{Deadline, Digest};
use goma_proto::api::file_blob::BlobType;
use goma_proto::api::{ExecReq, ExecResp, ExecResult, FileBlob, exec_result};
use prost::Message;

/// What it needs that is not in the request.
pub(crate) struct Floor {
    pub(crate) backend: Backend,
    pub(crate) body: Bytes,
    /// What the gateway made of the request: directories, and last the Command and the Action.
    pub(crate) made: Vec<Blob>,
    /// Kept from answer to answer, as the gateway keeps its own.
    pub(crate) compressor: RefCell<Compress>,
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
        self.compress(&answer.encode_to_vec())
    }

    /// gzip but for its head.
    fn compress(&self, answer: &[u8]) -> Bytes {
        let mut compressed = Vec::with_capacity(answer.len());
        let mut compressor = self.compressor.borrow_mut();
        compressor.reset();
        let end = compressor.compress_vec(answer, &mut compressed, FlushCompress::Finish);
        assert!(matches!(end, Ok(Status::StreamEnd)));
        let mut crc = Crc::new();
        crc.update(answer);
        compressed.extend_from_slice(&crc.sum().to_le_bytes());
        compressed.into()
    }
}

/// As the gateway inflates.
pub(crate) fn gunzip(body: &[u8]) -> Bytes {
    let mut inflated = Vec::with_capacity(body.len() * 4);
    GzDecoder::new(body).read_to_end(&mut inflated).expect("gzip");
    inflated.into()
}
