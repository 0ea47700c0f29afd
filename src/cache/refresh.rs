//! The in-flight refresh: its task, and how its waiters receive its outcome.

use std::{mem, sync::Arc};

use tokio::{
    sync::watch,
    time::{Instant, timeout_at},
};

use super::{
    snapshot::Snapshot,
    state::{Outcome, Received, RefreshId, Start},
    sync::{AbortHandle, Mutex, REFRESHING, lock, runtime},
    watchdog::Watchdog,
};
use crate::{
    credential::Credential,
    error::{Error, ErrorKind},
    observe,
    provider::{ErasedProvider, Issued, RefreshContext, RefreshControl},
};

/// A refresh in progress. It runs in its own task, so that dropping a caller does not cancel it.
pub(super) struct Refresh<C> {
    pub(super) id: RefreshId,
    /// The ID of the cache that this refresh belongs to.
    cache: usize,
    pub(super) control: Arc<RefreshControl>,
    pub(super) watchdog: Watchdog,
    progress: watch::Sender<Progress<C>>,
    /// A credential that was issued after the epoch had ended, for the logout to revoke.
    unwanted: Mutex<Option<C>>,
    task: Mutex<Task>,
}

enum Task {
    NotStarted,
    Started(AbortHandle),
    /// Another refresh has taken its place, so it must not continue.
    GivenUp,
}

pub(super) enum Progress<C> {
    Running,
    /// The deadline has passed, so waiters get this outcome; the exchange continues.
    Overdue(Outcome<C>),
    Ended(Outcome<C>),
}

/// The cache as seen by its refresh.
pub(super) trait Owner<C>: Send + Sync {
    fn last(&self) -> Option<Arc<Snapshot<C>>>;

    /// Compares an issued credential with the last one. Runs the credential's own code.
    fn receive(&self, issued: Issued<C>) -> Received<C>;

    /// Completes the refresh with its result.
    fn complete(&self, refresh: &Refresh<C>, result: Result<Received<C>, Error>) -> Outcome<C>;

    /// Records that the deadline has passed while the exchange continues.
    fn overdue(&self, refresh: &Refresh<C>) -> Outcome<C>;
}

impl<C: Credential> Refresh<C> {
    pub(super) fn new(id: RefreshId, cache: usize, deadline: Instant) -> Self {
        Self {
            id,
            cache,
            control: Arc::new(RefreshControl::new(deadline)),
            watchdog: Watchdog::new(deadline),
            progress: watch::Sender::new(Progress::Running),
            unwanted: Mutex::new(None),
            task: Mutex::new(Task::NotStarted),
        }
    }

    /// Starts the task. Must not be called under the cache's lock: a runtime that is shutting down
    /// drops a new task immediately, and the guard in the task then completes the refresh, which
    /// takes that lock.
    pub(super) fn start(
        self: &Arc<Self>,
        runtime: &runtime::Handle,
        owner: Arc<dyn Owner<C>>,
        provider: Arc<dyn ErasedProvider<C>>,
        start: Start<C>,
        observed: observe::Refresh,
    ) {
        let guard = CompletionGuard {
            owner,
            refresh: Arc::clone(self),
            observed,
            is_done: false,
        };
        let mut task = lock(&self.task);
        if !matches!(*task, Task::GivenUp) {
            let work = REFRESHING.scope(self.cache, run(guard, provider, start));
            *task = Task::Started(runtime.spawn(work).abort_handle());
        }
    }

    /// Returns whether the current task belongs to a refresh of the same cache. If it does, waiting
    /// for this refresh would never end.
    pub(super) fn waits_for_caller(&self) -> bool {
        REFRESHING.try_with(|id| *id == self.cache).unwrap_or(false)
    }

    pub(super) fn is_lost(&self) -> bool {
        let is_committed = self.control.is_committed();
        self.watchdog.is_lost(Instant::now(), is_committed)
    }

    /// Aborts the task, even if it has not started yet, and makes the waiters acquire a credential
    /// again.
    pub(super) fn give_up(&self) {
        let task = mem::replace(&mut *lock(&self.task), Task::GivenUp);
        if let Task::Started(task) = task {
            task.abort();
        }
        self.wake_waiters();
    }

    /// Makes the waiters acquire a credential again.
    pub(super) fn wake_waiters(&self) {
        self.progress.send_modify(|_| {});
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<Progress<C>> {
        self.progress.subscribe()
    }

    /// Waits until the refresh has ended. Returns its credential if that was issued too late to be
    /// used.
    pub(super) async fn ended(&self) -> Option<C> {
        let mut progress = self.subscribe();
        let ended = |progress: &Progress<C>| matches!(progress, Progress::Ended(_));
        // The sender is in `self`, so the channel is open.
        let _ = progress.wait_for(ended).await;
        lock(&self.unwanted).take()
    }

    pub(super) fn keep_unwanted(&self, credential: Option<C>) {
        *lock(&self.unwanted) = credential;
    }
}

/// Runs the refresh task: calls the provider, and passes its result to the cache.
async fn run<C: Credential>(
    guard: CompletionGuard<C>,
    provider: Arc<dyn ErasedProvider<C>>,
    start: Start<C>,
) {
    let control = Arc::clone(&guard.refresh.control);
    // Cloned here, where a panic in the credential's own code ends only the refresh.
    let previous = start.previous.map(|previous| previous.credential.clone());
    let context = RefreshContext::new(
        start.reason,
        previous,
        start.challenges,
        Arc::clone(&control),
    );
    let mut exchange = guard.observed.over(|| provider.issue(context));
    let mut result = timeout_at(control.deadline, &mut exchange).await.ok();
    if result.is_none() && control.is_committed() {
        guard.overdue();
        result = Some((&mut exchange).await);
    }
    // Releases what the provider holds before callers continue.
    drop(exchange);
    guard.complete(match result {
        Some(result) => result.map_err(Error::provider),
        None => Err(Error::new(ErrorKind::Timeout)),
    });
}

/// Completes the refresh exactly once, even if its task is dropped before it has a result.
struct CompletionGuard<C: Credential> {
    owner: Arc<dyn Owner<C>>,
    refresh: Arc<Refresh<C>>,
    observed: observe::Refresh,
    is_done: bool,
}

impl<C: Credential> CompletionGuard<C> {
    fn complete(mut self, result: Result<Issued<C>, Error>) {
        // If the credential's own code panics here, dropping the guard completes the refresh.
        let received = result.map(|issued| self.owner.receive(issued));
        self.is_done = true;
        self.report(received);
    }

    fn report(&self, result: Result<Received<C>, Error>) {
        let replaced = self.owner.last();
        let outcome = self.owner.complete(&self.refresh, result);
        let progress = &self.refresh.progress;
        let observed = observed(&outcome, replaced.as_deref());
        self.observed.ended(&observed, progress.receiver_count());
        progress.send_replace(Progress::Ended(outcome));
    }

    fn overdue(&self) {
        self.observed.overdue();
        let outcome = self.owner.overdue(&self.refresh);
        let progress = &self.refresh.progress;
        progress.send_replace(Progress::Overdue(outcome));
    }
}

impl<C: Credential> Drop for CompletionGuard<C> {
    fn drop(&mut self) {
        if !self.is_done {
            self.report(Err(Error::new(ErrorKind::Aborted)));
        }
    }
}

impl<C> Progress<C> {
    /// Returns the outcome for waiters, once there is one.
    pub(super) fn outcome(&self) -> Option<Outcome<C>> {
        match self {
            Self::Running => None,
            Self::Overdue(outcome) | Self::Ended(outcome) => Some(outcome.clone()),
        }
    }
}

/// Converts an outcome for spans and metrics.
fn observed<'a, C>(
    outcome: &'a Outcome<C>,
    replaced: Option<&Snapshot<C>>,
) -> observe::Outcome<'a> {
    match outcome {
        Outcome::Published(snapshot) => {
            let now = Instant::now();
            let left = |snapshot: &Snapshot<C>| {
                let expiry = snapshot.expiry?;
                Some(expiry.expires_at.saturating_duration_since(now))
            };
            observe::Outcome::Success {
                generation: snapshot.generation,
                lifetime: left(snapshot),
                remaining: replaced.and_then(left),
            }
        }
        Outcome::Failed(error) => observe::Outcome::Failure(error),
        Outcome::Superseded => observe::Outcome::Superseded,
    }
}
