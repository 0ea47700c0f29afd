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
    Arc::new(store)
}

impl<S: TokenStore> ErasedStore for S {
    fn name(&self) -> &str {
        TokenStore::name(self)
    }

    fn load<'a>(&'a self, key: &'a StoreKey) -> StoreFuture<'a, Stored> {
        within_timeout(self, "to load the tokens", TokenStore::load(self, key))
    }

    fn save<'a>(
        &'a self,
        key: &'a StoreKey,
        save: SaveRequest<'a>,
    ) -> StoreFuture<'a, WriteOutcome> {
        within_timeout(
            self,
            "to save the tokens",
            TokenStore::save(self, key, save),
        )
    }

    fn delete<'a>(&'a self, key: &'a StoreKey) -> StoreFuture<'a, Revision> {
        within_timeout(self, "to delete the tokens", TokenStore::delete(self, key))
    }

    fn try_lock<'a>(
        &'a self,
        key: &'a StoreKey,
        holder: &'a str,
        ttl: Duration,
    ) -> StoreFuture<'a, LockAttempt> {
        let work = TokenStore::try_lock(self, key, holder, ttl);
        within_timeout(self, "to take the lock", work)
    }

    fn renew<'a>(
        &'a self,
        key: &'a StoreKey,
        fence: Fence,
        ttl: Duration,
    ) -> StoreFuture<'a, WriteOutcome> {
        let work = TokenStore::renew(self, key, fence, ttl);
        within_timeout(self, "to renew the lock", work)
    }

    fn unlock<'a>(&'a self, key: &'a StoreKey, fence: Fence) -> StoreFuture<'a, ()> {
        let work = TokenStore::unlock(self, key, fence);
        within_timeout(self, "to release the lock", work)
    }

    fn set_intent<'a>(
        &'a self,
        key: &'a StoreKey,
        fence: Fence,
        intent: Option<Intent>,
    ) -> StoreFuture<'a, WriteOutcome> {
        let work = TokenStore::set_intent(self, key, fence, intent);
        let operation = "to record that the refresh token is about to be spent";
        within_timeout(self, operation, work)
    }
}

fn within_timeout<'a, T>(
    store: &'a impl TokenStore,
    operation: &'static str,
    work: impl Future<Output = Result<T, StoreError>> + Send + 'a,
) -> StoreFuture<'a, T> {
    Box::pin(async move {
        timeout(STORE_TIMEOUT, work)
            .await
            .unwrap_or_else(|_| Err(StoreError::new("no response within 5 s")))
            .map_err(|error| error.of(store.name(), operation))
    })
}
