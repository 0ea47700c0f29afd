//! Feature `tracing`.

use std::time::Duration;

use tokio::time::sleep;
use tower::Layer;
use tower_auth::{ProviderError, RefreshSettings};
use tracing::Level;

use crate::{
    faulty::{Faulty, Saving},
    log::Log,
    memory::{Api, Valid},
    watched::{
        TOKEN, call, call_all, failing, hostile, layer, layer_with, machine, slow, stored,
        welcoming,
    },
};

/// The only line with this text.
fn line(log: &Log, text: &str) -> String {
    let all = log.text();
    let mut lines = all.lines().filter(|line| line.contains(text));
    match (lines.next(), lines.next()) {
        (Some(line), None) => line.to_owned(),
        _ => panic!("not one line with `{text}`:\n{all}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_refresh_is_one_span_for_all_who_wait_for_it() {
    let (log, _guard) = Log::listen(Level::INFO);
    let span = tracing::info_span!("the_caller");
    let api = layer(slow()).layer(welcoming());
    tracing::Instrument::instrument(call_all(&api, 100), span).await;
    let closed = line(&log, "tower_auth: close");
    for part in [
        "INFO refresh{name=\"billing\" reason=initial",
        "outcome=\"success\"",
        "waiters=100",
        "duration_ms=1000",
        "generation=1",
    ] {
        assert!(closed.contains(part), "{part}: {closed}");
    }
    // Within the refresh, and outside of the one caller who started it.
    let work = line(&log, "the provider is at work");
    assert!(
        work.contains("refresh{") && !work.contains("the_caller"),
        "{work}"
    );
    // Nothing else is of interest to who runs it. The third is the caller's own.
    assert_eq!(log.text().lines().count(), 3, "{}", log.text());
}

#[tokio::test(start_paused = true)]
async fn a_failure_tells_its_error_and_the_next_attempt() {
    for (error, level, kind) in [
        (ProviderError::transient as fn(_) -> _, "WARN", "transient"),
        (ProviderError::permanent, "ERROR", "permanent"),
        (ProviderError::login_required, "ERROR", "login_required"),
    ] {
        let (log, _guard) = Log::listen(Level::INFO);
        let api = layer(failing(error)).layer(welcoming());
        for _ in 0..3 {
            call(&api).await.unwrap_err();
        }
        let told = line(&log, "the refresh failed");
        assert!(told.trim_start().starts_with(level), "{told}");
        assert!(told.contains("no luck"), "{told}");
        assert!(told.contains(&format!("error_type=\"{kind}\"")), "{told}");
        let has_next = told.contains("retry_in_ms=");
        assert_eq!(has_next, kind != "login_required", "{told}");
        assert!(line(&log, "close").contains(&format!("error.type=\"{kind}\"")));
    }
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_hangs_is_told_as_a_timeout() {
    let (log, _guard) = Log::listen(Level::INFO);
    let settings = RefreshSettings::default().refresh_timeout(Duration::from_millis(10));
    let api = layer_with(slow(), settings);
    call(&api.layer(welcoming())).await.unwrap_err();
    let told = line(&log, "the refresh failed");
    assert!(
        told.contains("WARN") && told.contains("error_type=\"timeout\""),
        "{told}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_retry_is_told_to_those_who_look_for_it() {
    let (log, _guard) = Log::listen(Level::DEBUG);
    let api = layer(slow()).layer(Api::accepting(&Valid::of(&["t2"])));
    assert_eq!(call(&api).await.unwrap().status(), 200);
    let told = line(&log, "sending again after a rejection");
    assert!(
        told.contains("DEBUG") && told.contains("generation=2"),
        "{told}"
    );
    assert!(log.text().contains("reason=rejected"));
}

/// Under load, what is told once each request would drown all else.
#[tokio::test(start_paused = true)]
async fn endless_rejections_are_warned_of_once() {
    let (log, _guard) = Log::listen(Level::WARN);
    let api = layer(slow()).layer(hostile());
    for _ in 0..100 {
        assert_eq!(call(&api).await.unwrap().status(), 401);
    }
    let told = line(&log, "held back");
    assert!(told.contains("name=\"billing\" retry_in_ms="), "{told}");
    assert_eq!(log.text().lines().count(), 1, "{}", log.text());
}

#[tokio::test(start_paused = true)]
async fn token_requests_are_told_with_their_status() {
    let (log, _guard) = Log::listen(Level::DEBUG);
    let api = layer(machine(200, TOKEN)).layer(welcoming());
    call(&api).await.unwrap();
    let told = line(&log, "token request");
    for part in [
        "refresh{",
        "endpoint=\"token\"",
        "server.address=\"login.example.com\"",
        "http.response.status_code=200",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
}

/// P42: who reads the log learns that a restart would now lose the tokens, and when that is over.
#[tokio::test(start_paused = true)]
async fn tokens_that_cannot_be_saved_are_warned_of() {
    let (log, _guard) = Log::listen(Level::INFO);
    let store = Faulty::default();
    store.fail([Saving]);
    let api = layer(stored(store.clone())).layer(welcoming());
    assert_eq!(call(&api).await.unwrap().status(), 200);
    assert!(line(&log, "could not be saved").contains("WARN"));
    store.fail([]);
    sleep(Duration::from_secs(2)).await;
    assert!(line(&log, "saved after all").contains("INFO"));
}
