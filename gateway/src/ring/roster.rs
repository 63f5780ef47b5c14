//! What is known of every member by now, and who of them makes the ring. Pure.

use std::collections::BTreeMap;

use tokio_util::sync::CancellationToken;

use super::view::Up;
use super::watcher::Report;

/// Who is in which state, by watcher.
#[derive(Default)]
pub(super) struct Roster {
    entries: BTreeMap<u64, Entry>,
    reports: u64,
}

struct Entry {
    label: String,
    state: Known,
}

enum Known {
    /// Up, and as of which report.
    Up(Up, u64),
    Out(String),
}

impl Roster {
    /// A member of which nothing is known yet; `label` is its name or address.
    pub(super) fn add(&mut self, id: u64, label: String) {
        self.entries.insert(id, Entry { label, state: Known::Out("not asked yet".to_owned()) });
    }

    /// Forgets a member. Its calls under way go on.
    pub(super) fn remove(&mut self, id: u64) {
        self.entries.remove(&id);
    }

    /// Takes a report; what is to be told that it went down once the ring is without it. Reports of
    /// members that were removed are late and mean nothing.
    pub(super) fn take(&mut self, id: u64, report: Report) -> Option<CancellationToken> {
        self.reports += 1;
        let entry = self.entries.get_mut(&id)?;
        match report {
            Report::Up(up) => {
                if !matches!(entry.state, Known::Up(..)) {
                    tracing::info!(shard = up.member.name, at = entry.label, "a shard is up");
                }
                entry.state = Known::Up(up, self.reports);
                None
            }
            Report::Out { why, gone } => {
                if let Known::Up(up, _) = &entry.state {
                    let shard = &up.member.name;
                    tracing::warn!(shard, at = entry.label, why, "a shard left the ring");
                }
                entry.state = Known::Out(why);
                gone
            }
        }
    }

    /// Those that are up, one of each name, and why the others are not. Where two say the same name
    /// one is about to replace the other: the latest to come has it.
    pub(super) fn view(&self) -> (Vec<Up>, Vec<(String, String)>) {
        let mut up: BTreeMap<&str, (u64, &str, &Up)> = BTreeMap::new();
        let mut out = Vec::new();
        for Entry { label, state } in self.entries.values() {
            match state {
                Known::Up(one, since) => {
                    let newest = up.entry(&one.member.name).or_insert((*since, label, one));
                    if newest.0 < *since {
                        *newest = (*since, label, one);
                    }
                }
                Known::Out(why) => out.push((label.clone(), why.clone())),
            }
        }
        (up.into_values().map(|(_, _, one)| one.clone()).collect(), out)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use goma_common::shards::Shards;

    use super::super::hash_ring::Member;
    use super::super::testing::Scripted;
    use super::*;

    fn up(name: &str, weight: u32) -> Report {
        let shard: Arc<dyn Shards> = Arc::new(Scripted::default());
        let member = Member { name: name.to_owned(), weight };
        Report::Up(Up { member, shard, gone: CancellationToken::new() })
    }

    fn out(why: &str) -> Report {
        Report::Out { why: why.to_owned(), gone: None }
    }

    fn members(roster: &Roster) -> Vec<(String, u32)> {
        let (up, _) = roster.view();
        up.into_iter().map(|up| (up.member.name, up.member.weight)).collect()
    }

    #[test]
    fn the_latest_of_one_name_has_its_place() {
        let mut roster = Roster::default();
        for id in 0..3 {
            roster.add(id, format!("10.0.0.{id}:1"));
        }
        roster.take(2, up("a", 2));
        roster.take(0, up("a", 1));
        roster.take(1, up("b", 1));
        assert_eq!(members(&roster), [("a".to_owned(), 1), ("b".to_owned(), 1)]);
        roster.take(0, out("gone"));
        assert_eq!(members(&roster), [("a".to_owned(), 2), ("b".to_owned(), 1)]);
        roster.remove(2);
        assert_eq!(members(&roster), [("b".to_owned(), 1)]);
        assert_eq!(roster.view().1, [("10.0.0.0:1".to_owned(), "gone".to_owned())]);
    }

    #[test]
    fn a_late_report_of_a_member_that_was_removed_means_nothing() {
        let mut roster = Roster::default();
        roster.add(0, "a".to_owned());
        roster.remove(0);
        roster.take(0, up("a", 1));
        assert!(members(&roster).is_empty());
    }
}
