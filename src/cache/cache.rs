//! The credential cache: a lock around the [`State`], and a lock-free copy for readers.

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, SystemTime},
};

use tokio::time::Instant;

use super::{
    refresh::{Owner, Refresh},
    settings::RefreshSettings,
    snapshot::Snapshot,
    state::{Effects, Env, Outcome, Received, Start, State},
    sync::{ArcSwapOption, AtomicU64, Mutex, lock, runtime},
};
use crate::{
    credential::Credential,
    error::Error,
    observe,
    provider::{ErasedProvider, Issued},
    time::Moment,
};

/// The credential cache shared by all clones of a layer.
///
/// Readers compare `version` and load `current`, without a lock. Everything else is a transition of
/// the [`State`] under the lock, which is never held across an `.await` or while the provider's or
/// the credential's own code runs.
pub(crate) struct Cache<C> {
    /// Changes whenever `current` does.
    version: AtomicU64,
    current: ArcSwapOption<Snapshot<C>>,
    /// The latest generation that a server accepted.
    accepted: AtomicU64,
    pub(super) provider: Arc<dyn ErasedProvider<C>>,
    name: &'static str,
    pub(super) refresh_timeout: Duration,
    /// Replaced in tests that simulate a suspended machine.
    pub(super) wall_clock: fn() -> SystemTime,
    locked: Mutex<Locked<C>>,
    /// Whether the provider was asked for its initial credential. Locked while the provider is
    /// being asked.
    pub(super) initial: Mutex<bool>,
}

struct Locked<C> {
    state: State<C>,
    /// The state's in-flight refresh.
    refresh: Option<Arc<Refresh<C>>>,
}

impl<C: Credential> Cache<C> {
    pub(crate) fn new(provider: Arc<dyn ErasedProvider<C>>, settings: RefreshSettings) -> Self {
        Self {
            version: AtomicU64::new(0),
            current: ArcSwapOption::empty(),
            accepted: AtomicU64::new(0),
            provider,
            name: settings.name,
            refresh_timeout: settings.refresh_timeout,
            wall_clock: SystemTime::now,
            locked: Mutex::new(Locked {
                state: State::new(settings),
                refresh: None,
            }),
            initial: Mutex::new(false),
        }
    }

    /// Returns the name used in spans and metrics.
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    pub(crate) fn provider(&self) -> &Arc<dyn ErasedProvider<C>> {
        &self.provider
    }

    /// Returns an ID that is unique among live caches.
    fn id(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    /// Returns whether this is the current snapshot and its last check still holds.
    #[inline]
    pub(crate) fn is_fresh(&self, snapshot: &Snapshot<C>) -> bool {
        self.version.load(Ordering::Acquire) == snapshot.version && snapshot.is_checked()
    }

    /// Returns the current credential if its last check still holds.
    pub(crate) fn fresh(&self) -> Option<Arc<Snapshot<C>>> {
        let current = self.current.load();
        current.as_ref().filter(|it| it.is_checked()).cloned()
    }

    /// Returns the last known credential, usable or not.
    pub(crate) fn last(&self) -> Option<Arc<Snapshot<C>>> {
        self.current.load_full()
    }

    /// Records that a server accepted a generation.
    #[inline]
    pub(crate) fn accept(&self, generation: u64) {
        // Reading first keeps the cache line shared between processors.
        if self.accepted.load(Ordering::Relaxed) < generation {
            self.accepted.fetch_max(generation, Ordering::Relaxed);
        }
    }

    /// Returns the in-flight refresh.
    #[cfg(all(test, tower_auth_model))]
    pub(super) fn refresh(&self) -> Option<Arc<Refresh<C>>> {
        lock(&self.locked).refresh.clone()
    }

    /// Compares an issued credential with the current one, before the lock is taken.
    pub(super) fn receive(&self, issued: Issued<C>) -> Received<C> {
        let last = self.last();
        let same = last.filter(|last| last.credential.is_same(issued.credential()));
        Received {
            issued,
            same_as: same.map(|last| last.generation),
        }
    }

    /// Returns whether a credential that was current when a caller began to wait can still be used.
    pub(super) fn is_usable(&self, snapshot: &Snapshot<C>) -> bool {
        self.read(|state, now| state.is_usable(snapshot, now))
    }

    pub(super) fn read<T>(&self, see: impl FnOnce(&State<C>, Moment) -> T) -> T {
        let locked = lock(&self.locked);
        see(&locked.state, self.env(false).now)
    }

    pub(super) fn update(self: &Arc<Self>, change: impl FnOnce(&mut State<C>, &Env) -> Effects<C>) {
        self.transition(|state, env| ((), change(state, env)), |(), _| ());
    }

    /// Applies a transition and publishes its credential under the lock, then carries out its other
    /// effects without the lock. `finish` is called under the lock, with the in-flight refresh, if
    /// there is one.
    pub(super) fn transition<T, U>(
        self: &Arc<Self>,
        change: impl FnOnce(&mut State<C>, &Env) -> (T, Effects<C>),
        finish: impl FnOnce(T, Option<&Arc<Refresh<C>>>) -> U,
    ) -> U {
        let runtime = runtime::Handle::try_current().ok();
        let mut locked = lock(&self.locked);
        let env = self.env(runtime.is_some());
        let lost = locked.refresh.take_if(|refresh| refresh.is_lost());
        if lost.is_some() {
            locked.state.abandon_refresh();
        }
        let (outcome, effects) = change(&mut locked.state, &env);
        let _replaced = self.publish(&locked.state);
        if let (Some(at), Some(current)) = (effects.recheck_at, &*self.current.load()) {
            current.schedule_recheck(at, env.now.monotonic);
        }
        let start = effects.start.map(|start| {
            let refresh = Arc::new(Refresh::new(start.id, self.id(), start.deadline));
            locked.refresh = Some(Arc::clone(&refresh));
            (start, refresh)
        });
        let waiting = locked.refresh.clone().filter(|_| effects.wake_waiters);
        let result = finish(outcome, locked.refresh.as_ref());
        drop(locked);

        if let Some(lost) = lost {
            lost.give_up();
        }
        if let Some(waiting) = waiting {
            waiting.wake_waiters();
        }
        if let Some(wait) = effects.held_back {
            observe::held_back(self.name, wait);
        }
        if let (Some((start, refresh)), Some(runtime)) = (start, runtime) {
            self.start(start, &refresh, &runtime);
        }
        result
    }

    /// Publishes the state's credential to readers. Returns the previous one, to be dropped after
    /// the lock is released.
    fn publish(&self, state: &State<C>) -> Option<Arc<Snapshot<C>>> {
        let (version, current) = state.current();
        if self.version.load(Ordering::Relaxed) == version {
            return None;
        }
        let replaced = self.current.swap(current.cloned());
        self.version.store(version, Ordering::Release);
        replaced
    }

    fn start(
        self: &Arc<Self>,
        start: Start<C>,
        refresh: &Arc<Refresh<C>>,
        runtime: &runtime::Handle,
    ) {
        let owner: Arc<dyn Owner<C>> = Arc::<Self>::clone(self);
        let provider = Arc::clone(&self.provider);
        let observed = observe::Refresh::start(self.name, start.reason, start.started_at);
        refresh.start(runtime, owner, provider, start, observed);
    }

    fn env(&self, has_runtime: bool) -> Env {
        Env {
            now: Moment {
                monotonic: Instant::now(),
                wall: (self.wall_clock)(),
            },
            accepted: self.accepted.load(Ordering::Relaxed),
            draw: fastrand::f64(),
            has_runtime,
        }
    }
}

impl<C: Credential> Owner<C> for Cache<C> {
    fn last(&self) -> Option<Arc<Snapshot<C>>> {
        Self::last(self)
    }

    fn receive(&self, issued: Issued<C>) -> Received<C> {
        Self::receive(self, issued)
    }

    fn complete(&self, refresh: &Refresh<C>, result: Result<Received<C>, Error>) -> Outcome<C> {
        let mut locked = lock(&self.locked);
        let env = self.env(false);
        let _ended = locked.refresh.take_if(|other| other.id == refresh.id);
        let (outcome, unwanted) = locked.state.complete(refresh.id, result, &env);
        let _replaced = self.publish(&locked.state);
        drop(locked);
        refresh.keep_unwanted(unwanted);
        outcome
    }

    fn overdue(&self, refresh: &Refresh<C>) -> Outcome<C> {
        let mut locked = lock(&self.locked);
        let env = self.env(false);
        locked.state.overdue(refresh.id, &env)
    }
}
