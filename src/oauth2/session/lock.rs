//! The store's lock, and the wait for it.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{Asked, Grant, Session, State};
use crate::{
    credential::Bearer,
    error::ProviderError,
    provider::RefreshContext,
    store::{Fence, Intent, LockAttempt, StoreError, WriteOutcome},
};

/// How much longer than the refresh the lock must last when the server is asked, so that the
/// answer can be saved under it.
const LEAD: Duration = Duration::from_secs(5);
/// How much longer than the refresh it is asked to last.
const EXTRA: Duration = Duration::from_secs(8);

/// So long before the deadline waiting ends with an error that says for whom.
const SPARE: Duration = Duration::from_millis(100);
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// The lock of the store, as far as this process knows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lock {
    pub(super) fence: Fence,
    until: Instant,
}

impl<G: Grant> Session<G> {
    /// Tries to take the lock; gives the time that somebody else has it at most.
    pub(super) async fn try_lock(
        &self,
        state: &mut State,
        deadline: Instant,
    ) -> Result<Option<Duration>, StoreError> {
        let (until, ttl) = term(deadline);
        match self.store.try_lock(&self.key, &self.holder, ttl).await? {
            LockAttempt::HeldFor(left) => Ok(Some(left)),
            LockAttempt::Acquired(fence) => {
                state.lock = Some(Lock { fence, until });
                Ok(None)
            }
        }
    }

    /// Has a lock last that an earlier refresh left behind.
    pub(super) async fn renew(
        &self,
        state: &mut State,
        deadline: Instant,
    ) -> Result<(), StoreError> {
        let Some(lock) = state.lock else {
            return Ok(());
        };
        let (until, ttl) = term(deadline);
        state.lock = match self.store.renew(&self.key, lock.fence, ttl).await? {
            WriteOutcome::Applied => Some(Lock { until, ..lock }),
            WriteOutcome::Conflict => None,
        };
        Ok(())
    }

    /// Releases the lock. If that fails, it runs out by itself.
    pub(super) async fn unlock(&self, state: &mut State) {
        if let Some(lock) = state.lock.take() {
            let _ = self.store.unlock(&self.key, lock.fence).await;
        }
    }

    pub(super) fn busy(&self, left: Duration) -> StoreError {
        let error = StoreError::new(format!(
            "another process holds it for {}.{} s more at most: it refreshes the tokens, or has \
             died while it did",
            left.as_secs(),
            left.subsec_millis() / 100,
        ));
        error.of(self.store.name(), "to give the lock")
    }

    /// Records what is about to happen, or that it did not; and finds out whether the lock is
    /// still ours.
    pub(super) async fn set_intent(
        &self,
        state: &mut State,
        intent: Option<Intent>,
    ) -> Result<(), ProviderError> {
        let lock = state.lock.ok_or_else(lost)?;
        match self.store.set_intent(&self.key, lock.fence, intent).await? {
            WriteOutcome::Applied => Ok(()),
            WriteOutcome::Conflict => {
                state.lock = None;
                Err(lost())
            }
        }
    }

    /// Whether there is time enough to ask the server under the lock.
    pub(super) fn ask(
        &self,
        state: &State,
        context: &RefreshContext<Bearer>,
    ) -> Result<Asked, ProviderError> {
        let lock = state.lock.ok_or_else(lost)?;
        let asked = Asked::now();
        // A process that was stopped for a while finds itself past its deadline.
        if asked.at >= context.deadline() || lock.until < context.deadline() + LEAD {
            return Err(lost());
        }
        Ok(asked)
    }
}

/// Until when a lock is wanted, and for how long that is from now on.
fn term(deadline: Instant) -> (Instant, Duration) {
    let until = deadline.max(Instant::now()) + EXTRA;
    (until, until - Instant::now())
}

fn lost() -> ProviderError {
    ProviderError::transient("the token store's lock was lost before the server was asked")
}

/// How those wait who don't have the lock.
pub(super) struct Pacing {
    end: Instant,
    pause: Duration,
}

impl Pacing {
    pub(super) fn until(deadline: Instant) -> Self {
        Self {
            end: deadline.checked_sub(SPARE).unwrap_or(deadline),
            pause: FIRST_PAUSE,
        }
    }

    /// Waits a little, at random, for a lock that is held for so long at most. Gives that time
    /// back if it is too long.
    pub(super) async fn wait(&mut self, left: Duration) -> Result<(), Duration> {
        let pause = left.min(self.pause).mul_f64(0.5 + fastrand::f64());
        if Instant::now() + pause >= self.end {
            return Err(left);
        }
        sleep(pause).await;
        self.pause = (self.pause * 3 / 2).min(LONGEST_PAUSE);
        Ok(())
    }
}
