//! Which request is which: a function of the seed and the request's number.

/// What requests are made of.
#[derive(Clone, Debug)]
pub(crate) struct Workload {
    pub(crate) seed: u64,
    /// Sizes in the list of sizes.
    pub(crate) sizes: usize,
    /// Known actions of each size.
    pub(crate) actions: usize,
    pub(crate) users: usize,
    /// Of all requests, those that bring new files.
    pub(crate) new_share: f64,
    /// Of all requests, those that repeat a known action.
    pub(crate) hit_share: f64,
}

/// What a server has seen of a request before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// All of it.
    Known,
    /// All but its source.
    Unique,
    /// Neither its source nor some of the files that it includes.
    New,
}

/// One request, before it is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Choice {
    pub(crate) number: u64,
    /// Places in the lists.
    pub(crate) size: usize,
    pub(crate) action: usize,
    pub(crate) user: usize,
    pub(crate) kind: Kind,
}

impl Workload {
    /// The request of this number, from 0. Sizes take turns, and each user has all of them.
    pub(crate) fn choose(&self, number: u64) -> Choice {
        // Neighbouring seeds begin alike; far ones do not.
        let seed = self.seed.wrapping_add(number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut random = fastrand::Rng::with_seed(seed);
        let place = random.f64();
        let kind = if place < self.new_share {
            Kind::New
        } else if place < self.new_share + self.hit_share {
            Kind::Known
        } else {
            Kind::Unique
        };
        let sizes = self.sizes as u64;
        Choice {
            number,
            size: (number % sizes) as usize,
            action: random.usize(..self.actions),
            user: (number / sizes % self.users as u64) as usize,
            kind,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workload() -> Workload {
        Workload { seed: 3, sizes: 3, actions: 4, users: 2, new_share: 0.1, hit_share: 0.6 }
    }

    #[test]
    fn shares_are_kept() {
        let count = |kind| {
            let chosen = (0..10_000).map(|n| workload().choose(n));
            chosen.filter(|choice| choice.kind == kind).count()
        };
        assert!((900..1100).contains(&count(Kind::New)), "{}", count(Kind::New));
        assert!((5850..6150).contains(&count(Kind::Known)), "{}", count(Kind::Known));
        let all_known = Workload { new_share: 0.0, hit_share: 1.0, ..workload() };
        assert!((0..10_000).all(|n| all_known.choose(n).kind == Kind::Known));
        let none = Workload { new_share: 0.0, hit_share: 0.0, ..workload() };
        assert!((0..10_000).all(|n| none.choose(n).kind == Kind::Unique));
    }

    #[test]
    fn sizes_take_turns_and_users_have_all_of_them() {
        let choices: Vec<Choice> = (0..12).map(|n| workload().choose(n)).collect();
        let sizes: Vec<usize> = choices.iter().map(|choice| choice.size).collect();
        assert_eq!(sizes, [0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2]);
        let users: Vec<usize> = choices.iter().map(|choice| choice.user).collect();
        assert_eq!(users, [0, 0, 0, 1, 1, 1, 0, 0, 0, 1, 1, 1]);
        assert!((0..100).any(|n| workload().choose(n).action == 3));
    }

    #[test]
    fn the_same_seed_chooses_the_same() {
        let all = |seed| (0..50).map(move |n| Workload { seed, ..workload() }.choose(n));
        assert!(all(1).eq(all(1)));
        assert!(!all(1).eq(all(2)));
    }
}
