//! A scenario that somebody wrote down: what happens when, and what must hold meanwhile.
//!
//! ```toml
//! name = "a shard and Redis at once"
//! [[event]]                     # a turn of them is repeated for as long as the scenario lasts
//! after = "3s"                  # of the event before
//! do = "kill shard-1"           # the words of `goma-loadtest cluster`
//! [[event]]
//! after = "5s"
//! do = "restart shard-1"
//! [holds]                       # each may be left out
//! failed = 0                    # compiles at most
//! compiles = 100                # at least
//! p99 = "20s"                   # at most, and so is
//! worst = "30s"
//! ```

use std::path::Path;
use std::time::Duration;

use serde::Deserialize;

use super::report::Tally;
use super::scenario::{Event, Scenario};
use crate::cluster::Config;
use crate::error::{Error, Result};

/// What happens, and what must hold.
#[derive(Clone, Debug)]
pub struct Script {
    /// What people call it.
    pub name: String,
    events: Events,
    holds: Holds,
}

#[derive(Clone, Debug)]
enum Events {
    Known(Scenario),
    Written(Vec<Event>),
}

/// Bounds; a compile with other bytes breaks every one.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Holds {
    #[serde(default)]
    failed: usize,
    #[serde(default)]
    compiles: usize,
    #[serde(default, deserialize_with = "time")]
    p99: Option<Duration>,
    #[serde(default, deserialize_with = "time")]
    worst: Option<Duration>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    event: Vec<Line>,
    #[serde(default)]
    holds: Holds,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    after: String,
    #[serde(rename = "do")]
    command: String,
}

fn time<'de, D: serde::Deserializer<'de>>(field: D) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(field)?;
    humantime::parse_duration(&text)
        .map(Some)
        .map_err(|error| serde::de::Error::custom(format!("{text}: {error}")))
}

impl From<Scenario> for Script {
    fn from(scenario: Scenario) -> Self {
        let (name, holds) = (scenario.name().to_owned(), Holds::default());
        Self { name, events: Events::Known(scenario), holds }
    }
}

impl Script {
    /// Reads a file.
    ///
    /// # Errors
    /// Naming the file, and the line or the event that is wrong.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|error| Error::file(path, error))?;
        Self::parse(&text).map_err(|reason| Error::Config {
            flag: "--scenario",
            reason: format!("{}: {reason}", path.display()),
        })
    }

    fn parse(text: &str) -> Result<Self, String> {
        let File { name, event, holds } =
            toml::from_str(text).map_err(|error| error.to_string().trim().to_owned())?;
        let read = |(n, Line { after, command }): (usize, Line)| {
            let told = |why: String| format!("event {}: {why}", n + 1);
            let after = humantime::parse_duration(&after)
                .map_err(|error| told(format!("after = {after:?}: {error}")))?;
            if after.is_zero() {
                return Err(told("after = \"0s\": a turn of no time has no end".to_owned()));
            }
            Ok(Event { after, command: command.parse().map_err(told)? })
        };
        let events: Result<Vec<Event>, String> = event.into_iter().enumerate().map(read).collect();
        Ok(Self { name, events: Events::Written(events?), holds })
    }

    /// The events of one turn.
    pub(super) fn turn(&self, config: &Config) -> Vec<Event> {
        match &self.events {
            Events::Known(scenario) => scenario.turn(config),
            Events::Written(events) => events.clone(),
        }
    }

    /// What does not hold of these builds, in words.
    pub(super) fn broken(&self, tally: &Tally) -> Vec<String> {
        let Holds { failed, compiles, p99, worst } = self.holds;
        let mut broken = Vec::new();
        if tally.wrong > 0 {
            broken.push(format!("{} compiles have other bytes", tally.wrong));
        }
        if tally.failed > failed {
            broken.push(format!("{} compiles failed, and {failed} may", tally.failed));
        }
        if tally.compiles < compiles.max(1) {
            broken.push(format!("{} compiles, and {} must be", tally.compiles, compiles.max(1)));
        }
        for (name, most, was) in [("p99", p99, tally.p99_ms), ("worst", worst, tally.worst_ms)] {
            if let Some(most) = most.filter(|most| was > most.as_secs_f64() * 1e3) {
                broken.push(format!("{name} is {was:.0} ms, and may be {}", most.as_millis()));
            }
        }
        broken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"
        name = "a shard"
        [[event]]
        after = "3s"
        do = "kill shard-1"
        [[event]]
        after = "500ms"
        do = "restart shard-1"
        [holds]
        failed = 1
        p99 = "2s"
    "#;

    #[test]
    fn events_happen_in_the_words_of_the_cluster() {
        let script = Script::parse(FILE).expect("reads");
        let turn = script.turn(&Config::new("/d"));
        let told: Vec<_> = turn.iter().map(|e| (e.after, e.command.to_string())).collect();
        let millis = Duration::from_millis;
        assert_eq!(
            told,
            [(millis(3000), "kill shard-1".into()), (millis(500), "restart shard-1".into())]
        );
    }

    #[test]
    fn what_does_not_hold_is_told() {
        let script = Script::parse(FILE).expect("reads");
        let fine = Tally { compiles: 10, failed: 1, p99_ms: 1999.0, ..Tally::default() };
        assert_eq!(script.broken(&fine), [""; 0]);
        let bad = Tally { failed: 2, wrong: 1, p99_ms: 2001.0, ..fine.clone() };
        assert_eq!(script.broken(&bad).len(), 3, "{:?}", script.broken(&bad));
        assert_eq!(Script::from(Scenario::KillShard).broken(&fine).len(), 1, "none may fail");
        assert_eq!(script.broken(&Tally::default()).len(), 1, "nothing was built");
    }

    #[test]
    fn what_cannot_be_meant_is_named() {
        for (from, to, why) in [
            ("kill shard-1", "kil shard-1", "event 1: \"kil shard-1\" is no command"),
            ("500ms", "soon", "event 2: after = \"soon\""),
            ("500ms", "0s", "event 2: after = \"0s\""),
            ("failed", "faild", "unknown field `faild`"),
            ("p99 = \"2s\"", "p99 = \"2 x\"", "2 x"),
        ] {
            let error = Script::parse(&FILE.replace(from, to)).expect_err(to);
            assert!(error.contains(why), "{error}");
        }
    }
}
