//! The store entry of a session, and its lock.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::store::{
    Fence, Intent, LockAttempt, Revision, SaveRequest, SharedStore, StoreError, StoreKey, Stored,
    TokenSet, WriteOutcome,
};

/// How long before a waiter's deadline it stops waiting for the lock, so that its error can name
/// the reason.
const DEADLINE_MARGIN: Duration = Duration::from_millis(100);
const MIN_PAUSE: Duration = Duration::from_millis(50);
const MAX_PAUSE: Duration = Duration::from_millis(500);

/// How long past the refresh deadline the lock is requested.
const LOCK_MARGIN: Duration = Duration::from_secs(8);

/// One entry of a store. Everyone can read and delete it; only a [`LockGuard`] can write to it.
pub(super) struct StoreEntry {
    store: SharedStore,
    key: StoreKey,
    /// Names this process, for people who look up what holds the lock.
    holder: String,
}

/// Proof that this process locked the entry.
///
/// Dropping it does not release the lock, because that takes a request to the store:
/// [`StoreEntry::unlock`] does. A guard that is kept keeps the lock, and a lock that no guard is
/// kept for expires.
#[must_use = "pass it to unlock(), or keep it in the state"]
pub(super) struct LockGuard {
    fence: Fence,
    expires_at: Instant,
    /// The store refused a write, so another process may hold the lock by now.
    is_lost: bool,
}

pub(super) enum LockResult {
    Acquired(LockGuard),
    /// Another process holds it, for up to this time.
    HeldFor(Duration),
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

    /// Tries to lock the entry until some time after the deadline.
    pub(super) async fn try_lock(&self, deadline: Instant) -> Result<LockResult, StoreError> {
        let (expires_at, ttl) = lease(deadline);
        Ok(
            match self.store.try_lock(&self.key, &self.holder, ttl).await? {
                LockAttempt::HeldFor(left) => LockResult::HeldFor(left),
                LockAttempt::Acquired(fence) => LockResult::Acquired(LockGuard {
                    fence,
                    expires_at,
                    is_lost: false,
                }),
            },
        )
    }

    /// Renews the lock of a guard that was kept. The guard is gone if another process has taken
    /// the lock.
    pub(super) async fn renew(
        &self,
        kept: &mut Option<LockGuard>,
        deadline: Instant,
    ) -> Result<(), StoreError> {
        let Some(guard) = kept.as_mut().filter(|guard| !guard.is_lost) else {
            *kept = None;
            return Ok(());
        };
        let (expires_at, ttl) = lease(deadline);
        match self.store.renew(&self.key, guard.fence, ttl).await? {
            WriteOutcome::Applied => guard.expires_at = expires_at,
            WriteOutcome::Conflict => *kept = None,
        }
        Ok(())
    }

    /// Releases the lock of a guard that was kept. If that fails, the lock expires.
    pub(super) async fn unlock(&self, kept: &mut Option<LockGuard>) {
        if let Some(guard) = kept.take()
            && !guard.is_lost
        {
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
        error.of(self.store.name(), "to give the lock")
    }

    pub(super) fn overtaken(&self) -> StoreError {
        let error = StoreError::new("another process has since taken the lock");
        error.of(self.store.name(), "to save the tokens")
    }
}

impl LockGuard {
    pub(super) fn is_lost(&self) -> bool {
        self.is_lost
    }

    /// From now on the guard is good for nothing, and its lock is not released.
    pub(super) fn lose(&mut self) {
        self.is_lost = true;
    }

    pub(super) fn outlasts(&self, moment: Instant) -> bool {
        self.expires_at >= moment
    }

    /// Saves tokens in place of the revision that they replace.
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

    /// Records that a refresh token is about to be spent, or that it was not.
    pub(super) async fn set_intent(
        &self,
        entry: &StoreEntry,
        intent: Option<Intent>,
    ) -> Result<WriteOutcome, StoreError> {
        entry.store.set_intent(&entry.key, self.fence, intent).await
    }
}

/// When a lock that is requested now should expire, and how long that is from now.
fn lease(deadline: Instant) -> (Instant, Duration) {
    let now = Instant::now();
    let expires_at = deadline.max(now) + LOCK_MARGIN;
    (expires_at, expires_at - now)
}

/// The pauses between attempts to take the lock.
pub(super) struct LockBackoff {
    end: Instant,
    pause: Duration,
}

impl LockBackoff {
    pub(super) fn until(deadline: Instant) -> Self {
        Self {
            end: deadline.checked_sub(DEADLINE_MARGIN).unwrap_or(deadline),
            pause: MIN_PAUSE,
        }
    }

    /// Pauses, with jitter, for a lock that is held for up to `left`. Fails with `left` if the
    /// deadline comes first.
    pub(super) async fn wait(&mut self, left: Duration) -> Result<(), Duration> {
        let pause = left.min(self.pause).mul_f64(0.5 + fastrand::f64());
        if Instant::now() + pause >= self.end {
            return Err(left);
        }
        sleep(pause).await;
        self.pause = (self.pause * 3 / 2).min(MAX_PAUSE);
        Ok(())
    }
}
