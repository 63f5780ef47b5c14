//! What the fake server knows and does: keeps blobs, names missing inputs, compiles on this machine.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;

use bytes::Bytes;
use goma_common::FileKey;
use goma_proto::api::exec_result::Output;
use goma_proto::api::file_blob::BlobType;
use goma_proto::api::*;
use prost::Message;
use sha2::{Digest, Sha256};

use super::State;

const CHUNK: usize = 2 * 1024 * 1024;

/// Blobs by key, and results by command.
#[derive(Debug, Default)]
pub struct Brain {
    pub blobs: Mutex<HashMap<String, FileBlob>>,
    results: Mutex<HashSet<String>>,
}

impl Brain {
    pub(super) fn answer(&self, state: &State, path: &str, body: &[u8]) -> Vec<u8> {
        match path.rsplit('/').next().unwrap() {
            "e" => self.exec(state, ExecReq::decode(body).unwrap()).encode_to_vec(),
            "s" => {
                let request = StoreFileReq::decode(body).unwrap();
                let hash_key = request.blob.into_iter().map(|blob| self.keep(blob)).collect();
                StoreFileResp { hash_key }.encode_to_vec()
            }
            "l" => self.lookup(state, LookupFileReq::decode(body).unwrap()).encode_to_vec(),
            other => panic!("unexpected route {other}"),
        }
    }

    /// Keeps a blob under the hash of its serialisation.
    pub fn keep(&self, blob: FileBlob) -> String {
        let key = hex::encode(Sha256::digest(blob.encode_to_vec()));
        self.blobs.lock().unwrap().insert(key.clone(), blob);
        key
    }

    fn knows(&self, key: &str) -> bool {
        let blobs = self.blobs.lock().unwrap();
        blobs.get(key).is_some_and(|blob| blob.hash_key.iter().all(|k| blobs.contains_key(k)))
    }

    fn lookup(&self, state: &State, request: LookupFileReq) -> LookupFileResp {
        let corrupt = state.habits.lock().unwrap().corrupt;
        let blobs = self.blobs.lock().unwrap();
        let find = |key: &String| {
            let mut blob = blobs.get(key).cloned().unwrap_or_default();
            if corrupt {
                let mut content = blob.content.unwrap_or_default().to_vec();
                content[0] ^= 1;
                blob.content = Some(content.into());
            }
            blob
        };
        LookupFileResp { blob: request.hash_key.iter().map(find).collect() }
    }

    fn exec(&self, state: &State, request: ExecReq) -> ExecResp {
        let (max_missing, forgetful) = {
            let habits = state.habits.lock().unwrap();
            (habits.max_missing, habits.forgetful)
        };
        let mut embedded = Vec::new();
        for input in &request.input {
            if let Some(blob) = &input.content {
                let key = self.keep(blob.clone());
                assert_eq!(key, input.hash_key(), "{}", input.filename());
                embedded.push(key);
            }
        }
        let missing_input: Vec<String> = request
            .input
            .iter()
            .filter(|input| !self.knows(input.hash_key()))
            .map(|input| input.filename().to_owned())
            .take(max_missing)
            .collect();
        if !missing_input.is_empty() {
            if forgetful {
                self.blobs.lock().unwrap().retain(|key, _| !embedded.contains(key));
            }
            return ExecResp { missing_input, ..Default::default() };
        }
        let hit = !self.results.lock().unwrap().insert(format!("{:?}", request.arg));
        ExecResp {
            result: Some(self.compile(state, &request)),
            cache_hit: Some(if hit { 1 } else { 0 }),
            ..Default::default()
        }
    }

    /// Runs the command with its `-o` redirected; other outputs say their names.
    fn compile(&self, state: &State, request: &ExecReq) -> ExecResult {
        let canned = state.habits.lock().unwrap().canned.clone();
        let object = tempfile::NamedTempFile::new().unwrap();
        let mut exit_status = 0;
        let mut stderr = Vec::new();
        if canned.is_none() {
            let mut args = request.arg.clone();
            let at = args.iter().position(|arg| arg == "-o").unwrap();
            args[at + 1] = object.path().to_str().unwrap().to_owned();
            let output = std::process::Command::new(&args[0])
                .args(&args[1..])
                .args(["-MF", "/dev/null"].iter().filter(|_| args.iter().any(|a| a == "-MD")))
                .current_dir(request.cwd())
                .output()
                .unwrap();
            exit_status = output.status.code().unwrap();
            stderr = output.stderr;
        }
        let outputs = request.expected_output_files.iter().enumerate().map(|(index, name)| {
            let contents = match (index, &canned) {
                (0, Some(canned)) => canned.clone(),
                (0, None) => std::fs::read(object.path()).unwrap().into(),
                _ => Bytes::from(name.clone()),
            };
            let blob = Some(self.output(state, contents));
            Output { filename: Some(name.clone()), blob, is_executable: Some(false) }
        });
        let output = if exit_status == 0 { outputs.collect() } else { Vec::new() };
        ExecResult {
            exit_status: Some(exit_status),
            stderr_buffer: Some(stderr.into()),
            output,
            ..Default::default()
        }
    }

    fn output(&self, state: &State, contents: Bytes) -> FileBlob {
        let habits = state.habits.lock().unwrap();
        if contents.len() < habits.lookup_from {
            return file(BlobType::File, None, contents);
        }
        let size = contents.len();
        let hash_key: Vec<String> = if habits.by_reference {
            vec![self.keep(file(BlobType::File, None, contents))]
        } else {
            let offsets = (0..size).step_by(CHUNK);
            offsets
                .map(|at| {
                    let piece = contents.slice(at..size.min(at + CHUNK));
                    let key = FileKey::of_chunk(at as u64, &piece, piece.len() as u64).hex();
                    assert_eq!(self.keep(file(BlobType::FileChunk, Some(at as i64), piece)), key);
                    key
                })
                .collect()
        };
        let kind = if habits.by_reference { BlobType::FileRef } else { BlobType::FileMeta };
        FileBlob {
            blob_type: Some(kind.into()),
            file_size: Some(size as i64),
            hash_key,
            ..Default::default()
        }
    }
}

fn file(kind: BlobType, offset: Option<i64>, contents: Bytes) -> FileBlob {
    FileBlob {
        blob_type: Some(kind.into()),
        offset,
        file_size: Some(contents.len() as i64),
        content: Some(contents),
        hash_key: Vec::new(),
    }
}
