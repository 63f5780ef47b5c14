//! What each build cost, by the name that clients give it.

use std::collections::HashMap;
use std::time::Duration;

use serde::Serialize;

use super::clock::seconds;
use crate::trail::{End, Ended};

/// Builds that are told of: of more, the one that was quiet longest goes.
const BUILDS: usize = 100;
/// Characters of a name.
const NAME: usize = 100;

/// The sheet of one build.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Build {
    pub(crate) name: String,
    pub(crate) user: String,
    /// Seconds since 1970 of its first and last compile.
    pub(crate) first: f64,
    pub(crate) last: f64,
    pub(crate) compiles: u64,
    pub(crate) hits: u64,
    pub(crate) ran: u64,
    /// Of those that ran, for somebody else at the same moment.
    pub(crate) joined: u64,
    /// Answers that asked for files first.
    pub(crate) missing: u64,
    pub(crate) refused: u64,
    pub(crate) failed: u64,
    /// Calls that the backend was spared: a compile that is not in the cache asks for blobs and executes, one
    /// that runs for another at the same moment executes once with it.
    pub(crate) avoided: u64,
    /// Bytes that its clients sent.
    pub(crate) received: u64,
    /// Bytes of its inputs, sent or not.
    pub(crate) input_bytes: u64,
    /// Workers' seconds spent, and those that hits saved, as the backend tells them.
    pub(crate) worker_s: f64,
    pub(crate) saved_s: f64,
}

/// All that are told of, by name.
#[derive(Default)]
pub(crate) struct Builds(HashMap<String, Build>);

impl Builds {
    /// Counts a compile; one without a build belongs to its client.
    pub(crate) fn add(&mut self, ended: &Ended) {
        let told = &ended.told;
        let name = if told.build.is_empty() { &told.client } else { &told.build };
        let name: String = name.chars().take(NAME).collect();
        let now = seconds(ended.when);
        if self.0.len() >= BUILDS && !self.0.contains_key(&name) {
            self.drop_oldest();
        }
        let build = self.0.entry(name).or_insert_with_key(|name| Build {
            name: name.clone(),
            first: now,
            ..Build::default()
        });
        build.last = build.last.max(now);
        if !told.user.is_empty() {
            build.user.clone_from(&told.user);
        }
        build.received += told.received as u64;
        let ran = told.worker.ran.map_or(0.0, |ran: Duration| ran.as_secs_f64());
        match &told.end {
            End::Hit { .. } => {
                build.hits += 1;
                build.avoided += 2;
                build.saved_s += ran;
            }
            End::Ran { .. } => {
                build.ran += 1;
                build.joined += u64::from(told.joined);
                build.avoided += u64::from(told.joined);
                build.worker_s += if told.joined { 0.0 } else { ran };
            }
            End::Missing(_) => build.missing += 1,
            End::Refused(_) => build.refused += 1,
            _ => build.failed += 1,
        }
        if !matches!(told.end, End::Missing(_)) {
            build.compiles += 1;
            build.input_bytes += told.input_bytes;
        }
    }

    fn drop_oldest(&mut self) {
        let oldest = self.0.values().min_by(|a, b| a.last.total_cmp(&b.last));
        if let Some(name) = oldest.map(|build| build.name.clone()) {
            self.0.remove(&name);
        }
    }

    /// The latest first.
    pub(crate) fn list(&self) -> Vec<Build> {
        let mut builds: Vec<Build> = self.0.values().cloned().collect();
        builds.sort_by(|a, b| b.last.total_cmp(&a.last));
        builds
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::ended;
    use super::*;

    #[test]
    fn the_sheet_says_what_a_build_cost_and_saved() {
        let mut builds = Builds::default();
        for (end, joined) in [
            (End::Missing(3), false),
            (End::Ran { exit: 0 }, false),
            (End::Ran { exit: 1 }, true),
            (End::Hit { exit: 0 }, false),
            (End::Refused("no".to_owned()), false),
        ] {
            let mut request = ended(end, "b1", 0);
            request.told.joined = joined;
            request.told.worker.ran = Some(Duration::from_secs(2));
            (request.told.received, request.told.input_bytes) = (10, 1000);
            builds.add(&request);
        }
        let build = &builds.list()[0];
        assert_eq!((build.compiles, build.hits, build.ran, build.joined), (4, 1, 2, 1));
        assert_eq!((build.missing, build.refused, build.failed), (1, 1, 0));
        assert_eq!(build.avoided, 3, "two of the hit, one of that which joined another");
        assert_eq!((build.received, build.input_bytes), (50, 4000));
        assert_eq!((build.worker_s, build.saved_s), (2.0, 2.0));
    }

    #[test]
    fn the_build_that_was_quiet_longest_goes() {
        let mut builds = Builds::default();
        for n in 0..BUILDS as u64 + 10 {
            builds.add(&ended(End::Hit { exit: 0 }, &format!("b{n}"), n));
            builds.add(&ended(End::Hit { exit: 0 }, "b0", n));
        }
        let names: Vec<_> = builds.list().into_iter().map(|build| build.name).collect();
        assert_eq!(names.len(), BUILDS);
        assert!(names.contains(&"b0".to_owned()) && !names.contains(&"b1".to_owned()));
    }
}
