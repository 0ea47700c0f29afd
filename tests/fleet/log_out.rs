//! One process logs out, and no other brings the tokens back.

use std::time::Duration;

use tokio::time::{sleep, timeout};

use crate::{
    LANE,
    fleet::{Fleet, PROCESSES},
    place::Place,
    server::{AuthorizationServer, Rules},
    worker::{LOG_OUT, RESUME, Settings},
};

const ROUNDS: usize = 4;
const ELSEWHERE: &str = "log in: logged out elsewhere";

/// P12, P58.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_out_is_for_all_processes_with_a_file() {
    log_out_again_and_again(Place::file()).await;
}

/// P12, P58.
#[cfg(feature = "redis")]
#[tokio::test(flavor = "multi_thread")]
async fn a_log_out_is_for_all_processes_with_redis() {
    if let Some(place) = Place::redis() {
        log_out_again_and_again(place).await;
    }
}

async fn log_out_again_and_again(place: Place) {
    let _lane = LANE.lock().await;
    let server = AuthorizationServer::start(Rules {
        lifetime: Duration::from_secs(2),
        delays: (Duration::from_millis(300), Duration::from_millis(300)),
    })
    .await;
    let settings = Settings {
        name: String::new(),
        server: server.url(),
        store: place.address(),
        has_refresh_token: true,
        pause: Duration::from_millis(300),
        refresh_timeout: Duration::from_secs(10),
        clock: 0,
    };
    let mut fleet = Fleet::new(settings.clone());
    let mut under_way = 0;
    for round in 0..ROUNDS {
        place.log_in(&settings, server.log_in()).await.unwrap();
        fleet.told.clear();
        match round {
            0 => fleet.start_all(),
            _ => fleet.say_to_all(RESUME).await,
        }
        let before = server.seen().token_requests;
        // In every other round a refresh is under way; in the others it has just ended.
        wait(|| {
            let fetched = server.seen().token_requests - before;
            fetched >= 2 && server.is_at_work() == (round % 2 == 0)
        })
        .await;
        under_way += usize::from(server.is_at_work());
        let name = fastrand::usize(..PROCESSES).to_string();
        fleet.say(&name, LOG_OUT).await;
        wait(|| {
            fleet.listen();
            fleet.has_told(&name, "logged out") && fleet.count(ELSEWHERE) == PROCESSES - 1
        })
        .await;

        assert!(!server.is_logged_in(), "nothing can be spent any more");
        let stored = place.stored(&settings).await.unwrap();
        assert_eq!((stored.tokens, stored.intent), (None, None));
        let accepted = server.seen().accepted;
        sleep(settings.pause * 2).await;
        assert_eq!(server.seen().accepted, accepted, "no call has a token");
        let stored = place.stored(&settings).await.unwrap();
        assert!(stored.tokens.is_none() && !server.is_logged_in());
    }
    fleet.stop().await;
    let seen = server.seen();
    println!(
        "{ROUNDS} log-outs, {under_way} of them during a refresh; {} revocations; {} token \
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
    held.await.expect("it comes to that");
}
