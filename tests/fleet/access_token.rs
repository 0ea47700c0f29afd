//! P59: a server that revokes a client's previous access token when it issues the next one.

use std::time::Duration;

use crate::{backend::Backend, sharing::share};

/// Tests both stores at once, because the test takes a long time (see `check`).
#[tokio::test(flavor = "multi_thread")]
async fn ten_processes_share_one_access_token() {
    #[cfg(feature = "redis")]
    let in_redis = async {
        if let Some(backend) = Backend::redis() {
            check(backend).await;
        }
    };
    #[cfg(not(feature = "redis"))]
    let in_redis = async {};
    tokio::join!(check(Backend::file()), in_redis);
}

/// Checks one store. Each new token causes rejections in the other processes. The layer allows five
/// refreshes caused by rejections per 30 s, so these tokens have a longer lifetime than in the
/// other tests.
async fn check(backend: Backend) {
    let server = share(backend, false, 11, Duration::from_secs(1)).await;
    let seen = server.seen();
    assert!(seen.rejected > 0, "nothing was revoked: {seen:?}");
}
