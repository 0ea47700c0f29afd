//! Rejections, and the refreshes they may cause.

use std::time::Duration;

use super::{
    State,
    transition::{Effects, Env, Next, TooManyRejections},
};
use crate::{challenge::Challenge, provider::Reason};

impl<C> State<C> {
    /// Handles a server's rejection of a generation, for a request that could be retried. If the
    /// generation is not the current one, this is equivalent to [`acquire`](Self::acquire).
    pub(crate) fn reject(
        &mut self,
        generation: u64,
        (reason, challenges): (Reason, Vec<Challenge>),
        env: &Env,
    ) -> (Result<Next<C>, TooManyRejections>, Effects<C>) {
        let now = env.now.monotonic;
        if self.current_generation() != generation {
            let (next, effects) = self.acquire(env);
            return (Ok(next), effects);
        }
        if self.in_flight.is_some() || self.current_error(now).is_some() {
            self.budget.rejected(now);
        } else if self.invalidated.is_none()
            && let Err((refused, held_back)) = self.spend(env)
        {
            let effects = Effects {
                held_back,
                ..Effects::none()
            };
            return (Err(refused), effects);
        }
        let (next, effects) = self.join_or_start((reason, challenges), None, env);
        (Ok(next), effects)
    }

    /// Counts a rejection of a generation without starting a refresh.
    pub(crate) fn note_rejection(&mut self, generation: u64, env: &Env) -> Effects<C> {
        if self.current_generation() == generation {
            self.budget.rejected(env.now.monotonic);
        }
        Effects::none()
    }

    /// Handles a user's report that a server rejected a generation. The credential is replaced
    /// before its next use, if rejections may still cause refreshes.
    pub(crate) fn invalidate_rejected(&mut self, generation: u64, env: &Env) -> Effects<C> {
        let now = env.now.monotonic;
        let is_permanent = self.current.as_ref().is_some_and(|it| it.permanent);
        if self.current_generation() != generation
            || is_permanent
            || self.invalidated.is_some()
            || self.in_flight.is_some()
            || self.current_error(now).is_some()
        {
            return Effects::none();
        }
        match self.spend(env) {
            Ok(()) => self.invalidate_as(Reason::Rejected, env),
            Err((_, held_back)) => Effects {
                held_back,
                ..Effects::none()
            },
        }
    }

    /// Spends from the budget for a rejection of the current generation.
    ///
    /// # Errors
    /// The budget is spent. If this rejection is the first to exceed it, the error includes how
    /// long refreshes are delayed.
    fn spend(&mut self, env: &Env) -> Result<(), (TooManyRejections, Option<Duration>)> {
        let now = env.now.monotonic;
        let is_accepted = env.accepted >= self.current_generation();
        let was_held_back = self.budget.is_backing_off();
        self.budget.spend(is_accepted, now).map_err(|retry_at| {
            let wait = retry_at.saturating_duration_since(now);
            (
                TooManyRejections { retry_at },
                (!was_held_back).then_some(wait),
            )
        })
    }
}
