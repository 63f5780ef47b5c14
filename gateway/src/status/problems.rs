//! What went wrong, equal things counted together, with what to do about each.

use serde::Serialize;

use super::advice::advice;
use super::clock::seconds;
use crate::trail::{End, Ended};

/// Kinds of problems that are told of: of more, the one that was seen least lately goes.
const KINDS: usize = 50;
/// Characters of what is told of one.
const WORDS: usize = 500;

/// A problem, however often it came up.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Problem {
    /// `refused`, `failed` or `denied`.
    pub(crate) outcome: &'static str,
    /// In the words of the last time.
    pub(crate) why: String,
    pub(crate) advice: Option<&'static str>,
    pub(crate) count: u64,
    /// Seconds since 1970.
    pub(crate) first: f64,
    pub(crate) last: f64,
    /// Number of the last request that had it.
    pub(crate) request: u64,
    #[serde(skip)]
    kind: String,
}

/// All that are told of.
#[derive(Default)]
pub(crate) struct Problems(Vec<Problem>);

impl Problems {
    /// Counts what went wrong with a request, if anything did.
    pub(crate) fn add(&mut self, number: u64, ended: &Ended) {
        let Some(why) = ended.told.end.why() else { return };
        let kind = kind(&ended.told.end, why);
        let now = seconds(ended.when);
        let why: String = why.chars().take(WORDS).collect();
        if let Some(problem) = self.0.iter_mut().find(|problem| problem.kind == kind) {
            problem.count += 1;
            (problem.why, problem.last, problem.request) = (why, now, number);
            return;
        }
        if self.0.len() >= KINDS
            && let Some(oldest) =
                (0..self.0.len()).min_by(|a, b| self.0[*a].last.total_cmp(&self.0[*b].last))
        {
            self.0.swap_remove(oldest);
        }
        self.0.push(Problem {
            outcome: ended.told.end.name(),
            advice: advice(&why),
            why,
            count: 1,
            first: now,
            last: now,
            request: number,
            kind,
        });
    }

    /// The latest first.
    pub(crate) fn list(&self) -> Vec<Problem> {
        let mut problems = self.0.clone();
        problems.sort_by(|a, b| b.last.total_cmp(&a.last));
        problems
    }
}

/// The words without what differs from request to request: names, numbers, hashes.
fn kind(end: &End, why: &str) -> String {
    let mut kind = String::from(end.name());
    let mut quoted = false;
    for word in why.split_inclusive([' ', '"']) {
        let plain = !quoted && !word.contains(['/', '@']) && !word.contains(char::is_numeric);
        if plain {
            kind.push_str(word);
        } else if !kind.ends_with('#') {
            kind.push('#');
        }
        quoted ^= word.ends_with('"');
    }
    kind
}

#[cfg(test)]
mod tests {
    use super::super::testing::ended;
    use super::*;

    #[test]
    fn the_same_trouble_with_other_names_is_counted_together() {
        let mut problems = Problems::default();
        for (n, why) in [
            "flag \"-fplugin=a.so\" is not served",
            "flag \"-fplugin b.so\" is not served",
            "backend: Execute: nobody at 10.0.0.1:80",
            "backend: Execute: nobody at 10.0.0.2:80",
            "no shard is up: a: refused",
        ]
        .into_iter()
        .enumerate()
        {
            problems.add(n as u64, &ended(End::Failed(why.to_owned()), "b", n as u64));
        }
        problems.add(9, &ended(End::Hit { exit: 0 }, "b", 9));
        let told: Vec<_> = problems.list().iter().map(|p| (p.count, p.request)).collect();
        assert_eq!(told, [(1, 4), (2, 3), (2, 1)]);
        assert!(problems.list()[0].advice.is_some_and(|advice| advice.contains("goma-shard")));
    }

    #[test]
    fn many_kinds_do_not_pile_up() {
        let mut problems = Problems::default();
        for n in 0..10 * KINDS as u64 {
            let why: String = std::iter::repeat_n('x', n as usize).collect();
            problems.add(n, &ended(End::Refused(why), "b", n));
        }
        assert_eq!(problems.list().len(), KINDS);
    }
}
