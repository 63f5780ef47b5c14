//! Measures any Goma server under a load of the user's choice.
//!
//! In reading order: `config` is what to do; `arrivals` says when requests are due and `workload` which
//! they are; `project`, `template` and `blobs` are what they are made of, put together in `material` and
//! made known to the server by `prepare`; `supply` makes them ahead and lets them go in time; `sender`
//! sends one, `checked` judges its answer, `measured` counts it, with `latencies`, `series` and `timing`
//! for the parts; `server_process` looks at what the server costs. [`run`] is all of it together.

mod arrivals;
mod blobs;
mod checked;
mod config;
mod latencies;
mod loops;
mod material;
mod measured;
mod prepare;
mod project;
mod sender;
mod series;
mod server_process;
mod supply;
mod template;
mod timing;
mod workload;

pub use arrivals::Arrivals;
pub use config::{LoadConfig, Pace, Verb};
pub use loops::{Progress, run};
