//! A queue in which each source has its turn, however much another brings. Pure.

use std::collections::{HashMap, VecDeque};

use crate::shards::Source;

/// Items by source, and whose turn it is.
pub struct FairQueue<T> {
    items: HashMap<Source, VecDeque<T>>,
    turns: VecDeque<Source>,
}

impl<T> Default for FairQueue<T> {
    fn default() -> Self {
        Self { items: HashMap::new(), turns: VecDeque::new() }
    }
}

impl<T> FairQueue<T> {
    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.turns.is_empty()
    }

    /// Adds an item behind those of the same source.
    pub fn push(&mut self, source: Source, item: T) {
        let items = self.items.entry(source).or_default();
        if items.is_empty() {
            self.turns.push_back(source);
        }
        items.push_back(item);
    }

    /// The item whose turn it is.
    #[must_use]
    pub fn front(&self) -> Option<&T> {
        self.items.get(self.turns.front()?)?.front()
    }

    /// Takes the item whose turn it is.
    pub fn pop(&mut self) -> Option<T> {
        let source = self.turns.pop_front()?;
        let items = self.items.get_mut(&source)?;
        let next = items.pop_front();
        match items.is_empty() {
            true => drop(self.items.remove(&source)),
            false => self.turns.push_back(source),
        }
        next
    }

    /// Takes items, one a source and turn, as long as they are at most so many and cost no more than
    /// that in all. The first is taken whatever it costs.
    pub fn take(&mut self, most: usize, cost: impl Fn(&T) -> u64, limit: u64) -> Vec<T> {
        let mut taken = Vec::new();
        let mut spent = 0;
        while taken.len() < most {
            let Some(next) = self.front().map(&cost) else { break };
            if !taken.is_empty() && spent + next > limit {
                break;
            }
            spent += next;
            taken.extend(self.pop());
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_who_brings_much_does_not_delay_the_rest() {
        let mut queue = FairQueue::default();
        (0..10_000).for_each(|n| queue.push(Source(1), n));
        queue.push(Source(2), 77_777);
        queue.push(Source(3), 88_888);
        let first = queue.take(4, |_| 1, 100);
        assert_eq!(first, [0, 77_777, 88_888, 1]);
        let mut all = 4;
        while !queue.is_empty() {
            all += queue.take(1000, |_| 1, u64::MAX).len();
        }
        assert_eq!(all, 10_002);
    }

    #[test]
    fn what_is_taken_keeps_within_the_limit() {
        let mut queue = FairQueue::default();
        for cost in [60_u64, 50, 300] {
            queue.push(Source(1), cost);
        }
        assert_eq!(queue.take(10, |cost| *cost, 100), [60]);
        assert_eq!(queue.take(10, |cost| *cost, 100), [50]);
        assert_eq!(queue.take(10, |cost| *cost, 100), [300], "too large for any, so alone");
        assert!(queue.take(10, |cost| *cost, 100).is_empty());
    }
}
