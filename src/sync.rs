//! Locking that survives a panic.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks a mutex, whether or not an earlier holder panicked.
///
/// A panic while the lock is held leaves no half-changed state, because code under these locks
/// only moves finished values in or out: nothing that can panic runs between two writes that
/// belong together. Propagating the poison instead would turn one panic into a permanent outage.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
