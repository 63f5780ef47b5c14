//! The ActionCache service: results of actions that ran here and succeeded.
//!
//! A result is only told while every blob it names is there. Nobody but [`executor`](super::executor)
//! writes: a client's word for what an action yields is not taken.

use std::sync::Arc;

use goma_common::{Code, Digest, Error, Result};
use goma_proto::reapi::{self, ActionResult, action_cache_server};
use prost::Message as _;
use tonic::{Request, Response, Status};

use super::blocking::blocking;
use super::index::{Key, Kind};
use super::inline::Inline;
use super::rpc_status;
use super::store::Store;

/// Largest tree of an output directory that is looked into.
const MAX_TREE: u64 = 64 << 20;

/// The service.
pub(super) struct ActionCache {
    pub(super) store: Arc<Store>,
}

#[tonic::async_trait]
impl action_cache_server::ActionCache for ActionCache {
    async fn get_action_result(
        &self,
        request: Request<reapi::GetActionResultRequest>,
    ) -> Result<Response<ActionResult>, Status> {
        let request = request.into_inner();
        let action = rpc_status::digest(request.action_digest.as_ref(), "action")?;
        let store = Arc::clone(&self.store);
        let result = blocking(move || {
            let result = lookup(&store, action)?;
            let mut result = result
                .ok_or_else(|| Error::new(Code::NotFound, format!("no result of {action}")))?;
            Inline::of_lookup(request).fill(&store, &mut result);
            Ok(result)
        });
        Ok(Response::new(result.await?))
    }

    async fn update_action_result(
        &self,
        _request: Request<reapi::UpdateActionResultRequest>,
    ) -> Result<Response<ActionResult>, Status> {
        Err(Status::permission_denied("results come from executions here, not from clients"))
    }
}

/// The result of an action, if it is known and complete; then its blobs count as used.
pub(super) fn lookup(store: &Store, action: Digest) -> Result<Option<ActionResult>> {
    let key = Key { kind: Kind::Result, digest: action };
    let encoded = match store.read(&key) {
        Err(error) if error.code == Code::NotFound => return Ok(None),
        encoded => encoded?,
    };
    // A power cut may have left a file that is shorter than what was written.
    let complete = ActionResult::decode(encoded.as_slice())
        .ok()
        .filter(|result| blobs_of(store, result).is_ok_and(|all| store.missing(&all).is_empty()));
    if complete.is_none() {
        store.forget(&key);
    }
    Ok(complete)
}

/// Remembers the result of an action.
pub(super) fn remember(store: &Arc<Store>, action: Digest, result: &ActionResult) -> Result<()> {
    let key = Key { kind: Kind::Result, digest: action };
    store.put_unverified(key, &result.encode_to_vec())
}

/// Every blob that a client may ask for after it has this result.
fn blobs_of(store: &Store, result: &ActionResult) -> Result<Vec<Digest>> {
    let files = result.output_files.iter().map(|file| file.digest.as_ref());
    let streams = [result.stdout_digest.as_ref(), result.stderr_digest.as_ref()];
    let streams = streams.into_iter().filter(Option::is_some);
    let named = files.chain(streams).map(|digest| rpc_status::digest(digest, "output"));
    let mut all = named.collect::<Result<Vec<_>>>()?;
    for directory in &result.output_directories {
        if let Some(root) = &directory.root_directory_digest {
            all.push(Digest::try_from(root)?);
        }
        let digest = rpc_status::digest(directory.tree_digest.as_ref(), &directory.path)?;
        let tree = store.read_blob(digest, MAX_TREE)?;
        let tree: reapi::Tree = rpc_status::decode("tree", &tree)?;
        for directory in tree.root.iter().chain(&tree.children) {
            for file in &directory.files {
                all.push(rpc_status::digest(file.digest.as_ref(), &file.name)?);
            }
        }
        all.push(digest);
    }
    Ok(all)
}
