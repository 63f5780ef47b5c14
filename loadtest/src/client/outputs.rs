//! Writes what an ExecResult names, fetching what it does not hold.

use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};

use goma_common::digest::Hasher;
use goma_proto::api::exec_result::Output;
use goma_proto::api::file_blob::BlobType;
use goma_proto::api::{FileBlob, RequesterInfo};
use tokio::fs::File;
use tokio::io::AsyncWriteExt;

use super::lookup::lookup;
use super::outcome::WrittenFile;
use crate::error::{Error, Result};
use crate::http::{Traffic, Transport};

/// Chunks asked for in one call.
const CHUNKS_A_LOOKUP: usize = 5;

/// Where outputs go and come from.
pub(crate) struct Outputs<'a> {
    pub(crate) transport: &'a Transport,
    pub(crate) requester: &'a RequesterInfo,
    pub(crate) traffic: &'a Traffic,
    pub(crate) cwd: &'a Path,
    /// What the request expected.
    pub(crate) expected: &'a [String],
}

impl Outputs<'_> {
    /// Writes all of them.
    ///
    /// # Errors
    /// The first that cannot be had or written.
    pub(crate) async fn write(&self, outputs: &[Output]) -> Result<Vec<WrittenFile>> {
        let mut written = Vec::new();
        for output in outputs {
            written.push(self.write_one(output).await?);
        }
        Ok(written)
    }

    async fn write_one(&self, output: &Output) -> Result<WrittenFile> {
        let name = output.filename();
        if !is_allowed(name, self.expected) {
            return Err(Error::Answer(format!("an output that was not expected: {name:?}")));
        }
        let Some(blob) = &output.blob else {
            return Err(Error::Answer(format!("output {name} without a blob")));
        };
        let path = self.cwd.join(name);
        // Whoever looks at the place meanwhile sees the old file or the new one, never a part.
        let partial = partial_path(&path);
        let file = File::create(&partial).await.map_err(|e| Error::file(&partial, e))?;
        let mut sink = Sink { file, hasher: Hasher::default() };
        let looked_up = match self.fill(&mut sink, name, blob).await {
            Ok(looked_up) => looked_up,
            Err(error) => {
                // The error says more than a failed removal would.
                tokio::fs::remove_file(&partial).await.ok();
                return Err(error);
            }
        };
        sink.file.flush().await.map_err(|e| Error::file(&partial, e))?;
        if output.is_executable() {
            let mode = std::fs::Permissions::from_mode(0o755);
            sink.file.set_permissions(mode).await.map_err(|e| Error::file(&partial, e))?;
        }
        tokio::fs::rename(&partial, &path).await.map_err(|e| Error::file(&path, e))?;
        Ok(WrittenFile { name: name.to_owned(), digest: sink.hasher.finish(), looked_up })
    }

    /// Writes the blob's contents; true when they had to be looked up.
    async fn fill(&self, sink: &mut Sink, name: &str, blob: &FileBlob) -> Result<bool> {
        let wrong = |what: String| Err(Error::Answer(format!("output {name}: {what}")));
        match blob.blob_type() {
            BlobType::File => {
                let content = blob.content.as_deref().unwrap_or_default();
                sink.put(content).await?;
                self.check_size(name, blob, content.len() as u64)?;
                Ok(false)
            }
            BlobType::FileMeta if blob.hash_key.len() >= 2 => {
                let mut size = 0;
                for keys in blob.hash_key.chunks(CHUNKS_A_LOOKUP) {
                    for chunk in lookup(self.transport, self.requester, keys, self.traffic).await? {
                        if chunk.blob_type() != BlobType::FileChunk
                            || u64::try_from(chunk.offset()) != Ok(size)
                        {
                            return wrong(format!("no chunk at {size}"));
                        }
                        let content = chunk.content.as_deref().unwrap_or_default();
                        sink.put(content).await?;
                        size += content.len() as u64;
                    }
                }
                self.check_size(name, blob, size)?;
                Ok(true)
            }
            BlobType::FileRef if blob.hash_key.len() == 1 => {
                let keys = &blob.hash_key;
                let files = lookup(self.transport, self.requester, keys, self.traffic).await?;
                for file in files {
                    if file.blob_type() != BlobType::File {
                        return wrong("a reference to no whole file".into());
                    }
                    let content = file.content.as_deref().unwrap_or_default();
                    sink.put(content).await?;
                    self.check_size(name, blob, content.len() as u64)?;
                }
                Ok(true)
            }
            kind => wrong(format!("a {kind:?} of {} keys", blob.hash_key.len())),
        }
    }

    fn check_size(&self, name: &str, blob: &FileBlob, size: u64) -> Result<()> {
        if blob.file_size.is_some_and(|said| u64::try_from(said) != Ok(size)) {
            let said = blob.file_size();
            return Err(Error::Answer(format!("output {name}: {size} bytes, said to be {said}")));
        }
        Ok(())
    }
}

/// A file that is hashed as it is written.
struct Sink {
    file: File,
    hasher: Hasher,
}

impl Sink {
    async fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.hasher.update(bytes);
        self.file.write_all(bytes).await.map_err(|e| Error::file("output", e))
    }
}

/// An output is expected by name, or lies beside one below the current directory. The stock client
/// writes wherever the server says; this one would rather tell.
fn is_allowed(name: &str, expected: &[String]) -> bool {
    expected.iter().any(|e| e == name)
        || (!name.is_empty()
            && Path::new(name).components().all(|c| matches!(c, Component::Normal(_))))
}

fn partial_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".goma-partial");
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_stay_where_they_are_expected() {
        let expected = ["../out/a.o".to_owned(), "/abs/b.o".to_owned()];
        for name in ["../out/a.o", "/abs/b.o", "obj/a.dwo", "a.su"] {
            assert!(is_allowed(name, &expected), "{name}");
        }
        for name in ["", "/etc/passwd", "../x", "a/../../x", "./../x"] {
            assert!(!is_allowed(name, &expected), "{name}");
        }
    }
}
