//! What a run says: in JSON for programs, as a page with pictures for people.

mod build;
mod compile;
mod page;
mod plot;

pub use build::{BuildReport, UnitReport};
pub use compile::{CompileReport, OutputReport};
pub use page::Page;
pub use plot::{Plot, Series};
