//! What tasks share here and wait by. The tests of interleavings put something else in its place, which
//! tries the orders in which tasks may get at it.

pub(crate) use std::sync::atomic::{AtomicU64, Ordering};
pub(crate) use std::sync::{Mutex, MutexGuard, PoisonError};

pub(crate) use quick_cache::sync::Cache;
pub(crate) use tokio::spawn;
pub(crate) use tokio::time::{sleep, timeout};
