//! A user who compiles one file after the other, each a new one, and looks at the clock.

use std::time::{Duration, Instant};

use crate::support::goma::{Goma, file};
use crate::support::requests::{gcc, object, with};

/// How long each compile took.
pub(crate) struct Served(Vec<Duration>);

impl Served {
    pub(crate) fn compiles(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn median(&self) -> Duration {
        self.0[self.0.len() / 2]
    }

    pub(crate) fn worst(&self) -> Duration {
        self.0[self.0.len() - 1]
    }
}

/// Compiles for so long, and one file at least. Each is answered with an object, or this panics.
pub(crate) async fn compiles(port: u16, name: &str, time: Duration) -> Served {
    let (goma, began) = (Goma { port }, Instant::now());
    let mut took = Vec::new();
    while took.is_empty() || began.elapsed() < time {
        let source = file(format!("int {name}{};\n", took.len()).as_bytes());
        let started = Instant::now();
        object(&goma.exec(&with(gcc("/home/h", "h.c"), "h.c", &source)).await);
        took.push(started.elapsed());
    }
    took.sort_unstable();
    Served(took)
}
