//! The `tracing` feature.

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

/// Returns the only line that contains this text.
fn line(log: &Log, text: &str) -> String {
    let all = log.text();
    let mut lines = all.lines().filter(|line| line.contains(text));
    match (lines.next(), lines.next()) {
        (Some(line), None) => line.to_owned(),
        _ => panic!("not one line with `{text}`:\n{all}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_refresh_is_one_span_for_all_waiters() {
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
    // The event is within the refresh's span, but not within the span of the caller that started
    // the refresh.
    let work = line(&log, "the provider is at work");
    assert!(
        work.contains("refresh{") && !work.contains("the_caller"),
        "{work}"
    );
    // Nothing else is logged at this level. The third line is the caller's own.
    assert_eq!(log.text().lines().count(), 3, "{}", log.text());
}

#[tokio::test(start_paused = true)]
async fn a_failure_reports_its_error_and_the_next_attempt() {
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
        let event = line(&log, "a refresh failed");
        assert!(event.trim_start().starts_with(level), "{event}");
        assert!(event.contains("no luck"), "{event}");
        assert!(event.contains(&format!("error_type=\"{kind}\"")), "{event}");
        let has_next = event.contains("retry_in_ms=");
        assert_eq!(has_next, kind != "login_required", "{event}");
        assert!(line(&log, "close").contains(&format!("error.type=\"{kind}\"")));
    }
}

#[tokio::test(start_paused = true)]
async fn a_hanging_provider_is_reported_as_a_timeout() {
    let (log, _guard) = Log::listen(Level::INFO);
    let settings = RefreshSettings::default().refresh_timeout(Duration::from_millis(10));
    let api = layer_with(slow(), settings);
    call(&api.layer(welcoming())).await.unwrap_err();
    let event = line(&log, "a refresh failed");
    assert!(
        event.contains("WARN") && event.contains("error_type=\"timeout\""),
        "{event}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_retry_is_reported_at_debug() {
    let (log, _guard) = Log::listen(Level::DEBUG);
    let api = layer(slow()).layer(Api::accepting(&Valid::of(&["t2"])));
    assert_eq!(call(&api).await.unwrap().status(), 200);
    let event = line(&log, "a rejected request is retried");
    assert!(
        event.contains("DEBUG") && event.contains("generation=2"),
        "{event}"
    );
    assert!(log.text().contains("reason=rejected"));
}

/// Under load, an event per request would drown everything else.
#[tokio::test(start_paused = true)]
async fn repeated_rejections_cause_one_warning() {
    let (log, _guard) = Log::listen(Level::WARN);
    let api = layer(slow()).layer(hostile());
    for _ in 0..100 {
        assert_eq!(call(&api).await.unwrap().status(), 401);
    }
    let event = line(&log, "are delayed");
    assert!(event.contains("name=\"billing\" retry_in_ms="), "{event}");
    assert_eq!(log.text().lines().count(), 1, "{}", log.text());
}

#[tokio::test(start_paused = true)]
async fn a_token_request_reports_its_status() {
    let (log, _guard) = Log::listen(Level::DEBUG);
    let api = layer(machine(200, TOKEN)).layer(welcoming());
    call(&api).await.unwrap();
    let event = line(&log, "a token request");
    for part in [
        "refresh{",
        "endpoint=\"token\"",
        "server.address=\"login.example.com\"",
        "http.response.status_code=200",
    ] {
        assert!(event.contains(part), "{part}: {event}");
    }
}

/// P42: the log shows for how long a restart would lose the tokens.
#[tokio::test(start_paused = true)]
async fn a_failed_save_and_its_recovery_are_reported() {
    let (log, _guard) = Log::listen(Level::INFO);
    let store = Faulty::default();
    store.fail([Saving]);
    let api = layer(stored(store.clone())).layer(welcoming());
    assert_eq!(call(&api).await.unwrap().status(), 200);
    assert!(line(&log, "could not be saved").contains("WARN"));
    store.fail([]);
    sleep(Duration::from_secs(2)).await;
    assert!(line(&log, "after earlier failures").contains("INFO"));
}
