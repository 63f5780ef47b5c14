//! What a run says in JSON.

mod build;
mod compile;

pub use build::{BuildReport, UnitReport};
pub use compile::{CompileReport, OutputReport};
