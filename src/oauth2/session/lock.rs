//! The store entry of a session, and its lock.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::{
    store::{
        Fence, Intent, LockAttempt, Revision, SaveRequest, SharedStore, StoreError, StoreKey,
        Stored, TokenSet, WriteOutcome,
    },
    time::ExponentialBackoff,
};

/// How far the requested lock lease extends beyond the refresh deadline.
const LOCK_MARGIN: Duration = Duration::from_secs(8);
/// The wait for the lock ends this long before the deadline, so that the error can name the reason.
const DEADLINE_MARGIN: Duration = Duration::from_millis(100);
const BACKOFF: ExponentialBackoff =
    ExponentialBackoff::new(Duration::from_millis(50), Duration::from_millis(500));

/// One entry of a store. Reading and deleting it require no lock; writing to it requires a
/// [`LockGuard`].
pub(super) struct StoreEntry {
    store: SharedStore,
    key: StoreKey,
    /// Names this process, for operators who look up what holds the lock.
    holder: String,
}

/// Proof that this process has locked the entry.
///
/// Dropping it does not release the lock, because that requires a request to the store, which
/// [`StoreEntry::unlock`] sends. While the guard is kept, the lock can be renewed and released. A
/// lock without a guard expires.
#[must_use = "pass it to unlock(), or keep it in the state"]
pub(super) struct LockGuard {
    fence: Fence,
    expires_at: Instant,
}

/// Counts how often this process has waited for the lock, and limits how long it waits.
pub(super) struct LockBackoff {
    deadline: Instant,
    waits: u32,
}

impl StoreEntry {
    pub(super) fn new(store: SharedStore, key: StoreKey) -> Self {
        Self {
            store,
            key,
            holder: format!("process {} ({:08x})", std::process::id(), fastrand::u32(..)),
        }
    }

    pub(super) fn holder(&self) -> &str {
        &self.holder
    }

    pub(super) async fn load(&self) -> Result<Stored, StoreError> {
        self.store.load(&self.key).await
    }

    pub(super) async fn delete(&self) -> Result<Revision, StoreError> {
        self.store.delete(&self.key).await
    }

    /// Tries to lock the entry, with a lease that extends beyond the deadline. If another process
    /// holds the lock, returns its remaining lease.
    pub(super) async fn try_lock(
        &self,
        kept: &mut Option<LockGuard>,
        deadline: Instant,
    ) -> Result<Option<Duration>, StoreError> {
        let (expires_at, ttl) = lease(deadline);
        match self.store.try_lock(&self.key, &self.holder, ttl).await? {
            LockAttempt::HeldFor(left) => Ok(Some(left)),
            LockAttempt::Acquired(fence) => {
                *kept = Some(LockGuard { fence, expires_at });
                Ok(None)
            }
        }
    }

    /// Tries to lock the entry, and pauses, with jitter, if another process holds the lock. Fails
    /// if the deadline would pass during the pause.
    pub(super) async fn lock_or_pause(
        &self,
        kept: &mut Option<LockGuard>,
        backoff: &mut LockBackoff,
    ) -> Result<(), StoreError> {
        let Some(left) = self.try_lock(kept, backoff.deadline).await? else {
            return Ok(());
        };
        let pause = left.min(BACKOFF.delay(backoff.waits));
        let pause = pause.mul_f64(0.5 + fastrand::f64());
        if Instant::now() + pause + DEADLINE_MARGIN >= backoff.deadline {
            return Err(self.busy(left));
        }
        sleep(pause).await;
        backoff.waits += 1;
        Ok(())
    }

    /// Renews the lock if a guard was kept. Removes the guard if another process has taken the
    /// lock.
    pub(super) async fn renew(
        &self,
        kept: &mut Option<LockGuard>,
        deadline: Instant,
    ) -> Result<(), StoreError> {
        let Some(guard) = kept else {
            return Ok(());
        };
        let (expires_at, ttl) = lease(deadline);
        match self.store.renew(&self.key, guard.fence, ttl).await? {
            WriteOutcome::Applied => guard.expires_at = expires_at,
            WriteOutcome::Conflict => *kept = None,
        }
        Ok(())
    }

    /// Releases the lock if a guard was kept. If that fails, the lock expires. A lock that another
    /// process has taken is left alone.
    pub(super) async fn unlock(&self, kept: &mut Option<LockGuard>) {
        if let Some(guard) = kept.take() {
            let _ = self.store.unlock(&self.key, guard.fence).await;
        }
    }

    pub(super) fn busy(&self, left: Duration) -> StoreError {
        let error = StoreError::new(format!(
            "held by another process for up to {}.{} s (it is refreshing the tokens, or crashed \
             while doing so)",
            left.as_secs(),
            left.subsec_millis() / 100,
        ));
        error.of(self.store.name(), "to take the lock")
    }

    pub(super) fn overtaken(&self) -> StoreError {
        let error = StoreError::new("another process has since taken the lock");
        error.of(self.store.name(), "to save the tokens")
    }
}

impl LockGuard {
    pub(super) fn outlasts(&self, moment: Instant) -> bool {
        self.expires_at >= moment
    }

    /// Saves tokens as `revision`, in place of the `replaces` revision.
    pub(super) async fn save(
        &self,
        entry: &StoreEntry,
        replaces: Revision,
        revision: Revision,
        tokens: &TokenSet,
    ) -> Result<WriteOutcome, StoreError> {
        let save = SaveRequest {
            fence: self.fence,
            replaces,
            revision,
            tokens,
        };
        entry.store.save(&entry.key, save).await
    }

    /// Records that a refresh token is about to be spent, or clears that record.
    pub(super) async fn set_intent(
        &self,
        entry: &StoreEntry,
        intent: Option<Intent>,
    ) -> Result<WriteOutcome, StoreError> {
        entry.store.set_intent(&entry.key, self.fence, intent).await
    }
}

/// Returns the time at which a lock that is requested now should expire, and the time until then.
fn lease(deadline: Instant) -> (Instant, Duration) {
    let now = Instant::now();
    let expires_at = deadline.max(now) + LOCK_MARGIN;
    (expires_at, expires_at - now)
}

impl LockBackoff {
    pub(super) fn until(deadline: Instant) -> Self {
        Self { deadline, waits: 0 }
    }
}
