//! ByteStream writes of a scripted server: what it holds of those that broke, and how they break.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use goma_proto::bytestream::{QueryWriteStatusResponse, WriteRequest};
use tonic::{Status, Streaming};

/// The writes of a server; a clone is the same ones.
#[derive(Clone, Default)]
pub struct Writes(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// By the name of the resource; none are kept where the server does not remember.
    parts: HashMap<String, Vec<u8>>,
    remembers: bool,
    refuses_to_go_on: bool,
    /// After how many bytes the next writes break.
    breaks: Vec<usize>,
    /// Bytes that were taken in all.
    taken: usize,
}

impl Writes {
    /// From now on it keeps what it took of a write that broke, and tells how much that is.
    pub fn remember(&self) {
        self.state().remembers = true;
    }

    /// From now on it takes no write that goes on with another one, whatever it says.
    pub fn refuse_to_go_on(&self) {
        self.state().refuses_to_go_on = true;
    }

    /// The next write that does not break yet breaks when so many bytes are there.
    pub fn break_at(&self, bytes: usize) {
        self.state().breaks.insert(0, bytes);
    }

    /// Bytes of all writes so far, those that broke too.
    #[must_use]
    pub fn taken(&self) -> usize {
        self.state().taken
    }

    /// Reads a write to its end.
    pub(super) async fn take(
        &self,
        first: WriteRequest,
        mut rest: Streaming<WriteRequest>,
    ) -> Result<Vec<u8>, Status> {
        let name = first.resource_name.clone();
        let (mut contents, breaks) = {
            let mut state = self.state();
            if first.write_offset > 0 && state.refuses_to_go_on {
                return Err(Status::invalid_argument("writes begin at 0"));
            }
            (state.parts.remove(&name).unwrap_or_default(), state.breaks.pop())
        };
        let mut next = Some(first);
        while let Some(message) = next {
            if usize::try_from(message.write_offset).ok() != Some(contents.len()) {
                let there = contents.len();
                return Err(Status::out_of_range(format!("{there} bytes are there")));
            }
            contents.extend_from_slice(&message.data);
            self.state().taken += message.data.len();
            if breaks.is_some_and(|at| contents.len() >= at) {
                let mut state = self.state();
                if state.remembers {
                    state.parts.insert(name, contents);
                }
                return Err(Status::unavailable("the disk is away"));
            }
            next = rest.message().await?;
        }
        Ok(contents)
    }

    /// How much of a write there is.
    pub(super) fn status(&self, name: &str) -> Result<QueryWriteStatusResponse, Status> {
        let state = self.state();
        if !state.remembers {
            return Err(Status::unimplemented("writes begin anew"));
        }
        let part = state.parts.get(name).ok_or_else(|| Status::not_found("no such write"))?;
        let committed_size = i64::try_from(part.len()).unwrap_or(i64::MAX);
        Ok(QueryWriteStatusResponse { committed_size, complete: false })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
