//! reqwest at the end of a tower stack.

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use tokio::task::JoinSet;
use tower::{Layer, ServiceBuilder, ServiceExt};
use tower_auth::{
    AuthLayer, NotAttached, NotRetried, Origins, ReplayLayer,
    oauth2::ClientCredentials,
    reqwest::{ReqwestService, token_client},
};

use crate::server::{Server, World, chunked_401, numbered, ok, redirect, streaming, within};

fn get(url: &str) -> Request<Full<Bytes>> {
    Request::get(url).body(Full::default()).unwrap()
}

fn client() -> ReqwestService {
    ReqwestService::new(reqwest::Client::new())
}

/// P1, P14: with a cold cache, and after a revocation.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_callers_share_one_token_request_and_see_no_401() {
    let world = World::new().await;
    let service = ServiceBuilder::new()
        .layer(world.layer())
        .concurrency_limit(100)
        .service(client());
    for token_requests in [1, 2] {
        let mut callers = JoinSet::new();
        for _ in 0..1000 {
            let call = service.clone().oneshot(get(&world.api.url("/things")));
            callers.spawn(within(call));
        }
        for response in callers.join_all().await {
            assert_eq!(response.unwrap().status(), 200);
        }
        assert_eq!(world.tokens.seen().len(), token_requests);
        world.revoke();
    }
}

#[tokio::test]
async fn reqwest_errors_are_returned_unchanged() {
    let error = client().oneshot(get("/things")).await.unwrap_err();
    assert!(error.is_builder(), "{error:?}");

    let service = ServiceBuilder::new()
        .layer(AuthLayer::new(
            numbered(),
            Origins::only("http://127.0.0.1:1").unwrap(),
        ))
        .service(client());
    let error = service.oneshot(get("http://127.0.0.1:1/")).await;
    let error = error.unwrap_err().downcast::<reqwest::Error>().unwrap();
    assert!(error.is_connect(), "{error:?}");
}

/// P23, P28: an exact size is sent as the content length, in the retry too.
#[tokio::test]
async fn the_body_size_determines_the_framing_of_every_attempt() {
    let world = World::new().await;
    let service = ServiceBuilder::new()
        .layer(ReplayLayer::new())
        .layer(world.layer())
        .service(client());
    let url = world.api.url("/things");
    let empty = within(service.clone().oneshot(get(&url))).await.unwrap();
    assert_eq!(empty.status(), 200);
    world.revoke();
    let sized = Request::post(&url).body(Full::new(Bytes::from("four")));
    let sized = within(service.clone().oneshot(sized.unwrap())).await;
    assert_eq!(sized.unwrap().status(), 200);
    world.revoke();
    // reqwest requires a `Sync` body. `ReqwestService` also accepts others.
    let stream = Request::post(&url).body(streaming(&["fo", "ur"]).boxed_unsync());
    let stream = within(service.clone().oneshot(stream.unwrap())).await;
    assert_eq!(stream.unwrap().status(), 200);

    let seen = world.api.seen();
    let framing: Vec<_> = seen
        .iter()
        .map(|seen| {
            (
                seen.header("content-length"),
                seen.header("transfer-encoding"),
                &*seen.body,
            )
        })
        .collect();
    let sized = (Some("4"), None, &b"four"[..]);
    let chunked = (None, Some("chunked"), &b"four"[..]);
    assert_eq!(
        framing,
        [(None, None, &b""[..]), sized, sized, chunked, chunked]
    );
}

#[tokio::test]
async fn only_buffered_reqwest_bodies_are_retried() {
    let world = World::new().await;
    let service = ServiceBuilder::new().layer(world.layer()).service(client());
    let post = |body| {
        let request = Request::post(world.api.url("/things")).body(body).unwrap();
        within(service.clone().oneshot(request))
    };
    assert_eq!(post("warm".into()).await.unwrap().status(), 200);

    world.revoke();
    assert_eq!(post("buffered".into()).await.unwrap().status(), 200);
    world.revoke();
    let stream = reqwest::Body::wrap(streaming(&["str", "eam"]));
    let response = post(stream).await.unwrap();
    assert_eq!(response.status(), 401);
    assert!(matches!(
        response.extensions().get(),
        Some(NotRetried::BodyNotReplayable)
    ));
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, "status 401");

    let seen = world.api.seen();
    let bodies: Vec<_> = seen.iter().map(|seen| &*seen.body).collect();
    assert_eq!(bodies, [&b"warm"[..], b"buffered", b"buffered", b"stream"]);
}

#[tokio::test]
async fn another_origin_gets_no_credential() {
    let world = World::new().await;
    let other = Server::start(|_| ok("")).await;
    let service = world.layer().layer(client());
    let response = within(service.oneshot(get(&other.url("/")))).await.unwrap();
    assert_eq!(response.extensions().get(), Some(&NotAttached::OtherOrigin));
    assert_eq!(other.tokens_seen(), ["none"]);
    assert!(world.tokens.seen().is_empty());
}

/// P33.
#[tokio::test]
async fn the_connection_of_a_rejection_is_reused() {
    let api = Server::start(|seen| match seen.token() {
        Some("t2") => ok(""),
        _ => chunked_401(60 * 1024),
    })
    .await;
    let client = client();
    for _ in 0..20 {
        let layer = AuthLayer::new(numbered(), Origins::only(api.origin()).unwrap());
        let service = layer.layer(client.clone());
        let response = within(service.oneshot(get(&api.url("/")))).await.unwrap();
        assert_eq!(response.status(), 200);
    }
    assert!(api.connections() <= 2, "{}", api.connections());
}

/// P13.
#[tokio::test]
async fn a_token_client_does_not_follow_redirects() {
    for code in [302, 303, 307, 308] {
        let thief = Server::start(|_| ok(r#"{"access_token":"t","token_type":"Bearer"}"#)).await;
        let to = thief.url("/token");
        let login = Server::start(move |_| redirect(code, &to)).await;
        // `token_client` overrides the builder's policy.
        let builder = reqwest::Client::builder().redirect(reqwest::redirect::Policy::limited(5));
        let tokens = ClientCredentials::builder(login.url("/token"))
            .client_id("me")
            .client_secret("secret")
            .http(token_client(builder).unwrap())
            .build()
            .unwrap();
        let layer = AuthLayer::new(tokens, Origins::only("http://127.0.0.1").unwrap());
        let error = within(layer.handle().credential()).await.unwrap_err();
        assert!(error.is_provider(), "{error:#}");
        assert_eq!(login.seen().len(), 1);
        assert!(thief.seen().is_empty());
    }
}
