//! The primitives of `sync`, with a scheduling point at each use.

use std::{
    cell::Cell,
    future::Future,
    ops::Deref,
    sync::{Arc, PoisonError, atomic::Ordering::SeqCst},
};

pub(in crate::cache) use shuttle::{
    future::AbortHandle,
    sync::{Mutex, MutexGuard, atomic::AtomicU64},
};

pub(in crate::cache) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The real `ArcSwapOption`, with a scheduling point before each operation. The operations are
/// atomic, so other threads run before or after them.
pub(in crate::cache) struct ArcSwapOption<T> {
    swap: arc_swap::ArcSwapOption<T>,
    turn: AtomicU64,
}

impl<T> ArcSwapOption<T> {
    pub(in crate::cache) fn empty() -> Self {
        Self {
            swap: arc_swap::ArcSwapOption::empty(),
            turn: AtomicU64::new(0),
        }
    }

    fn scheduled(&self) -> &arc_swap::ArcSwapOption<T> {
        self.turn.load(SeqCst);
        &self.swap
    }

    pub(in crate::cache) fn load(&self) -> impl Deref<Target = Option<Arc<T>>> {
        self.scheduled().load()
    }

    pub(in crate::cache) fn load_full(&self) -> Option<Arc<T>> {
        self.scheduled().load_full()
    }

    pub(in crate::cache) fn swap(&self, value: Option<Arc<T>>) -> Option<Arc<T>> {
        self.scheduled().swap(value)
    }
}

/// Replaces `tokio::runtime`: tasks belong to the model checker.
pub(in crate::cache) mod runtime {
    use std::{convert::Infallible, future::Future};

    use shuttle::future::JoinHandle;

    pub(in crate::cache) struct Handle;

    impl Handle {
        pub(in crate::cache) fn try_current() -> Result<Self, Infallible> {
            Ok(Self)
        }

        pub(in crate::cache) fn spawn<F>(&self, task: F) -> JoinHandle<F::Output>
        where
            F: Future + Send + 'static,
            F::Output: Send + 'static,
        {
            shuttle::future::spawn(task)
        }
    }
}

shuttle::thread_local! {
    static CACHE: Cell<Option<usize>> = Cell::new(None);
}

pub(in crate::cache) static REFRESHING: TaskLocal = TaskLocal;

/// Replaces tokio's task-local value, which other threads would see after a switch within a poll.
pub(in crate::cache) struct TaskLocal;

impl TaskLocal {
    pub(in crate::cache) async fn scope<F: Future>(&self, cache: usize, task: F) -> F::Output {
        CACHE.with(|cell| cell.set(Some(cache)));
        task.await
    }

    pub(in crate::cache) fn try_with<T>(&self, see: impl FnOnce(&usize) -> T) -> Result<T, ()> {
        CACHE.with(|cell| cell.get().as_ref().map(see).ok_or(()))
    }
}
