//! What a run says: in JSON for programs, as a page with pictures for people.

mod bars;
mod build;
mod compared;
mod compile;
mod load;
mod page;
mod plot;
mod runs;

pub use build::{BuildReport, UnitReport};
pub use compile::{CompileReport, OutputReport};
pub(crate) use load::thousandths;
pub use load::{
    GeneratorReport, LatencyReport, LoadReport, SecondReport, ServerReport, ServerSecond,
    SettingsReport, SizeReport, StageReport,
};
pub use page::Page;
pub use plot::{Plot, Series};
pub use runs::Runs;
