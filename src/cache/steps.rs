//! What is done under the cache's lock.

use std::sync::{Arc, atomic::Ordering};

use tokio::time::Instant;

use super::{
    budget::Budget,
    flight::{Flight, Wait},
    freshness::{Expiry, Phase},
    shared::{Acquired, Cache, State, TooManyRejections},
    snapshot::Snapshot,
};
use crate::{
    challenge::Challenge,
    credential::Credential,
    error::{Error, ErrorKind},
    observe,
    provider::{Issued, Lifetime, Reason},
};

impl<C: Credential> Cache<C> {
    pub(super) fn acquire_slowly(self: &Arc<Self>, state: &mut State<C>) -> Acquired<C> {
        if state.logged_out {
            return Acquired::Fail(Error::new(ErrorKind::LoggedOut));
        }
        if !state.asked_for_initial {
            state.asked_for_initial = true;
            if let Some(issued) = self.provider.initial() {
                self.publish(state, issued, Instant::now(), None);
            }
        }
        let now = self.now();
        let Some(current) = self.current.load_full() else {
            return self.need(state, Reason::Initial, None, now.0);
        };
        if let Some(reason) = state.condemned {
            return self.need(state, reason, None, now.0);
        }
        match current.phase(now) {
            Phase::Fresh(until) => {
                current.look_again(until, now.0);
                Acquired::Use(current)
            }
            Phase::Early(until) => {
                if self.flight(state).is_none() && state.failures.standing(now.0).is_none() {
                    // Without a runtime it goes on as if early refresh were off.
                    let _ = self.take_off(state, Reason::Early, Vec::new());
                }
                current.look_again(Some(until), now.0);
                Acquired::Use(current)
            }
            Phase::Closing(_) => {
                if self.flight(state).is_none() && state.failures.standing(now.0).is_some() {
                    return Acquired::Use(current);
                }
                self.need(state, Reason::Expired, Some(current), now.0)
            }
            Phase::Expired => self.need(state, Reason::Expired, None, now.0),
        }
    }

    /// The refresh that the rejection of the current credential leads to.
    pub(super) fn refresh_rejected(
        self: &Arc<Self>,
        state: &mut State<C>,
        current: &Snapshot<C>,
        reason: Reason,
        challenges: Vec<Challenge>,
    ) -> Result<Result<Arc<Flight<C>>, Error>, TooManyRejections> {
        let now = Instant::now();
        if let Some(flight) = self.flight(state) {
            state.budget.rejected(now);
            return Ok(Ok(flight));
        }
        if let Some(error) = state.failures.standing(now) {
            state.budget.rejected(now);
            return Ok(Err(error));
        }
        if state.condemned.is_none() {
            self.spend_on(state, current, now)
                .map_err(|retry_at| TooManyRejections { retry_at })?;
        }
        Ok(self.take_off(state, reason, challenges))
    }

    /// A caller who must wait: joins the flight, or starts it if an attempt is due.
    pub(super) fn need(
        self: &Arc<Self>,
        state: &mut State<C>,
        reason: Reason,
        fallback: Option<Arc<Snapshot<C>>>,
        now: Instant,
    ) -> Acquired<C> {
        let flight = match self.flight(state) {
            Some(flight) => flight,
            None => match state.failures.standing(now) {
                Some(error) => return Acquired::Fail(error),
                None => match self.take_off(state, reason, Vec::new()) {
                    Ok(flight) => flight,
                    Err(error) => return Acquired::Fail(error),
                },
            },
        };
        self.wait(flight, fallback)
    }

    pub(super) fn wait(
        self: &Arc<Self>,
        flight: Arc<Flight<C>>,
        fallback: Option<Arc<Snapshot<C>>>,
    ) -> Acquired<C> {
        if Flight::is_awaited_by_itself(self) {
            return Acquired::Fail(Error::new(ErrorKind::OwnTokenRequest));
        }
        Acquired::Wait(Wait::new(Arc::clone(self), flight, fallback))
    }

    /// The flight in progress.
    pub(super) fn flight(&self, state: &mut State<C>) -> Option<Arc<Flight<C>>> {
        if let Some(lost) = state.flight.take_if(|flight| flight.is_lost()) {
            state.deferred.push(Box::new(move || lost.give_up()));
        }
        state.flight.clone()
    }

    pub(super) fn take_off(
        self: &Arc<Self>,
        state: &mut State<C>,
        reason: Reason,
        challenges: Vec<Challenge>,
    ) -> Result<Arc<Flight<C>>, Error> {
        let previous = self
            .current
            .load()
            .as_ref()
            .map(|last| last.credential.clone());
        let (flight, start) = Flight::prepare(
            self,
            (reason, state.session),
            previous,
            challenges,
            &state.settings,
        )?;
        state.flight = Some(Arc::clone(&flight));
        state.deferred.push(Box::new(start));
        Ok(flight)
    }

    /// What a refresh brings that was started before is not used, and those who wait for it look
    /// what there is for them now.
    pub(super) fn end_session(&self, state: &mut State<C>) {
        state.session += 1;
        state.asked_for_initial = true;
        state.budget = Budget::default();
        if let Some(flight) = state.flight.clone() {
            state.deferred.push(Box::new(move || flight.supersede()));
        }
    }

    /// Spends from the budget of rejections.
    pub(super) fn spend_on(
        &self,
        state: &mut State<C>,
        current: &Snapshot<C>,
        now: Instant,
    ) -> Result<(), Instant> {
        let accepted = self.accepted.load(Ordering::Relaxed) >= current.generation;
        let was_held_back = state.budget.is_backing_off();
        let spent = state.budget.spend(accepted, now);
        if let Err(until) = spent
            && !was_held_back
        {
            let (name, wait) = (state.settings.name, until.saturating_duration_since(now));
            let tell = move || observe::held_back(name, wait);
            state.deferred.push(Box::new(tell));
        }
        spent
    }

    pub(super) fn publish(
        &self,
        state: &mut State<C>,
        issued: Issued<C>,
        requested_at: Instant,
        reason: Option<Reason>,
    ) -> Arc<Snapshot<C>> {
        let arrived = self.now();
        let lifetime = issued.lifetime();
        let mut expiry = Expiry::new(
            lifetime,
            state.settings.default_lifetime,
            state.settings.early_refresh,
            requested_at,
            arrived,
            fastrand::f64(),
        );
        let credential = issued.into_credential();
        let last = self.current.load_full();
        let generation = match last.filter(|last| last.credential.is_same(&credential)) {
            Some(last) => {
                if reason == Some(Reason::Early) {
                    expiry = expiry.map(Expiry::without_early);
                }
                last.generation
            }
            None => {
                state.generation += 1;
                state.budget.published(arrived.0);
                state.generation
            }
        };
        state.condemned = None;
        state.seeded = false;
        state.failures.clear();
        let version = self.version.load(Ordering::Relaxed) + 1;
        let permanent = lifetime == Lifetime::Permanent;
        let snapshot = Arc::new(Snapshot::new(
            (version, generation),
            credential,
            permanent,
            expiry,
            arrived,
        ));
        self.current.store(Some(Arc::clone(&snapshot)));
        self.version.store(version, Ordering::Release);
        snapshot
    }

    pub(super) fn fail(&self, state: &mut State<C>, error: Error) -> Error {
        let State {
            settings, failures, ..
        } = state;
        failures.record(error, &settings.backoff, self.now())
    }
}
