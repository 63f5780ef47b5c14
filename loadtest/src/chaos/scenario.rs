//! What happens to a cluster while it builds: lists of commands with pauses between them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::cluster::{Command, Config, Fault, Percent};

/// A way to disturb a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scenario {
    /// Nothing happens; what the others are compared with.
    Undisturbed,
    /// Each shard in turn is killed and stays away for a while.
    KillShard,
    /// Each gateway in turn is killed and stays away for a while.
    KillGateway,
    /// Each shard in turn is ended with SIGTERM and started again.
    RestartShards,
    /// Redis forgets everything, every few seconds.
    Flushall,
    /// Redis says nothing for 30 s (SIGSTOP).
    RedisStopped,
    /// Redis ends, is away for a while, and comes back empty.
    RedisRestarted,
    /// Redis answers after 2 s.
    RedisSlow,
    /// The backend loses everything.
    WipeBackend,
    /// A gateway and a shard cannot reach each other, without a word.
    CutLink,
    /// Everything but the balancer is restarted, one by one.
    Rolling,
    /// The backend evicts 1 % of its blobs each second.
    Evict,
    /// The backend loses 1 % of its blobs each second, says that it has them, and then MISSING.
    Lose,
}

/// Something that happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Event {
    /// From the end of the event before.
    pub(super) after: Duration,
    pub(super) command: Command,
}

impl Scenario {
    /// All that disturb.
    pub const ALL: [Self; 12] = [
        Self::KillShard,
        Self::KillGateway,
        Self::RestartShards,
        Self::Flushall,
        Self::RedisStopped,
        Self::RedisRestarted,
        Self::RedisSlow,
        Self::WipeBackend,
        Self::CutLink,
        Self::Rolling,
        Self::Evict,
        Self::Lose,
    ];

    /// What people call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Undisturbed => "undisturbed",
            Self::KillShard => "kill-shard",
            Self::KillGateway => "kill-gateway",
            Self::RestartShards => "restart-shards",
            Self::Flushall => "flushall",
            Self::RedisStopped => "redis-stopped",
            Self::RedisRestarted => "redis-restarted",
            Self::RedisSlow => "redis-slow",
            Self::WipeBackend => "wipe-backend",
            Self::CutLink => "cut-link",
            Self::Rolling => "rolling",
            Self::Evict => "evict",
            Self::Lose => "lose",
        }
    }

    /// The events of one turn, which is repeated for as long as the scenario lasts.
    pub(super) fn turn(self, config: &Config) -> Vec<Event> {
        let (shards, gateways) = (names("shard", config.shards), names("gateway", config.gateways));
        let redis = || "redis".to_owned();
        match self {
            Self::Undisturbed => Vec::new(),
            Self::KillShard => shards.flat_map(killed).collect(),
            Self::KillGateway => gateways.flat_map(killed).collect(),
            Self::RestartShards => shards.map(|name| event(4, Command::Restart(name))).collect(),
            Self::Flushall => vec![event(4, Command::FlushRedis)],
            Self::RedisStopped => {
                vec![event(5, Command::Pause(redis())), event(30, Command::Resume(redis()))]
            }
            Self::RedisRestarted => {
                vec![event(5, Command::Terminate(redis())), event(10, Command::Restart(redis()))]
            }
            Self::RedisSlow => {
                // There and back.
                let slow = Fault::Slow(Duration::from_secs(1));
                vec![
                    event(2, Command::Break(redis(), slow)),
                    event(20, Command::Heal(Some(redis()))),
                ]
            }
            Self::WipeBackend => vec![event(10, Command::WipeBackend)],
            Self::CutLink => {
                let link = || "gateway-1:shard-1".to_owned();
                vec![
                    event(3, Command::Break(link(), Fault::Cut)),
                    event(20, Command::Heal(Some(link()))),
                ]
            }
            Self::Rolling => {
                let stores = ["redis", "backend"].map(ToOwned::to_owned);
                let all = shards.chain(gateways).chain(stores);
                all.map(|name| event(4, Command::Restart(name))).collect()
            }
            Self::Evict => vec![event(1, Command::Evict(Percent(1.0)))],
            Self::Lose => vec![event(1, Command::Lose(Percent(1.0)))],
        }
    }
}

fn names(kind: &str, count: usize) -> impl Iterator<Item = String> {
    (1..=count).map(move |n| format!("{kind}-{n}"))
}

fn killed(name: String) -> [Event; 2] {
    [event(3, Command::Kill(name.clone())), event(6, Command::Restart(name))]
}

fn event(seconds: u64, command: Command) -> Event {
    Event { after: Duration::from_secs(seconds), command }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Scenario {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|scenario| scenario.name() == name);
        found.ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            format!("{name} is no scenario; there are {names}")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commands(scenario: Scenario) -> Vec<String> {
        let config = Config { shards: 2, gateways: 1, ..Config::new("/d") };
        scenario.turn(&config).iter().map(|event| event.command.to_string()).collect()
    }

    #[test]
    fn a_turn_leaves_everything_running_again() {
        assert_eq!(
            commands(Scenario::KillShard),
            ["kill shard-1", "restart shard-1", "kill shard-2", "restart shard-2"]
        );
        assert_eq!(
            commands(Scenario::Rolling),
            ["shard-1", "shard-2", "gateway-1", "redis", "backend"].map(|n| format!("restart {n}"))
        );
        assert_eq!(commands(Scenario::RedisSlow), ["slow redis 1000", "heal redis"]);
    }

    #[test]
    fn every_scenario_is_known_by_its_name_and_does_something() {
        for scenario in Scenario::ALL {
            assert_eq!(scenario.name().parse(), Ok(scenario));
            assert!(!commands(scenario).is_empty(), "{scenario}");
        }
        assert!("x".parse::<Scenario>().expect_err("none").contains("kill-shard"));
    }
}
