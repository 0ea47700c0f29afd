//! `Replay`, and the recommended stack as a whole.

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
    retry::Patient,
};

const CHUNKS: [&str; 3] = ["any ", "stream ", "at all"];

fn upload() -> Request<impl Body<Data = Bytes, Error = Infallible> + Send + 'static> {
    let chunks = CHUNKS.map(|chunk| Ok(Frame::data(Bytes::from(chunk))));
    Request::put("https://api.example.com/things")
        .body(StreamBody::new(stream::iter(chunks)))
        .unwrap()
}

/// Rejects the first token, sends the second elsewhere, is busy there once, and then content.
fn demanding() -> Api {
    let valid = Valid::of(&["t2"]);
    let busy = AtomicBool::new(true);
    Api::new(move |seen| {
        let mut answer = valid.answer(seen);
        if answer.status() == 200 && seen.uri.path() == "/things" {
            answer = status(307);
            let location = "/moved".parse().unwrap();
            answer.headers_mut().insert("location", location);
        } else if answer.status() == 200 && busy.swap(false, SeqCst) {
            answer = status(503);
        }
        (Duration::ZERO, answer)
    })
}

#[tokio::test(start_paused = true)]
async fn replay_outside_of_all_that_send_again_serves_a_stream_to_all_of_them() {
    leave_open();
    let api = demanding();
    let clone_body = clone_body_fn(|body: &ReplayBody<_>| body.try_clone_body());
    let service = ServiceBuilder::new()
        .layer(TraceLayer::new_for_http())
        .timeout(Duration::from_secs(30))
        .layer(ReplayLayer::new())
        .retry(Patient(1))
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
    // Rejected, redirected, busy; then from the start: redirected, done.
    let expected = ["/things", "/things", "/moved", "/things", "/moved"];
    assert_eq!(paths, expected);
    assert_eq!(api.tokens_seen(), ["t1", "t2", "t2", "t2", "t2"]);
    assert!(seen.iter().all(|seen| seen.body == CHUNKS.concat()));
}

/// What is above sees the stream, which it cannot clone.
#[tokio::test(start_paused = true)]
async fn replay_inside_of_retry_serves_only_the_retry_after_a_rejection() {
    #[derive(Clone)]
    struct Unable;

    impl<B, R> Policy<Request<B>, R, BoxError> for Unable {
        type Future = Ready<()>;

        fn retry(&mut self, _: &mut Request<B>, _: &mut Result<R, BoxError>) -> Option<Ready<()>> {
            Some(ready(()))
        }

        fn clone_request(&mut self, _: &Request<B>) -> Option<Request<B>> {
            None
        }
    }

    let api = demanding();
    let service = ServiceBuilder::new()
        .retry(Unable)
        .layer(ReplayLayer::new())
        .layer(only_api(numbered(Duration::ZERO).0))
        .service(api.clone());
    assert_eq!(service.oneshot(upload()).await.unwrap().status(), 307);
    assert_eq!(api.tokens_seen(), ["t1", "t2"]);
    assert!(api.seen().iter().all(|seen| seen.body == CHUNKS.concat()));
}

/// P31: beyond the cap each of them lets the answer stand.
#[tokio::test(start_paused = true)]
async fn replay_beyond_its_cap_sends_once_whatever_is_below() {
    let api = demanding();
    let service = ServiceBuilder::new()
        .layer(ReplayLayer::new().cap(4))
        .retry(Patient(1))
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
