//! What this backend says of itself, and the limits that it keeps.

use goma_proto::reapi::{
    self, capabilities_server, digest_function, symlink_absolute_path_strategy,
};
use goma_proto::semver::SemVer;
use tonic::{Request, Response, Status};

/// Largest message in either direction, as every client accepts it unasked.
pub(super) const MAX_MESSAGE: usize = 4 << 20;

/// Sum of the blobs in one batch; the rest of a message is for digests and framing.
pub(super) const MAX_BATCH: u64 = (MAX_MESSAGE - (128 << 10)) as u64;

/// What a message may carry inline besides what it is about.
pub(super) const MAX_INLINE: usize = 3 << 20;

/// The service; the same answer for every instance.
pub(super) struct Capabilities;

#[tonic::async_trait]
impl capabilities_server::Capabilities for Capabilities {
    async fn get_capabilities(
        &self,
        _request: Request<reapi::GetCapabilitiesRequest>,
    ) -> Result<Response<reapi::ServerCapabilities>, Status> {
        let sha256 = digest_function::Value::Sha256 as i32;
        let version = |minor| Some(SemVer { major: 2, minor, ..SemVer::default() });
        let cache = reapi::CacheCapabilities {
            digest_functions: vec![sha256],
            action_cache_update_capabilities: Some(reapi::ActionCacheUpdateCapabilities {
                update_enabled: false,
            }),
            max_batch_total_size_bytes: MAX_BATCH.cast_signed(),
            symlink_absolute_path_strategy: symlink_absolute_path_strategy::Value::Allowed as i32,
            ..Default::default()
        };
        let execution = reapi::ExecutionCapabilities {
            digest_function: sha256,
            exec_enabled: true,
            digest_functions: vec![sha256],
            ..Default::default()
        };
        Ok(Response::new(reapi::ServerCapabilities {
            cache_capabilities: Some(cache),
            execution_capabilities: Some(execution),
            deprecated_api_version: None,
            low_api_version: version(0),
            high_api_version: version(3),
        }))
    }
}
