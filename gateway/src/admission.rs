//! Room for requests: so many at once, and so many bytes of their bodies.
//!
//! Where there is none, a request waits with its body unread, each user's in turn with those of others.
//! The stock client waits ten minutes for an answer, but any refusal costs it the compile, so refusing is
//! what comes last.
//!
//! Half of the room is for bodies on their way, half for those that are worked on: however slowly
//! some users send theirs, what has arrived is worked on. Of either half a quarter is left by large
//! bodies for the others: for small ones on their way, and for those of an ordinary size that are worked
//! on, so that neither slow ones nor bombs hold them up.
//!
//! In all, bodies as sent and as inflated, and what decoded messages take beside them, take
//! `--max-inflight-bytes` at most, unless a single one alone is larger than its part: one may be
//! `max_body` on its way, and `max_body` and twice `max_inflated` while it is worked on. Not counted are
//! what HTTP reads ahead on each connection (64 KiB, 1 MiB for HTTP/2), what is made of a message, and
//! answers.

use std::time::Duration;

use goma_common::shards::Source;
use goma_common::{Code, Error, Result};

use crate::fair::{Fair, Held};

/// Bytes are counted in these.
const UNIT: usize = 4096;
/// Bodies up to this size, most of all, are let in without waiting behind large ones.
const SMALL: usize = 64 << 10;
/// Which part of a half is for these. By default that is 2,048 of the largest of them, or, at 32 KiB each,
/// as many as there may be requests.
const SMALL_PART: usize = 4;
/// What is worked on takes up to this with few exceptions: five hundred inputs by their names are a tenth
/// of it. More counts as large.
const ORDINARY: usize = 1 << 20;

/// The room of one gateway.
pub(crate) struct Admission {
    requests: Fair,
    small: Room,
    large: Room,
    working: Room,
    /// What of that those may take that are not ordinary.
    out_of_the_ordinary: Room,
    wait: Duration,
}

/// So many bytes.
#[derive(Clone)]
struct Room(Fair);

/// Held until the answer is written: room is free again when this is dropped.
pub(crate) struct Permit {
    _request: Held,
    arriving: Option<Held>,
    working: Option<Held>,
    large: Option<Held>,
    room: Room,
    large_room: Room,
    who: Source,
    wait: Duration,
}

impl Admission {
    pub(crate) fn new(requests: usize, bytes: usize, wait: Duration) -> Self {
        let half = bytes.div_ceil(2);
        let small = half.div_ceil(SMALL_PART);
        Self {
            requests: Fair::new(requests),
            small: Room::of(small),
            large: Room::of(half.saturating_sub(small)),
            working: Room::of(half),
            out_of_the_ordinary: Room::of(half.saturating_sub(small)),
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
        Ok(Permit {
            _request: request,
            arriving: Some(arriving),
            working: None,
            large: None,
            room: self.working.clone(),
            large_room: self.out_of_the_ordinary.clone(),
            who,
            wait: self.wait,
        })
    }
}

impl Permit {
    /// The body has arrived: waits until so many bytes of it and of what it inflates to may be
    /// worked on. Those who hold that room wait for nobody.
    ///
    /// # Errors
    /// `ResourceExhausted` when there was no room for long enough.
    pub(crate) async fn arrived(&mut self, bytes: usize) -> Result<()> {
        let room = async {
            let large = match bytes > ORDINARY {
                true => Some(self.large_room.take(self.who, bytes).await),
                false => None,
            };
            // A large one takes no more than may be large, so that it does not wait for all of the room.
            let bytes = large.as_ref().map_or(bytes, |large| large.amount() * UNIT);
            (large, self.room.take(self.who, bytes).await)
        };
        let (large, working) = within(self.wait, room).await?;
        (self.large, self.working, self.arriving) = (large, Some(working), None);
        Ok(())
    }

    /// Takes up `bytes` in all from now on: gives back what is more, or makes room.
    ///
    /// # Errors
    /// As [`Permit::grow_to`].
    pub(crate) fn settle(&mut self, bytes: usize) -> Result<()> {
        let is_alone = self.is_alone();
        match &mut self.working {
            Some(working) if units(bytes) <= working.amount() => {
                working.keep(units(bytes));
                self.large = self.large.take().filter(|_| bytes > ORDINARY);
                if let Some(large) = &mut self.large {
                    large.keep(units(bytes));
                }
                Ok(())
            }
            // One that had to be alone in the room stays so.
            _ if is_alone => Ok(()),
            _ => self.grow_to(bytes),
        }
    }

    /// Makes room for `bytes` in all, when a body turns out larger than it seemed.
    ///
    /// # Errors
    /// `ResourceExhausted` when there is none now. It does not wait: two requests that hold a part
    /// each and wait for the rest would wait for ever.
    pub(crate) fn grow_to(&mut self, bytes: usize) -> Result<()> {
        let none = || Error::new(Code::ResourceExhausted, "no room for so large a request");
        if bytes > ORDINARY {
            grow(&self.large_room, &mut self.large, bytes).ok_or_else(none)?;
        }
        grow(&self.room, &mut self.working, bytes).ok_or_else(none)
    }

    /// Whether there is no more room for its like.
    fn is_alone(&self) -> bool {
        [&self.large, &self.working].into_iter().flatten().any(Held::is_all)
    }
}

impl Room {
    fn of(bytes: usize) -> Self {
        Self(Fair::new(bytes.div_ceil(UNIT)))
    }

    async fn take(&self, who: Source, bytes: usize) -> Held {
        self.0.take(who, units(bytes)).await
    }
}

/// Has so many bytes held in all, if there is room for what is more.
fn grow(room: &Room, held: &mut Option<Held>, bytes: usize) -> Option<()> {
    let more = units(bytes).saturating_sub(held.as_ref().map_or(0, Held::amount));
    let more = room.0.try_take(more)?;
    match held {
        Some(held) => held.merge(more),
        None => *held = Some(more),
    }
    Some(())
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

fn units(bytes: usize) -> usize {
    bytes.div_ceil(UNIT).max(1)
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    /// Room for ten units on their way, three of them in small bodies, and for ten that are worked on.
    fn ten() -> Admission {
        Admission::new(100, 20 * UNIT, Duration::from_secs(30))
    }

    const ANN: Source = Source(1);
    const LARGE: usize = 20 * UNIT;

    #[tokio::test(start_paused = true)]
    async fn a_large_body_waits_for_room_and_is_refused_last() {
        let admission = ten();
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
        let admission = ten();
        let slow = admission.admit(ANN, LARGE).await.expect("alone");
        let mut quick = admission.admit(ANN, SMALL).await.expect("at once");
        quick.arrived(10 * UNIT).await.expect("all the room to work");
        drop(slow);
    }

    #[tokio::test(start_paused = true)]
    async fn small_bodies_that_do_not_arrive_are_counted_and_hold_up_no_large_one() {
        let admission = Admission::new(100, 8 * 5 * SMALL, Duration::from_secs(30));
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
        let admission = ten();
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
    async fn room_that_was_not_needed_is_given_back() {
        let admission = ten();
        let mut first = admission.admit(ANN, UNIT).await.expect("room");
        first.arrived(8 * UNIT).await.expect("room");
        let mut second = admission.admit(ANN, UNIT).await.expect("room");
        assert!(second.arrived(7 * UNIT).await.is_err());
        first.settle(3 * UNIT).expect("less");
        let mut second = admission.admit(ANN, UNIT).await.expect("room");
        second.arrived(5 * UNIT).await.expect("room");
        second.settle(7 * UNIT).expect("the rest");
        assert!(first.settle(4 * UNIT).is_err(), "there is no more");
        drop(second);
        // All of the room is whatever one takes who is alone in it.
        first.settle(3 * UNIT).expect("as much");
        drop(first);
        let mut alone = admission.admit(ANN, UNIT).await.expect("room");
        alone.arrived(100 * UNIT).await.expect("alone");
        alone.settle(200 * UNIT).expect("nobody else is there");
    }

    #[tokio::test(start_paused = true)]
    async fn large_ones_leave_room_for_the_others() {
        let admission = Admission::new(100, 16 * ORDINARY, Duration::from_secs(30));
        let mut bomb = admission.admit(ANN, 1).await.expect("room");
        bomb.arrived(100 * ORDINARY).await.expect("alone among its like");
        let mut liar = admission.admit(ANN, 1).await.expect("room");
        liar.arrived(1).await.expect("it seems to be small");
        assert!(liar.grow_to(2 * ORDINARY).is_err(), "there is room for no large one");
        drop(liar);
        let mut ordinary = admission.admit(ANN, 1).await.expect("room");
        ordinary.arrived(ORDINARY).await.expect("at once");
        ordinary.settle(ORDINARY / 2).expect("less");
        let mut large = admission.admit(ANN, 1).await.expect("room");
        assert!(large.arrived(2 * ORDINARY).await.is_err());
        drop(bomb);
        let mut large = admission.admit(ANN, 1).await.expect("room");
        large.arrived(6 * ORDINARY).await.expect("room");
        large.settle(2 * ORDINARY).expect("less");
        let mut other = admission.admit(ANN, 1).await.expect("room");
        other.arrived(4 * ORDINARY).await.expect("what was given back");
    }

    #[tokio::test(start_paused = true)]
    async fn requests_are_counted_too() {
        let admission = Admission::new(1, LARGE, Duration::from_secs(1));
        let only = admission.admit(ANN, 1).await.expect("room");
        assert!(admission.admit(ANN, 1).await.is_err());
        drop(only);
        assert!(admission.admit(ANN, 1).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn another_users_request_has_its_turn() {
        let admission = Admission::new(1, LARGE, Duration::from_secs(30));
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
