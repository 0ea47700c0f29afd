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

/// Declares the dyn-compatible form of [`TokenStore`], and implements it for every store. Each line
/// is one operation: its arguments after the key, its result, and its name for errors.
macro_rules! erased_store {
    ($a:lifetime: $(
        fn $method:ident($($name:ident: $type:ty),*) -> $result:ty, $operation:literal;
    )*) => {
        pub(crate) trait ErasedStore: Send + Sync {
            fn name(&self) -> &str;
            $(fn $method<$a>(&$a self, key: &$a StoreKey, $($name: $type),*)
                -> StoreFuture<$a, $result>;)*
        }

        impl<S: TokenStore> ErasedStore for S {
            fn name(&self) -> &str {
                TokenStore::name(self)
            }

            $(fn $method<$a>(&$a self, key: &$a StoreKey, $($name: $type),*)
                -> StoreFuture<$a, $result> {
                within_timeout(self, $operation, TokenStore::$method(self, key, $($name),*))
            })*
        }
    };
}

erased_store! { 'a:
    fn load() -> Stored, "to load the tokens";
    fn save(save: SaveRequest<'a>) -> WriteOutcome, "to save the tokens";
    fn delete() -> Revision, "to delete the tokens";
    fn try_lock(holder: &'a str, ttl: Duration) -> LockAttempt, "to take the lock";
    fn renew(fence: Fence, ttl: Duration) -> WriteOutcome, "to renew the lock";
    fn unlock(fence: Fence) -> (), "to release the lock";
    fn set_intent(fence: Fence, intent: Option<Intent>) -> WriteOutcome,
        "to record that the refresh token is about to be spent";
}

pub(crate) fn share(store: impl TokenStore) -> SharedStore {
    Arc::new(store)
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
