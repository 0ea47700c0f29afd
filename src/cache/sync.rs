//! The synchronization primitives of the cache: locks, atomics and tasks.
//!
//! The model checker (`model`) replaces them with its own, each use of which is a point at which
//! another thread may run.

#[cfg(not(all(test, tower_auth_model)))]
pub(super) use self::ordinary::*;
#[cfg(all(test, tower_auth_model))]
pub(super) use super::model::primitives::*;

#[cfg(not(all(test, tower_auth_model)))]
mod ordinary {
    pub(in crate::cache) use std::sync::{Mutex, atomic::AtomicU64};

    pub(in crate::cache) use arc_swap::ArcSwapOption;
    pub(in crate::cache) use tokio::{runtime, task::AbortHandle};

    pub(in crate::cache) use crate::sync::lock;

    tokio::task_local! {
        /// The ID of the cache that the current task is refreshing.
        pub(in crate::cache) static REFRESHING: usize;
    }
}
