//! What can be done to a running cluster, in words: the lines of the control socket, the verbs of
//! the command line and the events of scenarios are the same.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::link::Fault;

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// SIGKILL to a member.
    Kill(String),
    /// SIGSTOP: it keeps its connections and says nothing.
    Pause(String),
    /// SIGCONT.
    Resume(String),
    /// SIGTERM, and waits for its end.
    Terminate(String),
    /// Starts a member again on its port, ending it first if it runs, and waits until it is ready.
    Restart(String),
    /// Something happens to links: one by its name, or all of a member.
    Break(String, Fault),
    /// All links are well again, or those named.
    Heal(Option<String>),
    /// Redis forgets everything.
    FlushRedis,
    /// The backend stops, loses everything, and starts again.
    WipeBackend,
    /// The backend evicts so many percent of its blobs, and knows it.
    Evict(Percent),
    /// The backend loses so many percent of its blobs, and still believes that it has them.
    Lose(Percent),
    /// Everything that is to be known, as JSON.
    Status,
}

/// From above 0 to 100.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Percent(pub(crate) f64);

// No NaN gets in.
impl Eq for Percent {}

impl FromStr for Command {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let owned = |word: &str| word.to_owned();
        Ok(match words[..] {
            ["kill", member] => Self::Kill(owned(member)),
            ["pause", member] => Self::Pause(owned(member)),
            ["resume", member] => Self::Resume(owned(member)),
            ["terminate", member] => Self::Terminate(owned(member)),
            ["restart", member] => Self::Restart(owned(member)),
            ["cut", link] => Self::Break(owned(link), Fault::Cut),
            ["refuse", link] => Self::Break(owned(link), Fault::Refused),
            ["slow", link, delay] => {
                let delay = delay.parse().map_err(|e| format!("{delay}: {e}, not milliseconds"))?;
                Self::Break(owned(link), Fault::Slow(Duration::from_millis(delay)))
            }
            ["heal"] => Self::Heal(None),
            ["heal", link] => Self::Heal(Some(owned(link))),
            ["flush-redis"] => Self::FlushRedis,
            ["wipe-backend"] => Self::WipeBackend,
            ["evict", percent] => Self::Evict(percent.parse()?),
            ["lose", percent] => Self::Lose(percent.parse()?),
            ["status"] => Self::Status,
            _ => return Err(format!("{:?} is no command", line.trim())),
        })
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kill(member) => write!(f, "kill {member}"),
            Self::Pause(member) => write!(f, "pause {member}"),
            Self::Resume(member) => write!(f, "resume {member}"),
            Self::Terminate(member) => write!(f, "terminate {member}"),
            Self::Restart(member) => write!(f, "restart {member}"),
            Self::Break(link, Fault::Cut) => write!(f, "cut {link}"),
            Self::Break(link, Fault::Refused) => write!(f, "refuse {link}"),
            Self::Break(link, Fault::Slow(delay)) => write!(f, "slow {link} {}", delay.as_millis()),
            Self::Break(link, Fault::None) => write!(f, "heal {link}"),
            Self::Heal(None) => f.write_str("heal"),
            Self::Heal(Some(link)) => write!(f, "heal {link}"),
            Self::FlushRedis => f.write_str("flush-redis"),
            Self::WipeBackend => f.write_str("wipe-backend"),
            Self::Evict(percent) => write!(f, "evict {}", percent.0),
            Self::Lose(percent) => write!(f, "lose {}", percent.0),
            Self::Status => f.write_str("status"),
        }
    }
}

impl FromStr for Percent {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let percent: f64 = text.parse().map_err(|error| format!("{text}: {error}"))?;
        match percent > 0.0 && percent <= 100.0 {
            true => Ok(Self(percent)),
            false => Err(format!("{text} is not from above 0 to 100")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_as_it_is_written() {
        for line in [
            "kill shard-1",
            "pause redis",
            "resume redis",
            "terminate gateway-1",
            "restart gateway-1",
            "cut gateway-1:shard-2",
            "refuse backend",
            "slow redis 1500",
            "heal",
            "heal redis",
            "flush-redis",
            "wipe-backend",
            "evict 0.5",
            "lose 1",
            "status",
        ] {
            let command: Command = line.parse().expect(line);
            assert_eq!(command.to_string(), line);
        }
    }

    #[test]
    fn what_is_no_command_is_refused_in_words() {
        for line in ["", "kill", "kill a b", "slow a", "slow a soon", "evict 0", "evict NaN", "x"] {
            assert!(line.parse::<Command>().is_err(), "{line}");
        }
    }
}
