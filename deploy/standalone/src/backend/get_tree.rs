//! A walk over the directories of a tree in the CAS.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use futures::stream::{self, Stream};
use goma_common::{Code, Digest, Error};
use goma_proto::reapi;
use prost::Message as _;
use tonic::Status;

use super::blocking::blocking;
use super::capabilities::MAX_BATCH;
use super::rpc_status;
use super::store::Store;

/// The directories below one, each once, parents first.
pub(super) struct TreeWalk {
    store: Arc<Store>,
    queue: VecDeque<Digest>,
    seen: HashSet<Digest>,
}

impl TreeWalk {
    pub(super) fn new(store: &Arc<Store>, root: Digest) -> Self {
        let (queue, seen) = (VecDeque::from([root]), HashSet::from([root]));
        Self { store: Arc::clone(store), queue, seen }
    }

    /// All of them, in pages that fit into messages.
    pub(super) fn pages(
        self,
        max: usize,
    ) -> impl Stream<Item = Result<reapi::GetTreeResponse, Status>> + Send {
        stream::try_unfold(self, move |mut walk| async move {
            let (walk, page) = blocking(move || {
                let page = walk.next_page(max)?;
                Ok((walk, page))
            })
            .await?;
            Ok(page.map(|page| (page, walk)))
        })
    }

    /// The next directories, as many as fit; those that are missing are left out, as the protocol
    /// asks. `None` after the last.
    fn next_page(&mut self, max: usize) -> Result<Option<reapi::GetTreeResponse>, Error> {
        let mut page = reapi::GetTreeResponse::default();
        let mut size = 0;
        while page.directories.len() < max {
            let Some(&digest) = self.queue.front() else { break };
            if size > 0 && size + digest.size > MAX_BATCH {
                break;
            }
            self.queue.pop_front();
            let blob = match self.store.read_blob(digest, MAX_BATCH) {
                Err(error) if error.code == Code::NotFound => continue,
                blob => blob?,
            };
            let directory: reapi::Directory = rpc_status::decode("directory", &blob)?;
            for child in &directory.directories {
                let child = rpc_status::digest(child.digest.as_ref(), &child.name)?;
                if self.seen.insert(child) {
                    self.queue.push_back(child);
                }
            }
            size += directory.encoded_len() as u64 + 16;
            page.directories.push(directory);
        }
        Ok(if page.directories.is_empty() { None } else { Some(page) })
    }
}
