//! P41: a refresh token can be spent only once.

use std::time::Duration;

use crate::{EXCLUSIVE, backend::Backend, sharing::share};

#[tokio::test(flavor = "multi_thread")]
async fn ten_processes_share_one_rotating_refresh_token_in_a_file() {
    check(Backend::file()).await;
}

#[cfg(feature = "redis")]
#[tokio::test(flavor = "multi_thread")]
async fn ten_processes_share_one_rotating_refresh_token_in_redis() {
    if let Some(backend) = Backend::redis() {
        check(backend).await;
    }
}

async fn check(backend: Backend) {
    let _exclusive = EXCLUSIVE.lock().await;
    let server = share(backend, true, 2, Duration::from_millis(150)).await;
    let seen = server.seen();
    assert_eq!((seen.reused.len(), seen.rejected), (0, 0), "{seen:?}");
    assert!(server.is_logged_in(), "the token family is not revoked");
}
