//! Measures any Goma server under a load of the user's choice.
//!
//! In reading order: `config` is what to do and `way` how it is written on the wire; `arrivals` says when
//! requests are due and `workload` which they are; `project`, `template` and `blobs` are what they are made
//! of, put together in `material` and made known to the server by `prepare`; `supply` makes them ahead and
//! lets them go in time; `loops` send them, `sender` one of them to its end, `again` with what the server
//! lacks; `checked` judges its answer and makes it a `sample`, `measured` counts it, with `latencies`,
//! `series` and `timing` for the parts; `watch` tells of it, `server_process` of what the server costs, and
//! `watched` makes a report of both. [`run()`] is all of it together. [`recording`] is of real requests instead of made ones.

mod again;
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
pub mod recording;
mod run;
mod sample;
mod sender;
mod series;
mod server_process;
mod supply;
mod template;
mod timing;
mod watch;
mod watched;
mod way;
mod workload;

pub use arrivals::Arrivals;
pub use config::{LoadConfig, Pace, Verb};
pub use run::run;
pub use watch::Progress;
pub use way::Way;
