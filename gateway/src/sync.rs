//! What tasks share here. The tests of interleavings put something else in its place, which tries the
//! orders in which tasks may get at it.

pub(crate) use std::sync::{Mutex, MutexGuard, PoisonError};
