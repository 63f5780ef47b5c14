//! Room for requests: so many at once, and so many bytes of their bodies and answers.
//!
//! Where there is none, a request waits with its body unread, each user's in turn with those of others.
//! The stock client waits ten minutes for an answer, but any refusal costs it the compile, so refusing is
//! what comes last.
//!
//! Half of the room is for bodies on their way, half for those that are worked on: however slowly some
//! users send theirs, what has arrived is worked on. Answers have room of their own, from when their files
//! are fetched until they are written. Large ones leave some of each to the others: a quarter to small
//! bodies on their way, and an eighth to what is of an ordinary size.
//!
//! In all, bodies as sent and as inflated, and what decoded messages take beside them, take
//! `--max-inflight-bytes` at most, and answers `--max-answer-bytes`, unless a single one alone is larger
//! than its part: one may be `max_body` on its way, `max_body` and twice `max_inflated` while it is worked
//! on, and 256 MiB as an answer. Not counted are what HTTP reads ahead on each connection (64 KiB, 1 MiB
//! for HTTP/2), what is made of a message, and an answer's compressed form.

use std::time::Duration;

use goma_common::shards::Source;
use goma_common::{Code, Error, Result};

use crate::fair::{Fair, Held};
use crate::room::{Room, Taken};

/// Bodies up to this size, most of all, are let in without waiting behind large ones.
const SMALL: usize = 64 << 10;
/// Which part of a half is for these. By default that is 2,048 of the largest of them, or, at 32 KiB each,
/// as many as there may be requests.
const SMALL_PART: usize = 4;

/// The room of one gateway.
pub(crate) struct Admission {
    requests: Fair,
    small: Room,
    large: Room,
    working: Room,
    pub(crate) answers: Answers,
    wait: Duration,
}

/// Held until the answer is made: room is free again when this is dropped.
pub(crate) struct Permit {
    _request: Held,
    arriving: Option<Taken>,
    working: Option<Taken>,
    room: Room,
    who: Source,
    wait: Duration,
}

/// Room for answers; a clone is the same.
#[derive(Clone)]
pub(crate) struct Answers {
    room: Room,
    wait: Duration,
}

impl Admission {
    /// So many requests at once, of so many bytes, with so many bytes of answers.
    pub(crate) fn new(requests: usize, bytes: usize, answers: usize, wait: Duration) -> Self {
        let half = bytes.div_ceil(2);
        let small = half.div_ceil(SMALL_PART);
        Self {
            requests: Fair::new(requests),
            small: Room::of(small),
            large: Room::of(half - small),
            working: Room::of(half),
            answers: Answers { room: Room::of(answers), wait },
            wait,
        }
    }

    /// Waits until a body of so many bytes, of this user, may be read. One that is larger than all the
    /// room there is for its like waits until it is alone.
    ///
    /// # Errors
    /// `ResourceExhausted` when there was no room for long enough.
    pub(crate) async fn admit(&self, who: Source, bytes: usize) -> Result<Permit> {
        let part = if bytes <= SMALL { &self.small } else { &self.large };
        let room = async {
            let request = self.requests.take(who, 1).await;
            (request, part.take(who, bytes).await)
        };
        let (request, arriving) = within(self.wait, room).await?;
        let (room, wait) = (self.working.clone(), self.wait);
        Ok(Permit { _request: request, arriving: Some(arriving), working: None, room, who, wait })
    }
}

impl Permit {
    /// The body has arrived: waits until so many bytes of it and of what it inflates to may be
    /// worked on. Those who hold that room wait for room for their answers alone.
    ///
    /// # Errors
    /// `ResourceExhausted` when there was no room for long enough.
    pub(crate) async fn arrived(&mut self, bytes: usize) -> Result<()> {
        self.working = Some(within(self.wait, self.room.take(self.who, bytes)).await?);
        self.arriving = None;
        Ok(())
    }

    /// Takes up `bytes` in all from now on.
    ///
    /// # Errors
    /// As [`Taken::settle`].
    pub(crate) fn settle(&mut self, bytes: usize) -> Result<()> {
        self.working.as_mut().map_or(Ok(()), |working| working.settle(bytes))
    }

    /// Makes room for `bytes` in all, when a body turns out larger than it seemed.
    ///
    /// # Errors
    /// As [`Taken::grow_to`].
    pub(crate) fn grow_to(&mut self, bytes: usize) -> Result<()> {
        self.working.as_mut().map_or(Ok(()), |working| working.grow_to(bytes))
    }
}

impl Answers {
    /// Waits until so many bytes of files may be fetched for an answer; to be kept until that is written.
    ///
    /// # Errors
    /// `ResourceExhausted` when there was no room for long enough.
    pub(crate) async fn room(&self, who: Source, bytes: u64) -> Result<Taken> {
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        within(self.wait, self.room.take(who, bytes)).await
    }
}

async fn within<T>(wait: Duration, room: impl Future<Output = T>) -> Result<T> {
    match tokio::time::timeout(wait, room).await {
        Ok(room) => Ok(room),
        Err(_) => Err(Error::new(
            Code::ResourceExhausted,
            format!("no room for another request within {} s", wait.as_secs()),
        )),
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    const UNIT: usize = 4096;

    fn new(requests: usize, bytes: usize, seconds: u64) -> Admission {
        Admission::new(requests, bytes, UNIT, Duration::from_secs(seconds))
    }

    /// Room for ten units on their way, three of them in small bodies, and for ten that are worked on.
    fn twenty() -> Admission {
        new(100, 20 * UNIT, 30)
    }

    const ANN: Source = Source(1);
    const LARGE: usize = 20 * UNIT;

    #[tokio::test(start_paused = true)]
    async fn a_large_body_waits_for_room_and_is_refused_last() {
        let admission = twenty();
        let first = admission.admit(ANN, LARGE).await.expect("alone");
        let error = admission.admit(ANN, LARGE).await.err().expect("refused");
        assert_eq!(error.code, Code::ResourceExhausted);
        let (waited, ()) = tokio::join!(admission.admit(ANN, LARGE), async {
            tokio::time::sleep(Duration::from_secs(20)).await;
            drop(first);
        });
        assert!(waited.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn bodies_that_do_not_arrive_hold_up_no_small_one() {
        let admission = twenty();
        let slow = admission.admit(ANN, LARGE).await.expect("alone");
        let mut quick = admission.admit(ANN, SMALL).await.expect("at once");
        quick.arrived(10 * UNIT).await.expect("all the room to work");
        drop(slow);
    }

    #[tokio::test(start_paused = true)]
    async fn small_bodies_that_do_not_arrive_are_counted_and_hold_up_no_large_one() {
        let admission = new(100, 8 * 5 * SMALL, 30);
        let mut slow = Vec::new();
        for _ in 0..5 {
            slow.push(admission.admit(ANN, SMALL).await.expect("room"));
        }
        assert!(admission.admit(ANN, 1).await.is_err(), "no room for another");
        let large = admission.admit(ANN, LARGE).await.expect("room of its own");
        slow[0].arrived(SMALL).await.expect("room to work");
        assert!(admission.admit(ANN, 1).await.is_ok(), "one is no longer on its way");
        drop(large);
    }

    #[tokio::test(start_paused = true)]
    async fn what_has_arrived_waits_for_room_to_be_worked_on() {
        let admission = twenty();
        let mut first = admission.admit(ANN, UNIT).await.expect("room");
        first.arrived(100 * UNIT).await.expect("alone");
        let mut second = admission.admit(ANN, LARGE).await.expect("room");
        assert!(second.arrived(UNIT).await.is_err());
        assert!(first.grow_to(200 * UNIT).is_err(), "there is no more");
        let (waited, ()) = tokio::join!(second.arrived(UNIT), async { drop(first) });
        assert!(waited.is_ok());
        assert!(second.grow_to(2 * UNIT).is_ok());
        assert!(admission.admit(ANN, LARGE).await.is_ok(), "its body is no longer on its way");
    }

    #[tokio::test(start_paused = true)]
    async fn requests_are_counted_too() {
        let admission = new(1, LARGE, 1);
        let only = admission.admit(ANN, 1).await.expect("room");
        assert!(admission.admit(ANN, 1).await.is_err());
        drop(only);
        assert!(admission.admit(ANN, 1).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn another_users_request_has_its_turn() {
        let admission = new(1, LARGE, 30);
        let only = admission.admit(ANN, 1).await.expect("room");
        let mut anns: Vec<_> = (0..100).map(|_| Box::pin(admission.admit(ANN, 1))).collect();
        assert!(anns.iter_mut().all(|waiting| waiting.now_or_never().is_none()));
        let mut bobs = Box::pin(admission.admit(Source(2), 1));
        assert!((&mut bobs).now_or_never().is_none());
        drop(only);
        let next = (&mut anns[0]).now_or_never().expect("it came first").expect("room");
        assert!((&mut bobs).now_or_never().is_none());
        drop(next);
        bobs.now_or_never().expect("his turn").expect("room");
    }
}
