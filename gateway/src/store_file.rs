//! StoreFile: files of clients outside of a compile, put where compiles find them.

use goma_common::shards::Source;
use goma_common::{Code, Deadline, Error, Result, Tenant};
use goma_proto::api::FileBlob;

use crate::file_blob::{VerifiedBlob, verify};
use crate::gateway::Gateway;

impl Gateway {
    /// Stores blobs and answers their keys in order, `""` for one that is no proper blob.
    ///
    /// # Errors
    /// When contents cannot be stored; nothing was mapped that is not stored.
    pub(crate) async fn store_files(
        &self,
        blobs: Vec<FileBlob>,
        tenant: Tenant,
        source: Source,
        deadline: Deadline,
    ) -> Result<Vec<String>> {
        let files = self.files(tenant);
        let hash = move || blobs.iter().map(verify).collect::<Vec<_>>();
        let verified = tokio::task::spawn_blocking(hash)
            .await
            .map_err(|error| Error::new(Code::Internal, error.to_string()))?;
        let mut keys = Vec::with_capacity(verified.len());
        let mut good: Vec<VerifiedBlob> = Vec::with_capacity(verified.len());
        for blob in verified {
            match blob {
                Ok(blob) => {
                    keys.push(blob.key.hex());
                    good.push(blob);
                }
                Err(why) => {
                    files.mismatch(&why);
                    keys.push(String::new());
                }
            }
        }
        files.store(good, source, deadline).await.map_err(Error::of_the_server)?;
        Ok(keys)
    }
}
