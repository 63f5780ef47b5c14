//! The stock client's temper: what it remembers of errors and how it reacts, all pure.
//!
//! One client process has one of each, shared by all its compiles; that is why a lone error of one
//! compile can fail another.

mod compiler_check;
mod health;
mod remote_switch;
mod throttle;
mod trap;
mod verdict;

pub use compiler_check::DisabledCompilers;
pub use health::Health;
pub use remote_switch::RemoteSwitch;
pub use throttle::Throttle;
pub use trap::Trap;
pub use verdict::{Temper, Verdict};
