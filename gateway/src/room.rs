//! Room for bytes, of which large requests leave some for the others.

use goma_common::shards::Source;
use goma_common::{Code, Error, Result};

use crate::fair::{Fair, Held};

/// Bytes are counted in these.
const UNIT: usize = 4096;
/// What takes up to this is not large: with few exceptions that is everything. Five hundred inputs by
/// their names are a tenth of it.
pub(crate) const ORDINARY: usize = 1 << 20;
/// Which part of the room is left for what is not: little enough for one request of the largest size to be
/// inflated in the rest, where for a moment there are two buffers.
const LEFT: usize = 8;

/// So many bytes; a clone is the same room.
#[derive(Clone)]
pub(crate) struct Room {
    all: Fair,
    /// What of it those may take that are large.
    large: Fair,
}

/// Some of it, free again when this is dropped.
pub(crate) struct Taken {
    room: Room,
    all: Option<Held>,
    large: Option<Held>,
}

impl Room {
    pub(crate) fn of(bytes: usize) -> Self {
        let all = bytes.div_ceil(UNIT);
        Self { all: Fair::new(all), large: Fair::new(all - all.div_ceil(LEFT).min(all)) }
    }

    /// Waits for so many bytes, in turn with others. What is larger than all that may be large waits until
    /// it is alone among its like, and takes no more than that.
    pub(crate) async fn take(&self, who: Source, bytes: usize) -> Taken {
        let large = match bytes > ORDINARY {
            true => Some(self.large.take(who, units(bytes)).await),
            false => None,
        };
        let amount = large.as_ref().map_or(units(bytes), Held::amount);
        let all = Some(self.all.take(who, amount).await);
        Taken { room: self.clone(), all, large }
    }
}

impl Taken {
    /// Takes up `bytes` in all from now on: gives back what is more, or makes room.
    ///
    /// # Errors
    /// As [`Taken::grow_to`].
    pub(crate) fn settle(&mut self, bytes: usize) -> Result<()> {
        let is_alone = [&self.large, &self.all].into_iter().flatten().any(Held::is_all);
        match &mut self.all {
            Some(all) if units(bytes) <= all.amount() => {
                all.keep(units(bytes));
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

    /// Makes room for `bytes` in all.
    ///
    /// # Errors
    /// `ResourceExhausted` when there is none now. It does not wait: two that hold a part each and wait
    /// for the rest would wait for ever.
    pub(crate) fn grow_to(&mut self, bytes: usize) -> Result<()> {
        let none = || Error::new(Code::ResourceExhausted, "no room for so large a request");
        if bytes > ORDINARY {
            grow(&self.room.large, &mut self.large, bytes).ok_or_else(none)?;
        }
        grow(&self.room.all, &mut self.all, bytes).ok_or_else(none)
    }
}

/// Has so many bytes held in all, if there is room for what is more.
fn grow(room: &Fair, held: &mut Option<Held>, bytes: usize) -> Option<()> {
    let more = units(bytes).saturating_sub(held.as_ref().map_or(0, Held::amount));
    let more = room.try_take(more)?;
    match held {
        Some(held) => held.merge(more),
        None => *held = Some(more),
    }
    Some(())
}

fn units(bytes: usize) -> usize {
    bytes.div_ceil(UNIT).max(1)
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    const ANN: Source = Source(1);

    fn now(room: &Room, bytes: usize) -> Option<Taken> {
        room.take(ANN, bytes).now_or_never()
    }

    #[test]
    fn large_ones_leave_room_for_the_others() {
        let room = Room::of(8 * ORDINARY);
        let bomb = now(&room, 100 * ORDINARY).expect("alone among its like");
        let mut liar = now(&room, 1).expect("it seems to be small");
        assert!(liar.grow_to(2 * ORDINARY).is_err(), "there is room for no large one");
        drop(liar);
        let mut ordinary = now(&room, ORDINARY).expect("at once");
        ordinary.settle(ORDINARY / 2).expect("less");
        assert!(now(&room, 2 * ORDINARY).is_none());
        drop(bomb);
        let mut large = now(&room, 6 * ORDINARY).expect("room");
        large.settle(2 * ORDINARY).expect("less");
        assert!(now(&room, 4 * ORDINARY).is_some(), "what was given back");
    }

    #[test]
    fn room_that_was_not_needed_is_given_back() {
        let room = Room::of(10 * UNIT);
        let mut first = now(&room, 8 * UNIT).expect("room");
        assert!(now(&room, 7 * UNIT).is_none());
        first.settle(3 * UNIT).expect("less");
        let mut second = now(&room, 5 * UNIT).expect("room");
        second.settle(7 * UNIT).expect("the rest");
        assert!(first.settle(4 * UNIT).is_err(), "there is no more");
        drop((first, second));
        // All of the room is whatever one takes who is alone in it.
        let mut alone = now(&room, 100 * UNIT).expect("alone");
        alone.settle(200 * UNIT).expect("nobody else is there");
        assert!(alone.grow_to(200 * UNIT).is_err());
    }
}
