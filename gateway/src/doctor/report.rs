//! What an examination found, step by step.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

/// What is looked at, in this order; each needs those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The flags and the files that they name.
    Configuration,
    /// The host's name.
    Resolution,
    /// A TCP connection.
    Connection,
    /// TLS and who both sides are.
    Encryption,
    /// GetCapabilities: who we are, the instance, SHA-256, execution.
    Capabilities,
    /// FindMissingBlobs.
    Presence,
    /// BatchUpdateBlobs.
    Write,
    /// BatchReadBlobs.
    Read,
    /// ByteStream, both ways.
    Stream,
    /// GetActionResult of an action that nobody ran.
    ActionCache,
    /// Execute of a trivial command with the platform properties of a compile.
    Execution,
}

impl Step {
    /// In words.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Configuration => "configuration",
            Self::Resolution => "name resolution",
            Self::Connection => "connection",
            Self::Encryption => "TLS",
            Self::Capabilities => "authentication and capabilities",
            Self::Presence => "asking for blobs",
            Self::Write => "writing a batch",
            Self::Read => "reading a batch",
            Self::Stream => "writing and reading a stream",
            Self::ActionCache => "action cache",
            Self::Execution => "execution",
        }
    }
}

/// How a step went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Well; what is worth knowing.
    Good(String),
    /// There is nothing to do.
    Skipped(String),
    /// Badly: what was said, and what to change.
    Bad {
        /// In the words of whoever said it.
        said: String,
        /// For the person who reads it.
        advice: String,
    },
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which.
    pub step: Step,
    /// How it went.
    pub outcome: Outcome,
    /// How long it took.
    pub took: Duration,
}

/// All that was found. The first step that failed is the last one.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// In the order in which they were made.
    pub findings: Vec<Finding>,
}

impl Report {
    /// The step that failed, if one did.
    #[must_use]
    pub fn failed(&self) -> Option<&Finding> {
        self.findings.iter().find(|finding| matches!(finding.outcome, Outcome::Bad { .. }))
    }

    /// For people: a line a step.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        for Finding { step, outcome, took } in &self.findings {
            let (mark, said) = match outcome {
                Outcome::Good(said) => ("ok    ", said),
                Outcome::Skipped(said) => ("-     ", said),
                Outcome::Bad { said, .. } => ("FAILED", said),
            };
            let millis = took.as_millis();
            // Writing to a string does not fail.
            let _ = writeln!(text, "{mark} {:<32} {said} ({millis} ms)", step.name());
            if let Outcome::Bad { advice, .. } = outcome {
                let _ = writeln!(text, "\n       {advice}");
            }
        }
        if self.failed().is_none() {
            text.push_str("\nnothing is wrong: this backend can serve compiles");
        }
        text
    }

    /// For programs: `ok`, and the steps with `step`, `outcome`, `said`, `advice` and `milliseconds`.
    #[must_use]
    pub fn json(&self) -> String {
        self.value().to_string()
    }

    /// The same for one of several: with its `platform`.
    pub(super) fn json_of(&self, platform: &str) -> Value {
        let mut value = self.value();
        value["platform"] = platform.into();
        value
    }

    fn value(&self) -> Value {
        let steps = self.findings.iter().map(|Finding { step, outcome, took }| {
            let (name, said, advice) = match outcome {
                Outcome::Good(said) => ("good", said, None),
                Outcome::Skipped(said) => ("skipped", said, None),
                Outcome::Bad { said, advice } => ("bad", said, Some(advice)),
            };
            json!({
                "step": step.name(), "outcome": name, "said": said, "advice": advice,
                "milliseconds": u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            })
        });
        let steps: Vec<_> = steps.collect();
        json!({ "ok": self.failed().is_none(), "steps": steps })
    }
}
