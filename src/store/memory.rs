//! An in-memory store.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::time::Instant;

use super::{
    Fence, Intent, LockAttempt, Revision, SaveRequest, StoreError, StoreKey, Stored, TokenStore,
    WriteOutcome,
};
use crate::sync::lock;

/// An in-memory store, for providers that share tokens within one process, and for tests.
///
/// Clones share the entries. A memory store never fails, and its entries are lost when the process
/// ends.
///
/// ```
/// use tower_auth::store::{MemoryStore, StoreKey, TokenStore};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), tower_auth::store::StoreError> {
/// let store = MemoryStore::new();
/// let stored = store.load(&StoreKey::issuer("https://login.example.com")).await?;
/// assert_eq!(stored.tokens, None);
/// # Ok(()) }
/// ```
#[derive(Clone, Default)]
pub struct MemoryStore {
    entries: Arc<Mutex<HashMap<StoreKey, Entry>>>,
}

#[derive(Default)]
struct Entry {
    stored: Stored,
    /// The number of the last lock.
    fence: Fence,
    locked_until: Option<Instant>,
}

impl MemoryStore {
    /// Creates an empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn with<T>(&self, key: &StoreKey, step: impl FnOnce(&mut Entry) -> T) -> T {
        step(lock(&self.entries).entry(key.clone()).or_default())
    }
}

impl Entry {
    /// Runs the write if the fence is not stale and the write is allowed.
    fn write(&mut self, fence: Fence, allowed: bool, step: impl FnOnce(&mut Self)) -> WriteOutcome {
        if self.fence != fence || !allowed {
            return WriteOutcome::Conflict;
        }
        step(self);
        WriteOutcome::Applied
    }
}

impl TokenStore for MemoryStore {
    fn name(&self) -> &str {
        "in memory"
    }

    async fn load(&self, key: &StoreKey) -> Result<Stored, StoreError> {
        Ok(self.with(key, |entry| entry.stored.clone()))
    }

    async fn save(
        &self,
        key: &StoreKey,
        save: SaveRequest<'_>,
    ) -> Result<WriteOutcome, StoreError> {
        Ok(self.with(key, |entry| {
            let is_expected = entry.stored.revision == save.replaces;
            entry.write(save.fence, is_expected, |entry| {
                entry.stored = Stored::new(save.revision).with_tokens(save.tokens.clone());
            })
        }))
    }

    async fn delete(&self, key: &StoreKey) -> Result<Revision, StoreError> {
        Ok(self.with(key, |entry| {
            entry.stored = Stored::new(Revision(entry.stored.revision.0 + 1));
            entry.stored.revision
        }))
    }

    async fn try_lock(
        &self,
        key: &StoreKey,
        _holder: &str,
        ttl: Duration,
    ) -> Result<LockAttempt, StoreError> {
        Ok(self.with(key, |entry| {
            let now = Instant::now();
            match entry.locked_until {
                Some(until) if until > now => LockAttempt::HeldFor(until - now),
                _ => {
                    entry.fence.0 += 1;
                    entry.locked_until = Some(now + ttl);
                    LockAttempt::Acquired(entry.fence)
                }
            }
        }))
    }

    async fn renew(
        &self,
        key: &StoreKey,
        fence: Fence,
        ttl: Duration,
    ) -> Result<WriteOutcome, StoreError> {
        Ok(self.with(key, |entry| {
            entry.write(fence, true, |entry| {
                entry.locked_until = Some(Instant::now() + ttl);
            })
        }))
    }

    async fn unlock(&self, key: &StoreKey, fence: Fence) -> Result<(), StoreError> {
        let unlock = |entry: &mut Entry| entry.write(fence, true, |it| it.locked_until = None);
        let _ = self.with(key, unlock);
        Ok(())
    }

    async fn set_intent(
        &self,
        key: &StoreKey,
        fence: Fence,
        intent: Option<Intent>,
    ) -> Result<WriteOutcome, StoreError> {
        Ok(self.with(key, |entry| {
            let revision = entry.stored.revision;
            let is_expected = intent.as_ref().is_none_or(|it| it.revision == revision);
            entry.write(fence, is_expected, |entry| entry.stored.intent = intent)
        }))
    }
}

partial_debug!(MemoryStore);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::conformance;

    /// P42, P12.
    #[tokio::test(start_paused = true)]
    async fn it_conforms_to_the_store_contract() {
        conformance::run(MemoryStore::new).await;
    }
}
