//! The effects of `Replay`, and of the complete recommended stack.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    sync::atomic::{AtomicBool, Ordering::SeqCst},
    time::Duration,
};

use bytes::Bytes;
use futures::stream;
use http::Request;
use http_body::{Body, Frame};
use http_body_util::StreamBody;
use tower::{ServiceBuilder, ServiceExt, retry::Policy};
use tower_auth::{BoxError, CloneBody, NotRetried, ReplayBody, ReplayLayer};
use tower_http::{
    follow_redirect::{
        FollowRedirectLayer,
        policy::{FilterCredentials, PolicyExt, clone_body_fn},
    },
    trace::TraceLayer,
};

use crate::{
    log::leave_open,
    memory::{Api, Valid, numbered, only_api, status, why},
    retry::RetryPolicy,
};

const CHUNKS: [&str; 3] = ["one ", "two ", "three"];

fn upload() -> Request<impl Body<Data = Bytes, Error = Infallible> + Send + 'static> {
    let chunks = CHUNKS.map(|chunk| Ok(Frame::data(Bytes::from(chunk))));
    Request::put("https://api.example.com/things")
        .body(StreamBody::new(stream::iter(chunks)))
        .unwrap()
}

/// Creates an API that rejects `t1`, redirects `t2` to `/moved`, returns 503 there once, and then
/// succeeds.
fn flaky_api() -> Api {
    let valid = Valid::of(&["t2"]);
    let busy = AtomicBool::new(true);
    Api::new(move |seen| {
        let mut response = valid.answer(seen);
        if response.status() == 200 && seen.uri.path() == "/things" {
            response = status(307);
            let location = "/moved".parse().unwrap();
            response.headers_mut().insert("location", location);
        } else if response.status() == 200 && busy.swap(false, SeqCst) {
            response = status(503);
        }
        (Duration::ZERO, response)
    })
}

#[tokio::test(start_paused = true)]
async fn replay_outside_all_retrying_layers_serves_each_of_them() {
    leave_open();
    let api = flaky_api();
    let clone_body = clone_body_fn(|body: &ReplayBody<_>| body.try_clone_body());
    let service = ServiceBuilder::new()
        .layer(TraceLayer::new_for_http())
        .timeout(Duration::from_secs(30))
        .layer(ReplayLayer::new())
        .retry(RetryPolicy(1))
        .layer(FollowRedirectLayer::with_policy(
            FilterCredentials::new().and::<_, _, BoxError>(clone_body),
        ))
        .layer(only_api(numbered(Duration::from_secs(1)).0))
        .buffer(8)
        .concurrency_limit(1)
        .rate_limit(100, Duration::from_secs(1))
        .service(api.clone());
    let response = service.oneshot(upload()).await.unwrap();
    assert_eq!(response.status(), 200);
    let seen = api.seen();
    let paths: Vec<_> = seen.iter().map(|seen| seen.uri.path()).collect();
    // 401, 307, 503; then the outer retry starts over: 307, 200.
    let expected = ["/things", "/things", "/moved", "/things", "/moved"];
    assert_eq!(paths, expected);
    assert_eq!(api.tokens_seen(), ["t1", "t2", "t2", "t2", "t2"]);
    assert!(seen.iter().all(|seen| seen.body == CHUNKS.concat()));
}

/// Layers outside see the bare stream, which they cannot clone.
#[tokio::test(start_paused = true)]
async fn replay_inside_retry_serves_only_retries_after_rejections() {
    #[derive(Clone)]
    struct CannotClone;

    impl<B, R> Policy<Request<B>, R, BoxError> for CannotClone {
        type Future = Ready<()>;

        fn retry(&mut self, _: &mut Request<B>, _: &mut Result<R, BoxError>) -> Option<Ready<()>> {
            Some(ready(()))
        }

        fn clone_request(&mut self, _: &Request<B>) -> Option<Request<B>> {
            None
        }
    }

    let api = flaky_api();
    let service = ServiceBuilder::new()
        .retry(CannotClone)
        .layer(ReplayLayer::new())
        .layer(only_api(numbered(Duration::ZERO).0))
        .service(api.clone());
    assert_eq!(service.oneshot(upload()).await.unwrap().status(), 307);
    assert_eq!(api.tokens_seen(), ["t1", "t2"]);
    assert!(api.seen().iter().all(|seen| seen.body == CHUNKS.concat()));
}

/// P31: over the cap, the 401 is returned and neither layer retries.
#[tokio::test(start_paused = true)]
async fn replay_over_its_cap_prevents_every_retry_below() {
    let api = flaky_api();
    let service = ServiceBuilder::new()
        .layer(ReplayLayer::new().cap(4))
        .retry(RetryPolicy(1))
        .layer(only_api(numbered(Duration::ZERO).0))
        .service(api.clone());
    let response = service.oneshot(upload()).await.unwrap();
    assert_eq!(response.status(), 401);
    assert!(matches!(
        why(&response),
        Some(NotRetried::BodyNotReplayable)
    ));
    assert_eq!(api.seen().len(), 1);
    assert_eq!(api.seen()[0].body, CHUNKS.concat());
}
