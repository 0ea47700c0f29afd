//! A store that fails on request.

use std::{
    collections::HashSet,
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use tower_auth::store::{
    Fence, Intent, LockAttempt, MemoryStore, Revision, SaveRequest, StoreError, StoreKey, Stored,
    TokenStore, WriteOutcome,
};

#[derive(Clone, Default)]
pub(crate) struct Faulty {
    inner: Arc<Mutex<MemoryStore>>,
    failing: Arc<Mutex<HashSet<Operation>>>,
    hanging: Arc<Mutex<HashSet<Operation>>>,
    stops: Arc<Mutex<Option<Duration>>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Operation {
    Load,
    Save,
    Delete,
    Lock,
    Renew,
    Unlock,
    Intent,
}

pub(crate) use Operation::{Delete, Load, Lock, Save as Saving};

pub(crate) const ALL: [Operation; 7] = [
    Load,
    Saving,
    Delete,
    Lock,
    Operation::Renew,
    Operation::Unlock,
    Operation::Intent,
];

impl Faulty {
    /// Makes only these operations fail from now on.
    pub(crate) fn fail(&self, operations: impl IntoIterator<Item = Operation>) {
        *self.failing.lock().unwrap() = operations.into_iter().collect();
    }

    /// Makes only these operations hang from now on.
    pub(crate) fn hang(&self, operations: impl IntoIterator<Item = Operation>) {
        *self.hanging.lock().unwrap() = operations.into_iter().collect();
    }

    /// Suspends the process for this time when it next records an intent.
    pub(crate) fn stop(&self, time: Duration) {
        *self.stops.lock().unwrap() = Some(time);
    }

    /// The store inside, without faults.
    pub(crate) fn inner(&self) -> MemoryStore {
        self.inner.lock().unwrap().clone()
    }

    /// Replaces the store inside.
    pub(crate) fn replace(&self, inner: MemoryStore) {
        *self.inner.lock().unwrap() = inner;
    }

    async fn pass(&self, operation: Operation) -> Result<(), StoreError> {
        let hangs = self.hanging.lock().unwrap().contains(&operation);
        if hangs {
            std::future::pending().await
        }
        match self.failing.lock().unwrap().contains(&operation) {
            true => Err(StoreError::new(io::Error::other("disk full"))),
            false => Ok(()),
        }
    }
}

impl TokenStore for Faulty {
    fn name(&self) -> &str {
        "faulty"
    }

    async fn load(&self, key: &StoreKey) -> Result<Stored, StoreError> {
        self.pass(Load).await?;
        self.inner().load(key).await
    }

    async fn save(
        &self,
        key: &StoreKey,
        save: SaveRequest<'_>,
    ) -> Result<WriteOutcome, StoreError> {
        self.pass(Saving).await?;
        self.inner().save(key, save).await
    }

    async fn delete(&self, key: &StoreKey) -> Result<Revision, StoreError> {
        self.pass(Delete).await?;
        self.inner().delete(key).await
    }

    async fn try_lock(
        &self,
        key: &StoreKey,
        holder: &str,
        ttl: Duration,
    ) -> Result<LockAttempt, StoreError> {
        self.pass(Lock).await?;
        self.inner().try_lock(key, holder, ttl).await
    }

    async fn renew(
        &self,
        key: &StoreKey,
        fence: Fence,
        ttl: Duration,
    ) -> Result<WriteOutcome, StoreError> {
        self.pass(Operation::Renew).await?;
        self.inner().renew(key, fence, ttl).await
    }

    async fn unlock(&self, key: &StoreKey, fence: Fence) -> Result<(), StoreError> {
        self.pass(Operation::Unlock).await?;
        self.inner().unlock(key, fence).await
    }

    async fn set_intent(
        &self,
        key: &StoreKey,
        fence: Fence,
        intent: Option<Intent>,
    ) -> Result<WriteOutcome, StoreError> {
        self.pass(Operation::Intent).await?;
        let stops = self.stops.lock().unwrap().take();
        if let Some(time) = stops {
            tokio::time::advance(time).await;
        }
        self.inner().set_intent(key, fence, intent).await
    }
}
