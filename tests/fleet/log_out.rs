//! One process logs out, and no other process restores the tokens.

use std::time::Duration;

use tokio::time::{sleep, timeout};

use crate::{
    EXCLUSIVE,
    backend::Backend,
    fleet::{Fleet, PROCESSES},
    server::{AuthorizationServer, Rules},
    worker::{LOG_OUT, RESUME, Settings},
};

const ROUNDS: usize = 4;
const ELSEWHERE: &str = "log in: logged out elsewhere";

/// Checks P12 and P58.
#[tokio::test(flavor = "multi_thread")]
async fn a_logout_applies_to_all_processes_with_a_file() {
    log_out_repeatedly(Backend::file()).await;
}

/// Checks P12 and P58.
#[cfg(feature = "redis")]
#[tokio::test(flavor = "multi_thread")]
async fn a_logout_applies_to_all_processes_with_redis() {
    if let Some(backend) = Backend::redis() {
        log_out_repeatedly(backend).await;
    }
}

async fn log_out_repeatedly(backend: Backend) {
    let _exclusive = EXCLUSIVE.lock().await;
    let server = AuthorizationServer::start(Rules {
        lifetime: Duration::from_secs(2),
        delays: (Duration::from_millis(300), Duration::from_millis(300)),
    })
    .await;
    let settings = Settings {
        name: String::new(),
        server: server.url(),
        store: backend.address(),
        has_refresh_token: true,
        pause: Duration::from_millis(300),
        refresh_timeout: Duration::from_secs(10),
        clock: 0,
    };
    let mut fleet = Fleet::new(settings.clone());
    let mut in_flight = 0;
    for round in 0..ROUNDS {
        backend.log_in(&settings, server.log_in()).await.unwrap();
        fleet.messages.clear();
        match round {
            0 => fleet.start_all(),
            _ => fleet.send_to_all(RESUME).await,
        }
        let before = server.seen().token_requests;
        // In every other round, a refresh is in flight. In the remaining rounds, one has just
        // ended.
        wait(|| {
            let fetched = server.seen().token_requests - before;
            fetched >= 2 && server.is_busy() == (round % 2 == 0)
        })
        .await;
        in_flight += usize::from(server.is_busy());
        let name = fastrand::usize(..PROCESSES).to_string();
        fleet.send(&name, LOG_OUT).await;
        wait(|| {
            fleet.listen();
            fleet.has_reported(&name, "logged out") && fleet.count(ELSEWHERE) == PROCESSES - 1
        })
        .await;

        assert!(!server.is_logged_in(), "no refresh token can be spent");
        let stored = backend.stored(&settings).await.unwrap();
        assert_eq!((stored.tokens, stored.intent), (None, None));
        let accepted = server.seen().accepted;
        sleep(settings.pause * 2).await;
        assert_eq!(
            server.seen().accepted,
            accepted,
            "no call carries a valid token"
        );
        let stored = backend.stored(&settings).await.unwrap();
        assert!(stored.tokens.is_none() && !server.is_logged_in());
    }
    fleet.stop().await;
    let seen = server.seen();
    println!(
        "{ROUNDS} logouts, {in_flight} of them during a refresh; {} revocations; {} token \
         requests",
        seen.revocations, seen.token_requests
    );
    assert!(seen.reused.is_empty(), "{seen:?}");
}

async fn wait(mut holds: impl FnMut() -> bool) {
    let held = timeout(Duration::from_secs(30), async {
        while !holds() {
            sleep(Duration::from_millis(2)).await;
        }
    });
    held.await.expect("the condition holds within 30 s");
}
