//! A Goma client process: compiles in, outcomes out.
//!
//! In reading order: [`Compile`] is what to do and [`Outcome`] what came of it; `command_line`,
//! `options`, `language`, `response_file`, `compiler`, `toolchain`, `scan` and `depfile` find out
//! what to send, which makes a `job`; `files`, `embed` and `inputs` decide how; `request` puts it
//! together; `attempts` is the loop that sends it, with `store` for large inputs; `outputs` and
//! `lookup` take the results. `preload` sends files before any compile does, `look` has a worker tell of itself. [`Client`], in `process`, is what all compiles share.

mod attempts;
mod blocking;
mod by_key;
mod command_line;
mod compile;
mod compiler;
mod config;
mod depfile;
mod embed;
mod files;
mod inputs;
mod job;
mod language;
mod look;
mod lookup;
mod options;
mod outcome;
mod outputs;
mod preload;
mod prepared;
mod process;
mod request;
mod response_file;
mod scan;
mod store;
mod toolchain;

pub(crate) use blocking::blocking;
pub(crate) use by_key::Named;
pub use compile::Compile;
pub(crate) use compiler::compiler_of;
pub use config::ClientConfig;
pub(crate) use embed::{EMBED_LIMIT, cut};
pub(crate) use files::Source;
pub(crate) use lookup::verify;
pub use outcome::{Outcome, WrittenFile};
pub use preload::Preloaded;
pub use prepared::Prepared;
pub use process::Client;
