//! Calls of the Goma protocol, typed.

use goma_common::FileKey;
use goma_proto::api::file_blob::BlobType;
use goma_proto::api::{
    ExecReq, ExecResp, FileBlob, LookupFileReq, LookupFileResp, StoreFileReq, StoreFileResp,
};
use prost::Message;
use sha2::{Digest, Sha256};

use super::http::{self, Reply};

/// A server of the Goma protocol.
#[derive(Clone, Copy, Debug)]
pub struct Goma {
    pub port: u16,
}

impl Goma {
    /// Exec, whatever comes of it.
    pub async fn try_exec(&self, request: &ExecReq) -> Result<ExecResp, Reply> {
        let reply = http::post(self.port, "/e", &[], &request.encode_to_vec()).await;
        if reply.status != 200 {
            return Err(reply);
        }
        Ok(ExecResp::decode(&reply.body[..]).expect("an ExecResp"))
    }

    pub async fn exec(&self, request: &ExecReq) -> ExecResp {
        self.try_exec(request)
            .await
            .unwrap_or_else(|reply| panic!("{}: {}", reply.status, reply.text()))
    }

    pub async fn store(&self, blob: Vec<FileBlob>) -> Vec<String> {
        let request = StoreFileReq { blob, ..Default::default() };
        self.call::<StoreFileResp>("/s", &request).await.hash_key
    }

    pub async fn lookup(&self, hash_key: Vec<String>) -> Vec<FileBlob> {
        let request = LookupFileReq { hash_key, ..Default::default() };
        self.call::<LookupFileResp>("/l", &request).await.blob
    }

    async fn call<A: Message + Default>(&self, path: &str, request: &impl Message) -> A {
        let reply = http::post(self.port, path, &[], &request.encode_to_vec()).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.text());
        A::decode(&reply.body[..]).expect("a message")
    }

    /// Stores small files whole and large ones in chunks; the answer is the blob that names it.
    pub async fn store_file(&self, contents: &[u8]) -> FileBlob {
        if contents.len() <= CHUNK {
            let blob = file(contents);
            assert_eq!(self.store(vec![blob.clone()]).await, [key(&blob)]);
            return blob;
        }
        let chunks = chunks(contents);
        for group in chunks.chunks(5) {
            let keys: Vec<_> = group.iter().map(key).collect();
            assert_eq!(self.store(group.to_vec()).await, keys);
        }
        let blob = manifest(contents.len(), &chunks);
        assert_eq!(self.store(vec![blob.clone()]).await, [key(&blob)]);
        blob
    }
}

/// Clients send larger files in pieces of this many bytes.
pub const CHUNK: usize = goma_common::file_key::CHUNK_SIZE as usize;

pub fn file(contents: &[u8]) -> FileBlob {
    FileBlob {
        blob_type: Some(BlobType::File.into()),
        content: Some(contents.to_vec().into()),
        file_size: Some(contents.len() as i64),
        ..Default::default()
    }
}

/// The pieces of a large file.
pub fn chunks(contents: &[u8]) -> Vec<FileBlob> {
    let piece = |(at, piece): (usize, &[u8])| FileBlob {
        blob_type: Some(BlobType::FileChunk.into()),
        offset: Some((at * CHUNK) as i64),
        ..file(piece)
    };
    contents.chunks(CHUNK).enumerate().map(piece).collect()
}

/// The FILE_META of these chunks.
pub fn manifest(size: usize, chunks: &[FileBlob]) -> FileBlob {
    FileBlob {
        blob_type: Some(BlobType::FileMeta.into()),
        file_size: Some(size as i64),
        hash_key: chunks.iter().map(key).collect(),
        ..Default::default()
    }
}

/// The key of a blob, by its definition.
pub fn key(blob: &FileBlob) -> String {
    hex::encode(Sha256::digest(blob.encode_to_vec()))
}

/// A key that nobody knows.
pub fn unknown_key(number: u32) -> String {
    FileKey::of_file(format!("never stored: {number}").as_bytes()).hex()
}
