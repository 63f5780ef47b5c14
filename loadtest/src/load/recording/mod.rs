//! What real users asked for: written down by a proxy on its way, and asked again.
//!
//! In reading order: `file` is one request as it is kept, `tap` finds requests in what passes, `proxy` lets
//! everything pass, `replay` sends what was kept.

mod file;
mod proxy;
mod replay;
mod tap;

pub use file::Contents;
pub use proxy::{RecordConfig, Recorder};
pub use replay::{ReplayConfig, ReplayPace, replay};
