//! The rules of the cache, as a value without locks, tasks or clocks.
//!
//! Each method is one transition. The time, the random draw and everything else that is external
//! are arguments. A transition returns its external effects as [`Effects`], which `cache` carries
//! out.

mod after_rejection;
mod publication;
#[cfg(test)]
mod tests;
mod transition;

use std::sync::Arc;

use tokio::time::Instant;

pub(crate) use self::transition::TooManyRejections;
pub(super) use self::transition::{Effects, Env, Next, Outcome, Received, RefreshId, Start};
use super::{
    backoff::Failures, budget::Budget, freshness::Phase, settings::RefreshSettings,
    snapshot::Snapshot, status::Status,
};
use crate::{
    challenge::Challenge,
    error::{Error, ErrorKind},
    provider::Reason,
    time::Moment,
};

pub(crate) struct State<C> {
    settings: RefreshSettings,
    current: Option<Arc<Snapshot<C>>>,
    /// Counts changes of `current`.
    version: u64,
    /// The generation of the last credential.
    generation: u64,
    /// Incremented by a logout and by each externally supplied credential. The result of a refresh
    /// that was started in an earlier epoch is not used.
    epoch: u64,
    /// Whether the provider still has to be asked for its initial credential.
    wants_initial: bool,
    in_flight: Option<InFlight>,
    last_refresh: RefreshId,
    failures: Failures,
    budget: Budget,
    /// Why the current credential must not be used.
    invalidated: Option<Reason>,
    logged_out: bool,
    /// Whether the current credential was supplied externally, so that the provider cannot restore
    /// it.
    set_externally: bool,
}

#[derive(Clone, Copy)]
struct InFlight {
    id: RefreshId,
    reason: Reason,
    epoch: u64,
    started_at: Instant,
}

impl<C> State<C> {
    pub(crate) fn new(settings: RefreshSettings) -> Self {
        Self {
            settings,
            current: None,
            version: 0,
            generation: 0,
            epoch: 0,
            wants_initial: true,
            in_flight: None,
            last_refresh: RefreshId(0),
            failures: Failures::default(),
            budget: Budget::default(),
            invalidated: None,
            logged_out: false,
            set_externally: false,
        }
    }

    /// Returns the current credential and its version.
    pub(crate) fn current(&self) -> (u64, Option<&Arc<Snapshot<C>>>) {
        (self.version, self.current.as_ref())
    }

    pub(crate) fn wants_initial(&self) -> bool {
        self.wants_initial
    }

    /// Serves a caller that needs a credential. Starts a refresh if one is due.
    pub(crate) fn acquire(&mut self, env: &Env) -> (Next<C>, Effects<C>) {
        let now = env.now;
        if self.logged_out {
            let error = Error::new(ErrorKind::LoggedOut);
            return (Next::Fail(error), Effects::none());
        }
        if self.wants_initial {
            return (Next::AskInitial, Effects::none());
        }
        let Some(current) = self.current.clone() else {
            return self.join_or_start((Reason::Initial, Vec::new()), None, env);
        };
        if let Some(reason) = self.invalidated {
            return self.join_or_start((reason, Vec::new()), None, env);
        }
        let is_idle = self.in_flight.is_none();
        let is_failing = |state: &Self| state.current_error(now.monotonic).is_some();
        match current.phase(now) {
            Phase::Fresh(until) => {
                let effects = until.map_or_else(Effects::none, Effects::recheck_at);
                (Next::Use(current), effects)
            }
            Phase::Early(until) => {
                let mut effects = Effects::recheck_at(until);
                // Without a runtime, requests proceed as if early refresh were off.
                if is_idle && !is_failing(self) && env.has_runtime {
                    effects.start = Some(self.start(Reason::Early, Vec::new(), now.monotonic));
                }
                (Next::Use(current), effects)
            }
            Phase::Expiring(_) if is_idle && is_failing(self) => {
                (Next::Use(current), Effects::none())
            }
            Phase::Expiring(_) => {
                self.join_or_start((Reason::Expired, Vec::new()), Some(current), env)
            }
            Phase::Expired => self.join_or_start((Reason::Expired, Vec::new()), None, env),
        }
    }

    /// Makes the next use of the current credential wait for a refresh.
    pub(crate) fn invalidate(&mut self, env: &Env) -> Effects<C> {
        match self.current {
            Some(_) => self.invalidate_as(Reason::Invalidated, env),
            None => Effects::none(),
        }
    }

    /// Starts a new epoch without a credential. Returns the last credential.
    pub(crate) fn log_out(&mut self) -> (Option<Arc<Snapshot<C>>>, Effects<C>) {
        let effects = self.end_epoch();
        self.logged_out = true;
        self.failures.clear();
        self.version += 1;
        (self.current.take(), effects)
    }

    /// Allows refreshes again, after a logout or after the provider asked for a new login.
    pub(crate) fn resume(&mut self) -> Effects<C> {
        self.logged_out = false;
        self.failures.clear();
        Effects::none()
    }

    /// Forgets the in-flight refresh, so that another one can start.
    pub(crate) fn abandon_refresh(&mut self) {
        self.in_flight = None;
    }

    /// Returns whether nothing is lost if this state is dropped and later re-created.
    #[cfg(feature = "per-key")]
    pub(crate) fn is_disposable(&self) -> bool {
        let needs_user = self.logged_out || self.failures.is_final();
        !needs_user && !self.set_externally && self.in_flight.is_none()
    }

    /// Returns whether a credential that was current when a caller began to wait can still be used.
    pub(crate) fn is_usable(&self, snapshot: &Snapshot<C>, now: Moment) -> bool {
        self.current_generation() == snapshot.generation
            && self.invalidated.is_none()
            && snapshot.phase(now) != Phase::Expired
    }

    pub(crate) fn status(&self, now: Moment) -> Status {
        Status::new(
            self.current.as_deref(),
            self.invalidated.is_some(),
            now,
            self.in_flight.map(|refresh| refresh.reason),
            &self.failures,
            self.logged_out,
        )
    }

    /// Returns the current credential's generation, or 0 without a credential.
    fn current_generation(&self) -> u64 {
        self.current
            .as_ref()
            .map_or(0, |current| current.generation)
    }

    /// Returns the error of the last attempt while the next one is not due.
    fn current_error(&self, now: Instant) -> Option<Error> {
        self.failures.current_error(now)
    }

    fn join_or_start(
        &mut self,
        (reason, challenges): (Reason, Vec<Challenge>),
        fallback: Option<Arc<Snapshot<C>>>,
        env: &Env,
    ) -> (Next<C>, Effects<C>) {
        let now = env.now.monotonic;
        if self.in_flight.is_some() {
            return (Next::Wait { fallback }, Effects::none());
        }
        if let Some(error) = self.current_error(now) {
            return (Next::Fail(error), Effects::none());
        }
        if !env.has_runtime {
            return (
                Next::Fail(Error::new(ErrorKind::NoRuntime)),
                Effects::none(),
            );
        }
        let start = self.start(reason, challenges, now);
        (Next::Wait { fallback }, Effects::start(start))
    }

    fn start(&mut self, reason: Reason, challenges: Vec<Challenge>, now: Instant) -> Start<C> {
        let id = RefreshId(self.last_refresh.0 + 1);
        self.last_refresh = id;
        self.in_flight = Some(InFlight {
            id,
            reason,
            epoch: self.epoch,
            started_at: now,
        });
        Start {
            id,
            reason,
            challenges,
            previous: self.current.clone(),
            started_at: now,
            deadline: now + self.settings.refresh_timeout,
        }
    }

    fn invalidate_as(&mut self, reason: Reason, env: &Env) -> Effects<C> {
        self.invalidated = Some(reason);
        Effects::recheck_at(env.now.monotonic)
    }

    fn end_epoch(&mut self) -> Effects<C> {
        self.epoch += 1;
        self.wants_initial = false;
        self.budget = Budget::default();
        Effects {
            wake_waiters: true,
            ..Effects::none()
        }
    }
}
