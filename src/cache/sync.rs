//! What the cache's parts meet at: locks, shared words, tasks.
//!
//! They are the ordinary ones, but for the model checker (`model`): there every use of them is a
//! point at which another thread may go on.

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
        /// The cache for which the current task gets a credential.
        pub(in crate::cache) static REFRESHING: usize;
    }
}
