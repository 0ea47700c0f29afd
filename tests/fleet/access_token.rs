//! P59: a server that revokes a client's previous access token when it issues the next.

use std::time::Duration;

use crate::{place::Place, sharing::share};

/// Both at once, because it takes long; see below.
#[tokio::test(flavor = "multi_thread")]
async fn ten_processes_with_client_credentials_share_a_token_in_a_file_or_in_redis() {
    #[cfg(feature = "redis")]
    let in_redis = async {
        if let Some(place) = Place::redis() {
            live_on(place).await;
        }
    };
    #[cfg(not(feature = "redis"))]
    let in_redis = async {};
    tokio::join!(live_on(Place::file()), in_redis);
}

/// Each new token has calls of the other processes rejected. The layer allows five refreshes in
/// 30 s that rejections cause, so these tokens live longer than others here.
async fn live_on(place: Place) {
    let server = share(place, false, 11, Duration::from_secs(1)).await;
    let seen = server.seen();
    assert!(seen.rejected > 0, "nothing was revoked: {seen:?}");
}
