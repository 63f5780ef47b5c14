//! Room for requests: so many at once, and so many bytes of their bodies.
//!
//! Where there is none, a request waits with its body unread. The stock client waits ten minutes for
//! an answer, but any refusal costs it the compile, so refusing is what comes last.

use std::sync::Arc;
use std::time::Duration;

use goma_common::{Code, Error, Result};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes are counted in these, so that a large budget fits a semaphore.
const UNIT: usize = 4096;

/// The room of one gateway.
pub(crate) struct Admission {
    requests: Arc<Semaphore>,
    units: Arc<Semaphore>,
    all_units: usize,
    wait: Duration,
}

/// Held until the answer is written: room is free again when this is dropped.
pub(crate) struct Permit {
    _request: OwnedSemaphorePermit,
    bytes: OwnedSemaphorePermit,
    units: Arc<Semaphore>,
}

impl Admission {
    pub(crate) fn new(requests: usize, bytes: usize, wait: Duration) -> Self {
        let all_units = bytes.div_ceil(UNIT).clamp(1, u32::MAX as usize);
        Self {
            requests: Arc::new(Semaphore::new(requests.max(1))),
            units: Arc::new(Semaphore::new(all_units)),
            all_units,
            wait,
        }
    }

    /// Waits for room for a request that will take about so many bytes. One that is larger than
    /// all the room there is waits until it is alone.
    ///
    /// # Errors
    /// `ResourceExhausted` when there was no room for long enough.
    pub(crate) async fn admit(&self, bytes: usize) -> Result<Permit> {
        let units = u32::try_from(units(bytes).min(self.all_units)).unwrap_or(u32::MAX);
        let room = async {
            // In arrival order, which semaphores keep: a large request is not starved by small ones.
            let request = self.requests.clone().acquire_owned().await;
            let bytes = self.units.clone().acquire_many_owned(units).await;
            request.ok().zip(bytes.ok())
        };
        match tokio::time::timeout(self.wait, room).await {
            Ok(Some((request, bytes))) => {
                Ok(Permit { _request: request, bytes, units: self.units.clone() })
            }
            _ => Err(Error::new(
                Code::ResourceExhausted,
                format!("no room for another request within {} s", self.wait.as_secs()),
            )),
        }
    }
}

impl Permit {
    /// Makes room for `bytes` in all, when a body turns out larger than it seemed.
    ///
    /// # Errors
    /// `ResourceExhausted` when there is none now. It does not wait: two requests that hold a part
    /// each and wait for the rest would wait for ever.
    pub(crate) fn grow_to(&mut self, bytes: usize) -> Result<()> {
        let more = units(bytes).saturating_sub(self.bytes.num_permits());
        let more = u32::try_from(more).unwrap_or(u32::MAX);
        match self.units.clone().try_acquire_many_owned(more) {
            Ok(more) => {
                self.bytes.merge(more);
                Ok(())
            }
            Err(_) => Err(Error::new(Code::ResourceExhausted, "no room for so large a request")),
        }
    }
}

fn units(bytes: usize) -> usize {
    bytes.div_ceil(UNIT).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_request_waits_for_room_and_is_refused_in_the_end() {
        let admission = Admission::new(10, 10 * UNIT, Duration::from_secs(30));
        let large = admission.admit(8 * UNIT).await.expect("room");
        let error = admission.admit(3 * UNIT).await.err().expect("refused");
        assert_eq!(error.code, Code::ResourceExhausted);
        let (waited, ()) = tokio::join!(admission.admit(3 * UNIT), async {
            tokio::time::sleep(Duration::from_secs(10)).await;
            drop(large);
        });
        assert!(waited.is_ok());
    }

    #[tokio::test]
    async fn one_larger_than_all_room_is_let_in_alone_and_growth_never_waits() {
        let admission = Admission::new(10, 4 * UNIT, Duration::from_millis(1));
        let mut all = admission.admit(100 * UNIT).await.expect("alone");
        assert!(admission.admit(1).await.is_err());
        assert!(all.grow_to(200 * UNIT).is_err());
    }
}
