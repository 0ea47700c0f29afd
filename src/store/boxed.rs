//! Type-erased stores, with a time limit for each operation.

use std::{future::Future, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use tokio::time::timeout;

use super::{
    Fence, Intent, LockAttempt, Revision, SaveRequest, StoreError, StoreKey, Stored, TokenStore,
    WriteOutcome,
};

/// The time limit for one operation.
const STORE_TIMEOUT: Duration = Duration::from_secs(5);

/// A store of any type. Its errors name the store and the operation.
pub(crate) type SharedStore = Arc<dyn ErasedStore>;

type StoreFuture<'a, T> = BoxFuture<'a, Result<T, StoreError>>;

/// The dyn-compatible form of [`TokenStore`].
pub(crate) trait ErasedStore: Send + Sync {
    fn name(&self) -> &str;
    fn load<'a>(&'a self, key: &'a StoreKey) -> StoreFuture<'a, Stored>;
    fn save<'a>(
        &'a self,
        key: &'a StoreKey,
        save: SaveRequest<'a>,
    ) -> StoreFuture<'a, WriteOutcome>;
    fn delete<'a>(&'a self, key: &'a StoreKey) -> StoreFuture<'a, Revision>;
    fn try_lock<'a>(
        &'a self,
        key: &'a StoreKey,
        holder: &'a str,
        ttl: Duration,
    ) -> StoreFuture<'a, LockAttempt>;
    fn renew<'a>(
        &'a self,
        key: &'a StoreKey,
        fence: Fence,
        ttl: Duration,
    ) -> StoreFuture<'a, WriteOutcome>;
    fn unlock<'a>(&'a self, key: &'a StoreKey, fence: Fence) -> StoreFuture<'a, ()>;
    fn set_intent<'a>(
        &'a self,
        key: &'a StoreKey,
        fence: Fence,
        intent: Option<Intent>,
    ) -> StoreFuture<'a, WriteOutcome>;
}

pub(crate) fn share(store: impl TokenStore) -> SharedStore {
    Arc::new(Erased(store))
}

struct Erased<S>(S);

impl<S: TokenStore> Erased<S> {
    fn within_timeout<'a, T>(
        &'a self,
        operation: &'static str,
        work: impl Future<Output = Result<T, StoreError>> + Send + 'a,
    ) -> StoreFuture<'a, T> {
        Box::pin(async move {
            timeout(STORE_TIMEOUT, work)
                .await
                .unwrap_or_else(|_| Err(StoreError::new("no response within 5 s")))
                .map_err(|error| error.of(self.0.name(), operation))
        })
    }
}

impl<S: TokenStore> ErasedStore for Erased<S> {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn load<'a>(&'a self, key: &'a StoreKey) -> StoreFuture<'a, Stored> {
        self.within_timeout("to load the tokens", self.0.load(key))
    }

    fn save<'a>(
        &'a self,
        key: &'a StoreKey,
        save: SaveRequest<'a>,
    ) -> StoreFuture<'a, WriteOutcome> {
        self.within_timeout("to save the tokens", self.0.save(key, save))
    }

    fn delete<'a>(&'a self, key: &'a StoreKey) -> StoreFuture<'a, Revision> {
        self.within_timeout("to delete the tokens", self.0.delete(key))
    }

    fn try_lock<'a>(
        &'a self,
        key: &'a StoreKey,
        holder: &'a str,
        ttl: Duration,
    ) -> StoreFuture<'a, LockAttempt> {
        self.within_timeout("to take the lock", self.0.try_lock(key, holder, ttl))
    }

    fn renew<'a>(
        &'a self,
        key: &'a StoreKey,
        fence: Fence,
        ttl: Duration,
    ) -> StoreFuture<'a, WriteOutcome> {
        self.within_timeout("to renew the lock", self.0.renew(key, fence, ttl))
    }

    fn unlock<'a>(&'a self, key: &'a StoreKey, fence: Fence) -> StoreFuture<'a, ()> {
        self.within_timeout("to release the lock", self.0.unlock(key, fence))
    }

    fn set_intent<'a>(
        &'a self,
        key: &'a StoreKey,
        fence: Fence,
        intent: Option<Intent>,
    ) -> StoreFuture<'a, WriteOutcome> {
        let work = self.0.set_intent(key, fence, intent);
        self.within_timeout(
            "to record that the refresh token is about to be spent",
            work,
        )
    }
}
