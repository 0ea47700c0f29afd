//! The effects of `Timeout`, outside and inside the layer.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use tower::{ServiceBuilder, timeout::error::Elapsed};

use crate::memory::{Api, Valid, get, numbered, only_api, send};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn timeout_outside_ends_the_wait_but_not_the_refresh() {
    let api = Api::accepting(&Valid::of(&["t1"]));
    let (provider, calls) = numbered(3 * SECOND);
    let service = ServiceBuilder::new()
        .timeout(SECOND)
        .layer(only_api(provider))
        .service(api.clone());
    let start = Instant::now();
    let error = send(&service, get()).await.unwrap_err();
    assert!(error.is::<Elapsed>(), "{error:#}");
    assert_eq!(start.elapsed(), SECOND);
    assert!(api.seen().is_empty());

    sleep(2 * SECOND).await;
    assert_eq!(send(&service, get()).await.unwrap().status(), 200);
    assert_eq!(
        start.elapsed(),
        3 * SECOND,
        "the second call waited for a new token"
    );
    assert_eq!(calls.load(std::sync::atomic::Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn timeout_outside_bounds_the_call_including_its_retry() {
    let valid = Valid::of(&["t2"]);
    let api = Api::new(move |seen| (SECOND, valid.answer(seen)));
    let (provider, _) = numbered(SECOND);
    let service = ServiceBuilder::new()
        .timeout(Duration::from_millis(3500))
        .layer(only_api(provider))
        .service(api.clone());
    let start = Instant::now();
    assert!(send(&service, get()).await.unwrap_err().is::<Elapsed>());
    assert_eq!(start.elapsed(), Duration::from_millis(3500));
    assert_eq!(
        api.tokens_seen(),
        ["t1", "t2"],
        "not timed out during the retry"
    );
}

#[tokio::test(start_paused = true)]
async fn timeout_inside_bounds_each_attempt_but_not_the_wait() {
    let valid = Valid::of(&["t2"]);
    let api = Api::new(move |seen| {
        let slow = if seen.headers.contains_key("slow") {
            2
        } else {
            1
        };
        (slow * Duration::from_millis(800), valid.answer(seen))
    });
    let (provider, _) = numbered(3 * SECOND);
    let service = ServiceBuilder::new()
        .layer(only_api(provider))
        .timeout(SECOND)
        .service(api.clone());
    let start = Instant::now();
    assert_eq!(send(&service, get()).await.unwrap().status(), 200);
    assert_eq!(api.tokens_seen(), ["t1", "t2"]);
    assert_eq!(start.elapsed(), 2 * Duration::from_millis(3800));

    let mut slow = get();
    slow.headers_mut().insert("slow", "1".parse().unwrap());
    assert!(send(&service, slow).await.unwrap_err().is::<Elapsed>());
}
