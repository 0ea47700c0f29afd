//! Stores whose type is hidden, and that do not take for ever.

use std::{future::Future, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use tokio::time::timeout;

use super::{
    Fence, Intent, LockAttempt, Revision, SaveRequest, StoreError, StoreKey, Stored, TokenStore,
    WriteOutcome,
};

/// How long an operation may take.
const MOST: Duration = Duration::from_secs(5);

/// A store of any type, which calls itself by name in its errors, and has a time limit.
pub(crate) type SharedStore = Arc<dyn ErasedStore>;

type Answer<'a, T> = BoxFuture<'a, Result<T, StoreError>>;

/// [`TokenStore`] in a form that trait objects can have.
pub(crate) trait ErasedStore: Send + Sync {
    fn name(&self) -> &str;
    fn load<'a>(&'a self, key: &'a StoreKey) -> Answer<'a, Stored>;
    fn save<'a>(&'a self, key: &'a StoreKey, save: SaveRequest<'a>) -> Answer<'a, WriteOutcome>;
    fn delete<'a>(&'a self, key: &'a StoreKey) -> Answer<'a, Revision>;
    fn try_lock<'a>(
        &'a self,
        key: &'a StoreKey,
        holder: &'a str,
        ttl: Duration,
    ) -> Answer<'a, LockAttempt>;
    fn renew<'a>(
        &'a self,
        key: &'a StoreKey,
        fence: Fence,
        ttl: Duration,
    ) -> Answer<'a, WriteOutcome>;
    fn unlock<'a>(&'a self, key: &'a StoreKey, fence: Fence) -> Answer<'a, ()>;
    fn set_intent<'a>(
        &'a self,
        key: &'a StoreKey,
        fence: Fence,
        intent: Option<Intent>,
    ) -> Answer<'a, WriteOutcome>;
}

pub(crate) fn share(store: impl TokenStore) -> SharedStore {
    Arc::new(Erased(store))
}

struct Erased<S>(S);

impl<S: TokenStore> Erased<S> {
    fn bound<'a, T>(
        &'a self,
        doing: &'static str,
        work: impl Future<Output = Result<T, StoreError>> + Send + 'a,
    ) -> Answer<'a, T> {
        Box::pin(async move {
            timeout(MOST, work)
                .await
                .unwrap_or_else(|_| Err(StoreError::new("no answer within 5 s")))
                .map_err(|error| error.of(self.0.name(), doing))
        })
    }
}

impl<S: TokenStore> ErasedStore for Erased<S> {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn load<'a>(&'a self, key: &'a StoreKey) -> Answer<'a, Stored> {
        self.bound("to load the tokens", self.0.load(key))
    }

    fn save<'a>(&'a self, key: &'a StoreKey, save: SaveRequest<'a>) -> Answer<'a, WriteOutcome> {
        self.bound("to save the tokens", self.0.save(key, save))
    }

    fn delete<'a>(&'a self, key: &'a StoreKey) -> Answer<'a, Revision> {
        self.bound("to delete the tokens", self.0.delete(key))
    }

    fn try_lock<'a>(
        &'a self,
        key: &'a StoreKey,
        holder: &'a str,
        ttl: Duration,
    ) -> Answer<'a, LockAttempt> {
        self.bound("to give the lock", self.0.try_lock(key, holder, ttl))
    }

    fn renew<'a>(
        &'a self,
        key: &'a StoreKey,
        fence: Fence,
        ttl: Duration,
    ) -> Answer<'a, WriteOutcome> {
        self.bound("to renew the lock", self.0.renew(key, fence, ttl))
    }

    fn unlock<'a>(&'a self, key: &'a StoreKey, fence: Fence) -> Answer<'a, ()> {
        self.bound("to release the lock", self.0.unlock(key, fence))
    }

    fn set_intent<'a>(
        &'a self,
        key: &'a StoreKey,
        fence: Fence,
        intent: Option<Intent>,
    ) -> Answer<'a, WriteOutcome> {
        let work = self.0.set_intent(key, fence, intent);
        self.bound("to record that the refresh token is being spent", work)
    }
}
