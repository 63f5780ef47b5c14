//! What a run says in JSON.

mod compile;

pub use compile::{CompileReport, OutputReport};
