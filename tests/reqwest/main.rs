//! reqwest and reqwest-middleware, with real servers over loopback.

#[path = "../real_http/servers.rs"]
#[allow(dead_code, reason = "the tests of hyper's client use more of it")]
mod servers;

use std::{
    sync::{Arc, Mutex, atomic::Ordering::SeqCst},
    time::Duration,
};

use bytes::Bytes;
use futures::stream;
use http::Request;
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use reqwest_retry::{RetryTransientMiddleware, policies::ExponentialBackoff};
use tokio::task::JoinSet;
use tower::{Layer, ServiceExt};
use tower_auth::{
    AuthLayer, Error, NotAttached, NotRetried, Origins, ReplayLayer, SkipAuth,
    client::{ReqwestService, same_origin_redirects, token_client},
    credential::{ApiKey, Bearer},
    oauth2::ClientCredentials,
};

use servers::{Server, Tokens, Trouble, text};

fn layer(server: &Server) -> AuthLayer<ClientCredentials> {
    let provider = ClientCredentials::builder(format!("{}/oauth/token", server.url()))
        .client_id("me")
        .client_secret("secret")
        .http(token_client(reqwest::Client::builder()).unwrap())
        .build()
        .unwrap();
    AuthLayer::new(provider, Origins::only(server.url()).unwrap())
}

fn with_middleware(layer: &AuthLayer<ClientCredentials>) -> ClientWithMiddleware {
    ClientBuilder::new(reqwest::Client::new())
        .with(layer.middleware())
        .build()
}

async fn servers() -> (Arc<Tokens>, Server) {
    let tokens = Arc::new(Tokens::default());
    let server = tokens.server().await;
    (tokens, server)
}

#[tokio::test]
async fn a_tower_stack_can_end_in_a_reqwest_client() {
    let (tokens, server) = servers().await;
    let service = layer(&server).layer(ReqwestService::new(reqwest::Client::new()));
    for asked in [1, 2] {
        let mut calls = JoinSet::new();
        for _ in 0..200 {
            let request = Request::post(server.url())
                .body(Full::<Bytes>::from("some data"))
                .unwrap();
            calls.spawn(service.clone().oneshot(request));
        }
        for response in calls.join_all().await {
            let response = response.unwrap();
            assert_eq!(response.status(), 200);
            let body = response.into_body().collect().await.unwrap().to_bytes();
            assert_eq!(body, Bytes::from("welcome"));
        }
        assert_eq!(tokens.asked(), asked);
        tokens.revoke();
    }
}

#[tokio::test]
async fn a_stream_is_replayed_through_a_reqwest_client() {
    let (tokens, server) = servers().await;
    let layer = layer(&server);
    let service =
        ReplayLayer::new().layer(layer.layer(ReqwestService::new(reqwest::Client::new())));
    let upload = || {
        let chunks =
            ["a", "b", "c"].map(|chunk| Ok::<_, std::io::Error>(Frame::data(chunk.into())));
        let body = StreamBody::new(stream::iter::<[Result<Frame<Bytes>, _>; 3]>(chunks));
        Request::put(server.url()).body(body).unwrap()
    };
    assert_eq!(
        service.clone().oneshot(upload()).await.unwrap().status(),
        200
    );
    tokens.revoke();
    assert_eq!(
        service.clone().oneshot(upload()).await.unwrap().status(),
        200
    );
    assert_eq!((tokens.asked(), tokens.rejections.load(SeqCst)), (2, 1));
}

#[tokio::test]
async fn a_uri_that_reqwest_refuses_is_its_error() {
    let service = ReqwestService::new(reqwest::Client::new());
    let error = service
        .oneshot(Request::get("/relative").body(String::new()).unwrap())
        .await;
    assert!(error.unwrap_err().is_builder());
}

/// P13.
#[tokio::test]
async fn the_token_client_follows_no_redirects() {
    let (tokens, server) = servers().await;
    tokens.trouble(Trouble::Redirect);
    let client = with_middleware(&layer(&server));
    let error = client.get(server.url()).send().await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("a redirect, which is not followed"),
        "{error}"
    );
    assert_eq!(tokens.asked(), 1);
}

/// P1, P14.
#[tokio::test]
async fn the_middleware_shares_one_refresh_among_all_callers() {
    let (tokens, server) = servers().await;
    let client = with_middleware(&layer(&server));
    for asked in [1, 2] {
        let mut calls = JoinSet::new();
        for _ in 0..500 {
            calls.spawn(client.get(server.url()).body("data").send());
        }
        for response in calls.join_all().await {
            assert_eq!(response.unwrap().status(), 200);
        }
        assert_eq!(tokens.asked(), asked);
        tokens.revoke();
    }
}

#[tokio::test]
async fn the_middleware_sends_a_stream_once_and_renews_the_token_for_the_next() {
    let (tokens, server) = servers().await;
    let client = with_middleware(&layer(&server));
    client.get(server.url()).send().await.unwrap();
    tokens.revoke();
    let upload = || {
        reqwest::Body::wrap(StreamBody::new(stream::iter([Ok::<_, std::io::Error>(
            Frame::data(Bytes::from("data")),
        )])))
    };
    let response = client
        .put(server.url())
        .body(upload())
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 401);
    let why = response.extensions().get();
    assert!(
        matches!(why, Some(NotRetried::BodyNotReplayable)),
        "{why:?}"
    );
    while client
        .put(server.url())
        .body(upload())
        .send()
        .await
        .unwrap()
        .status()
        != 200
    {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(tokens.asked(), 2);
}

/// P21.
#[tokio::test]
async fn the_middleware_leaves_alone_what_needs_no_credential() {
    let (tokens, server) = servers().await;
    let (_, other) = servers().await;
    let client = with_middleware(&layer(&server));
    let not_attached = async |request: reqwest_middleware::RequestBuilder| {
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 401);
        *response.extensions().get::<NotAttached>().unwrap()
    };
    let own = client
        .get(server.url())
        .header("authorization", "Bearer mine");
    assert_eq!(not_attached(own).await, NotAttached::AlreadyPresent);
    let marked = client.get(server.url()).with_extension(SkipAuth);
    assert_eq!(not_attached(marked).await, NotAttached::Skipped);
    assert_eq!(
        not_attached(client.get(other.url())).await,
        NotAttached::OtherOrigin
    );
    assert_eq!(tokens.asked(), 0);
}

#[tokio::test]
async fn an_error_of_the_middleware_is_found_by_downcasting() {
    let (tokens, server) = servers().await;
    tokens.trouble(Trouble::Status(401, r#"{"error":"invalid_client"}"#));
    let client = with_middleware(&layer(&server));
    match client.get(server.url()).send().await.unwrap_err() {
        reqwest_middleware::Error::Middleware(error) => {
            assert!(error.downcast_ref::<Error>().unwrap().is_provider());
        }
        other => panic!("{other}"),
    }
}

/// P22.
#[tokio::test]
async fn the_middleware_puts_a_key_into_the_query() {
    let queries = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&queries);
    let server = Server::start(move |request| {
        seen.lock()
            .unwrap()
            .push(request.uri().query().map(str::to_owned));
        Box::pin(async { text(200, "") })
    })
    .await;
    let origins = Origins::only(server.url()).unwrap();
    let layer = AuthLayer::new(ApiKey::query("key", "k&y").unwrap(), origins);
    let client = ClientBuilder::new(reqwest::Client::new())
        .with(layer.middleware())
        .build();
    client
        .get(format!("{}/?a=b%20c", server.url()))
        .send()
        .await
        .unwrap();
    assert_eq!(
        *queries.lock().unwrap(),
        [Some("a=b%20c&key=k%26y".to_owned())]
    );
}

/// The right order: the retry is outside, so each try goes out with the credential of then.
#[tokio::test]
async fn a_retry_middleware_outside_sends_the_credential_of_then() {
    let (tokens, server) = servers().await;
    tokens.trouble(Trouble::Status(503, "busy"));
    let backoff = ExponentialBackoff::builder()
        .retry_bounds(Duration::from_millis(600), Duration::from_millis(700))
        .build_with_max_retries(3);
    let client = ClientBuilder::new(reqwest::Client::new())
        .with(RetryTransientMiddleware::new_with_policy_and_strategy(
            backoff, EveryError,
        ))
        .with(layer(&server).middleware())
        .build();
    assert_eq!(client.get(server.url()).send().await.unwrap().status(), 200);
    assert_eq!(tokens.asked(), 2);
}

/// reqwest-retry's own strategy takes errors of a middleware for final ones.
struct EveryError;

impl reqwest_retry::RetryableStrategy for EveryError {
    fn handle(
        &self,
        outcome: &Result<reqwest::Response, reqwest_middleware::Error>,
    ) -> Option<reqwest_retry::Retryable> {
        match outcome {
            Ok(response) => reqwest_retry::default_on_request_success(response),
            Err(_) => Some(reqwest_retry::Retryable::Transient),
        }
    }
}

/// A server that redirects to another origin, and what that one gets to see.
async fn redirecting() -> (Server, Server, Arc<Mutex<Vec<http::HeaderMap>>>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let headers = Arc::clone(&seen);
    let elsewhere = Server::start(move |request| {
        headers.lock().unwrap().push(request.headers().clone());
        Box::pin(async { text(200, "") })
    })
    .await;
    let url = elsewhere.url();
    let api = Server::start(move |request| {
        let target = match request.uri().path() {
            "/within" => "/end".to_owned(),
            "/end" => return Box::pin(async { text(200, "") }),
            _ => url.clone(),
        };
        Box::pin(async move {
            let mut response = text(302, "");
            response
                .headers_mut()
                .insert("location", target.parse().unwrap());
            response
        })
    })
    .await;
    (api, elsewhere, seen)
}

/// The footgun: what reqwest takes along when it follows a redirect beneath the layer.
#[tokio::test]
async fn reqwest_takes_a_key_in_its_own_header_to_wherever_a_redirect_leads() {
    let (api, _elsewhere, seen) = redirecting().await;
    let origins = Origins::only(api.url()).unwrap();
    let key = AuthLayer::new(ApiKey::header("x-api-key", "key").unwrap(), origins.clone());
    let token = AuthLayer::new(Bearer::new("token").unwrap(), origins);
    let client = ReqwestService::new(reqwest::Client::new());
    let request = || Request::get(api.url()).body(String::new()).unwrap();
    key.layer(client.clone()).oneshot(request()).await.unwrap();
    token.layer(client).oneshot(request()).await.unwrap();
    let seen = seen.lock().unwrap();
    assert_eq!(seen[0]["x-api-key"], "key", "leaked");
    assert!(
        !seen[1].contains_key("authorization"),
        "this one reqwest takes off"
    );
}

/// P34.
#[tokio::test]
async fn same_origin_redirects_take_nothing_to_another_origin() {
    let (api, _elsewhere, seen) = redirecting().await;
    let origins = Origins::only(api.url()).unwrap();
    let layer = AuthLayer::new(ApiKey::header("x-api-key", "key").unwrap(), origins);
    let client = reqwest::Client::builder()
        .redirect(same_origin_redirects())
        .build()
        .unwrap();
    let service = layer.layer(ReqwestService::new(client));
    let status = async |path: &str| {
        let request = Request::get(format!("{}{path}", api.url()))
            .body(String::new())
            .unwrap();
        service.clone().oneshot(request).await.unwrap().status()
    };
    assert_eq!(status("/within").await, 200, "followed");
    assert_eq!(status("/").await, 302, "handed over");
    assert!(seen.lock().unwrap().is_empty());
}
