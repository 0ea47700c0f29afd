//! The meeting point of all who use one credential.

use std::{
    sync::{Arc, atomic::Ordering},
    time::SystemTime,
};

use tokio::time::{Instant, timeout};

use super::{
    backoff::Failures,
    budget::Budget,
    flight::{Flight, Landed, Wait, revoke_timed_out},
    freshness::Phase,
    settings::RefreshSettings,
    snapshot::Snapshot,
    status::Status,
    sync::{ArcSwapOption, AtomicU64, Mutex, lock, runtime},
};
use crate::{
    challenge::Challenge,
    credential::Credential,
    error::{Error, ErrorKind},
    provider::{ErasedProvider, Issued, Reason, RevokeContext},
};

/// One credential, shared by all services, clones and threads that use it.
///
/// Readers compare `version` and load `current`, without a lock. Everything else happens under
/// the lock of `state`, which is never held across an `.await` or a call to the provider. The steps
/// that are done under it are in `steps`.
pub(crate) struct Cache<C> {
    /// Changes whenever `current` does.
    pub(super) version: AtomicU64,
    pub(super) current: ArcSwapOption<Snapshot<C>>,
    /// The latest generation that something accepted.
    pub(super) accepted: AtomicU64,
    pub(super) provider: Arc<dyn ErasedProvider<C>>,
    /// Replaced by tests of a machine that was suspended.
    pub(super) wall_clock: fn() -> SystemTime,
    state: Mutex<State<C>>,
}

pub(super) struct State<C> {
    pub(super) settings: RefreshSettings,
    /// The number of the last credential.
    pub(super) generation: u64,
    /// Whether the provider was asked for what it has at hand.
    pub(super) asked_for_initial: bool,
    pub(super) flight: Option<Arc<Flight<C>>>,
    pub(super) failures: Failures,
    pub(super) budget: Budget,
    /// Why the current credential must not be used any more.
    pub(super) condemned: Option<Reason>,
    pub(super) logged_out: bool,
    /// Whether the current credential came from outside, so that the provider cannot bring it.
    pub(super) seeded: bool,
    /// Ended by a log-out and by new credentials from outside: what a refresh brings that was
    /// started before is not used.
    pub(super) session: u64,
    /// What must wait until the lock is released.
    pub(super) deferred: Vec<Box<dyn FnOnce() + Send>>,
}

/// What a caller who needs a credential gets.
pub(crate) enum Acquired<C, T = Arc<Snapshot<C>>> {
    Use(T),
    Wait(Wait<C>),
    Fail(Error),
}

/// A rejection does not start a refresh, because rejections have caused too many of them lately.
#[derive(Debug)]
pub(crate) struct TooManyRejections {
    /// When a rejection may start a refresh again.
    pub(crate) retry_at: Instant,
}

impl<C: Credential> Cache<C> {
    pub(crate) fn new(provider: Arc<dyn ErasedProvider<C>>, settings: RefreshSettings) -> Self {
        Self {
            version: AtomicU64::new(0),
            current: ArcSwapOption::empty(),
            accepted: AtomicU64::new(0),
            provider,
            wall_clock: SystemTime::now,
            state: Mutex::new(State {
                settings,
                generation: 0,
                asked_for_initial: false,
                flight: None,
                failures: Failures::default(),
                budget: Budget::default(),
                condemned: None,
                logged_out: false,
                seeded: false,
                session: 0,
                deferred: Vec::new(),
            }),
        }
    }

    /// What those who watch know it by.
    pub(crate) fn name(&self) -> &'static str {
        self.locked(|state| state.settings.name)
    }

    pub(crate) fn provider(&self) -> &Arc<dyn ErasedProvider<C>> {
        &self.provider
    }

    /// Tells this cache from all others that live.
    pub(crate) fn id(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    /// Whether this is the snapshot in use, and can be used without further question.
    #[inline]
    pub(crate) fn is_fresh(&self, snapshot: &Snapshot<C>) -> bool {
        self.version.load(Ordering::Acquire) == snapshot.version && snapshot.is_undoubted()
    }

    /// The credential in use, if it can be used without further question.
    pub(crate) fn fresh(&self) -> Option<Arc<Snapshot<C>>> {
        let current = self.current.load();
        current.as_ref().filter(|it| it.is_undoubted()).cloned()
    }

    /// The credential in use, or what a caller has to wait for. Starts a refresh if one is due.
    pub(crate) fn acquire(self: &Arc<Self>) -> Acquired<C> {
        match self.fresh() {
            Some(current) => Acquired::Use(current),
            None => self.locked(|state| self.acquire_slowly(state)),
        }
    }

    /// The last credential known, usable or not.
    pub(crate) fn last(&self) -> Option<Arc<Snapshot<C>>> {
        self.current.load_full()
    }

    /// Something accepted this credential.
    #[inline]
    pub(crate) fn accept(&self, generation: u64) {
        // Reading first keeps the word in every processor's cache.
        if self.accepted.load(Ordering::Relaxed) < generation {
            self.accepted.fetch_max(generation, Ordering::Relaxed);
        }
    }

    /// Handles a server's rejection of a generation, which must not be a permanent credential's.
    /// Returns the newer credential if there is one; otherwise joins or starts the refresh.
    ///
    /// # Errors
    /// Rejections have caused too many refreshes lately.
    pub(crate) fn reject(
        self: &Arc<Self>,
        generation: u64,
        reason: Reason,
        challenges: Vec<Challenge>,
    ) -> Result<Acquired<C>, TooManyRejections> {
        self.locked(|state| match self.current.load_full() {
            Some(current) if current.generation == generation => Ok(
                match self.refresh_rejected(state, &current, reason, challenges)? {
                    Ok(flight) => self.wait(flight, None),
                    Err(error) => Acquired::Fail(error),
                },
            ),
            _ => Ok(self.acquire_slowly(state)),
        })
    }

    /// A server rejected this generation, and nobody asks for a refresh because of it.
    pub(crate) fn note_rejection(&self, generation: u64) {
        self.locked(|state| {
            if self.is_current(generation) {
                state.budget.rejected(Instant::now());
            }
        });
    }

    /// A server refused this generation, says a user: it is not used any more, if rejections may
    /// still cause refreshes.
    pub(crate) fn condemn_rejected(&self, generation: u64) {
        self.locked(|state| {
            let now = Instant::now();
            let Some(current) = self.current.load_full() else {
                return;
            };
            if current.generation != generation
                || current.permanent
                || state.condemned.is_some()
                || self.flight(state).is_some()
                || state.failures.standing(now).is_some()
            {
                return;
            }
            if self.spend_on(state, &current, now).is_ok() {
                state.condemned = Some(Reason::Rejected);
                current.doubt();
            }
        });
    }

    /// The current credential is not used any more.
    pub(crate) fn invalidate(&self) {
        self.locked(|state| {
            if let Some(current) = &*self.current.load() {
                state.condemned = Some(Reason::Invalidated);
                current.doubt();
            }
        });
    }

    /// Uses a credential that came from outside, and ends whatever stood in the way of one.
    pub(crate) fn set_credential(&self, issued: Issued<C>) {
        self.locked(|state| {
            self.end_session(state);
            state.logged_out = false;
            self.publish(state, issued, Instant::now(), None);
            state.seeded = true;
        });
    }

    /// Allows refreshes again, after a log-out or after the provider asked for a new login.
    pub(crate) fn resume(&self) {
        self.locked(|state| {
            state.logged_out = false;
            state.failures.clear();
        });
    }

    /// Logs out. See [`Handle::log_out`](super::Handle::log_out).
    pub(crate) async fn log_out(self: &Arc<Self>) -> Result<(), Error> {
        let (last, flight, time) = self.locked(|state| {
            self.end_session(state);
            state.logged_out = true;
            state.condemned = None;
            state.failures.clear();
            let last = self.current.swap(None);
            self.version.fetch_add(1, Ordering::Release);
            (last, self.flight(state), state.settings.refresh_timeout)
        });
        let mut credentials: Vec<_> = last.iter().map(|last| last.credential.clone()).collect();
        let runtime =
            runtime::Handle::try_current().map_err(|_| Error::new(ErrorKind::NoRuntime))?;
        let provider = Arc::clone(&self.provider);
        // A task of its own: whoever loses interest must not keep tokens from being revoked.
        let task = runtime.spawn(async move {
            if let Some(flight) = flight {
                credentials.extend(flight.ended().await);
            }
            timeout(time, provider.revoke(RevokeContext::new(credentials)))
                .await
                .unwrap_or_else(|_| Err(revoke_timed_out()))
        });
        match task.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Error::revoke(error)),
            Err(_) => Err(Error::new(ErrorKind::Aborted)),
        }
    }

    /// Whether nothing is lost if this cache is dropped, and made anew when it is needed.
    #[cfg(feature = "per-key")]
    pub(super) fn is_disposable(&self) -> bool {
        self.provider.is_restorable()
            && self.locked(|state| {
                let latched = state.logged_out || state.failures.is_final();
                !latched && !state.seeded && state.flight.is_none()
            })
    }

    pub(crate) fn status(&self) -> Status {
        self.locked(|state| {
            let flight = self.flight(state);
            Status::new(
                self.current.load().as_deref(),
                state.condemned.is_some(),
                self.now(),
                flight.map(|flight| flight.reason),
                &state.failures,
                state.logged_out,
            )
        })
    }

    /// Whether a credential is valid still, for those whose refresh has failed.
    pub(super) fn is_usable(&self, snapshot: &Snapshot<C>) -> bool {
        self.locked(|state| {
            self.is_current(snapshot.generation)
                && state.condemned.is_none()
                && snapshot.phase(self.now()) != Phase::Expired
        })
    }

    /// The answer of a flight.
    pub(super) fn land(
        &self,
        flight: &Arc<Flight<C>>,
        answer: Result<Issued<C>, Error>,
    ) -> Landed<C> {
        self.locked(|state| {
            let landing = state.flight.take_if(|other| Arc::ptr_eq(other, flight));
            let wanted = landing.is_some() && flight.session == state.session;
            match answer {
                Ok(issued) if wanted => Landed::Published(self.publish(
                    state,
                    issued,
                    flight.started_at,
                    Some(flight.reason),
                )),
                Err(error) if wanted => Landed::Failed(self.fail(state, error)),
                Ok(issued) => {
                    flight.keep_unwanted(issued.into_credential());
                    Landed::Superseded
                }
                Err(_) => Landed::Superseded,
            }
        })
    }

    /// A flight passed its deadline, but goes on.
    pub(super) fn overdue(&self, flight: &Flight<C>) -> Landed<C> {
        self.locked(|state| {
            // What has begun since then owes nothing to it, and may have a credential.
            if flight.session == state.session {
                Landed::Failed(self.fail(state, Error::new(ErrorKind::Timeout)))
            } else {
                Landed::Superseded
            }
        })
    }

    pub(super) fn is_current(&self, generation: u64) -> bool {
        self.current
            .load()
            .as_ref()
            .is_some_and(|current| current.generation == generation)
    }

    pub(super) fn now(&self) -> (Instant, SystemTime) {
        (Instant::now(), (self.wall_clock)())
    }

    /// Runs something under the lock, and then what it deferred.
    pub(super) fn locked<T>(&self, work: impl FnOnce(&mut State<C>) -> T) -> T {
        // Nothing under the lock can leave the state half changed by a panic: what users write
        // (`initial`, `is_same`, `clone`) is called before anything is changed.
        let mut state = lock(&self.state);
        let result = work(&mut state);
        let deferred = std::mem::take(&mut state.deferred);
        drop(state);
        for work in deferred {
            work();
        }
        result
    }
}
