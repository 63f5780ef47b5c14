//! Locks a mutex that no panic can spoil: what is inside is only ever replaced whole.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// The guard, also when a thread that held it panicked.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
