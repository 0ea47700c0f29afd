//! P41: a refresh token that may be spent once.

use std::time::Duration;

use crate::{LANE, place::Place, sharing::share};

#[tokio::test(flavor = "multi_thread")]
async fn ten_processes_share_one_rotating_refresh_token_in_a_file() {
    live_on(Place::file()).await;
}

#[cfg(feature = "redis")]
#[tokio::test(flavor = "multi_thread")]
async fn ten_processes_share_one_rotating_refresh_token_in_redis() {
    if let Some(place) = Place::redis() {
        live_on(place).await;
    }
}

async fn live_on(place: Place) {
    let _lane = LANE.lock().await;
    let server = share(place, true, 2, Duration::from_millis(150)).await;
    let seen = server.seen();
    assert_eq!((seen.reused.len(), seen.rejected), (0, 0), "{seen:?}");
    assert!(server.is_logged_in(), "the family is not revoked");
}
