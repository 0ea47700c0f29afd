//! The check common to all tests of shared tokens: each token is requested once, when
//! its predecessor is close to its expiry, and no call fails.

use std::time::Duration;

use tokio::time::{sleep, timeout};

use crate::{
    backend::Backend,
    fleet::{Fleet, print_counts},
    server::{AuthorizationServer, Rules},
    worker::Settings,
};

const EXPIRIES: u64 = 20;

/// Runs ten processes until their shared token has been replaced 20 times.
pub(crate) async fn share(
    backend: Backend,
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
        store: backend.address(),
        has_refresh_token,
        pause,
        refresh_timeout: Duration::from_secs(10),
        clock: 0,
    };
    if has_refresh_token {
        backend.log_in(&settings, server.log_in()).await.unwrap();
    }
    let mut fleet = Fleet::new(settings);
    fleet.start_all();
    let expiries = async {
        while server.seen().expiries < EXPIRIES {
            sleep(Duration::from_millis(20)).await;
        }
    };
    // Each replacement takes less than a lifetime. A stuck fleet must not hang the test.
    let in_time = timeout(lifetime * (EXPIRIES as u32 * 2), expiries).await;
    fleet.stop().await;

    let seen = server.seen();
    print_counts(&server);
    println!(
        "{} calls, {} failed; the server: {} token requests, {} expiries, {} calls rejected",
        fleet.calls, fleet.failed, seen.token_requests, seen.expiries, seen.rejected
    );
    assert_eq!(fleet.failed, 0);
    assert_eq!(fleet.calls, seen.accepted, "each call gets one response");
    let too_early = seen.too_early.iter().min();
    assert!(
        too_early.is_none(),
        "{too_early:?} of {}",
        seen.too_early.len()
    );
    assert_eq!(
        seen.token_requests,
        1 + seen.expiries,
        "one request at startup"
    );
    assert!(in_time.is_ok() && seen.expiries >= EXPIRIES, "{seen:?}");
    server
}
