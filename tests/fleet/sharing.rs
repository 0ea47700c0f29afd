//! What all processes that share tokens must show: each token is asked for once, when the one before
//! it is near its end, and no caller fails.

use std::time::Duration;

use tokio::time::{sleep, timeout};

use crate::{
    fleet::{Fleet, print_counts},
    place::Place,
    server::{AuthorizationServer, Rules},
    worker::Settings,
};

const EXPIRIES: u64 = 20;

/// Has ten processes live on one token after the other.
pub(crate) async fn share(
    place: Place,
    has_refresh_token: bool,
    lifetime: u64,
    pause: Duration,
) -> AuthorizationServer {
    let lifetime = Duration::from_secs(lifetime);
    let server = AuthorizationServer::start(Rules {
        lifetime,
        delays: (Duration::from_millis(50), Duration::from_millis(50)),
    })
    .await;
    let settings = Settings {
        name: String::new(),
        server: server.url(),
        store: place.address(),
        has_refresh_token,
        pause,
        refresh_timeout: Duration::from_secs(10),
        clock: 0,
    };
    if has_refresh_token {
        place.log_in(&settings, server.log_in()).await.unwrap();
    }
    let mut fleet = Fleet::new(settings);
    fleet.start_all();
    let expiries = async {
        while server.seen().expiries < EXPIRIES {
            sleep(Duration::from_millis(20)).await;
        }
    };
    // Each comes within a lifetime; a fleet that is stuck must not hang the tests.
    let in_time = timeout(lifetime * (EXPIRIES as u32 * 2), expiries).await;
    fleet.stop().await;

    let seen = server.seen();
    print_counts(&server);
    println!(
        "{} calls, {} failed; the server: {} token requests, {} expiries, {} calls rejected",
        fleet.calls, fleet.failed, seen.token_requests, seen.expiries, seen.rejected
    );
    assert_eq!(fleet.failed, 0);
    assert_eq!(fleet.calls, seen.accepted, "each call is answered once");
    let too_early = seen.too_early.iter().min();
    assert!(
        too_early.is_none(),
        "{too_early:?} of {}",
        seen.too_early.len()
    );
    assert_eq!(seen.token_requests, 1 + seen.expiries, "one at the start");
    assert!(in_time.is_ok() && seen.expiries >= EXPIRIES, "{seen:?}");
    server
}
