//! Real clients and servers over loopback.

mod servers;

use std::{
    sync::{Arc, atomic::Ordering::SeqCst},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};
use tower::{Layer, Service, ServiceBuilder, ServiceExt};
use tower_auth::{
    AuthLayer, BoxError, Error, Issued, Origins, RefreshSettings,
    credential::Bearer,
    oauth2::{Builder, ClientCredentials, TokenProvider},
};
use tower_http::follow_redirect::FollowRedirectLayer;

use servers::{Failure, Server, Tokens, text};

type Http = Client<HttpConnector, Full<Bytes>>;

fn http() -> Http {
    Client::builder(TokioExecutor::new()).build_http()
}

fn provider(server: &Server) -> Builder<ClientCredentials> {
    ClientCredentials::builder(format!("{}/oauth/token", server.url()))
        .client_id("my client")
        .client_secret("p@ss:w/ rd+%")
        .client_secret_basic_unencoded()
        .http(http())
}

fn layer(server: &Server) -> AuthLayer<TokenProvider<ClientCredentials>> {
    layer_with(server, RefreshSettings::default())
}

fn layer_with(
    server: &Server,
    settings: RefreshSettings,
) -> AuthLayer<TokenProvider<ClientCredentials>> {
    let origins = Origins::only(server.url()).unwrap();
    AuthLayer::with_settings(provider(server).build().unwrap(), origins, settings)
}

fn get(url: &str) -> Request<Full<Bytes>> {
    Request::get(url).body(Full::default()).unwrap()
}

/// Sends a request and reads the whole response.
async fn call<S>(service: S, url: String) -> Result<u16, BoxError>
where
    S: Service<Request<Full<Bytes>>, Response = Response<Incoming>>,
    S::Error: Into<BoxError>,
{
    let response = service.oneshot(get(&url)).await.map_err(Into::into)?;
    let status = response.status().as_u16();
    response.into_body().collect().await?;
    Ok(status)
}

async fn storm<S>(service: &S, url: &str, callers: usize) -> Vec<Result<u16, BoxError>>
where
    S: Service<Request<Full<Bytes>>, Response = Response<Incoming>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
{
    let mut calls = JoinSet::new();
    for _ in 0..callers {
        calls.spawn(call(service.clone(), url.to_owned()));
    }
    calls.join_all().await
}

/// Client credentials, end to end.
#[tokio::test]
async fn client_credentials_are_sent_as_the_platform_documents() {
    let tokens = Arc::new(Tokens::default());
    let server = tokens.server().await;
    let service = layer(&server).layer(http());
    assert_eq!(call(service, server.url()).await.unwrap(), 200);
    let requests = tokens.requests.lock().unwrap();
    let [(headers, body)] = &requests[..] else {
        panic!("one token request")
    };
    assert_eq!(headers["content-type"], "application/x-www-form-urlencoded");
    assert_eq!(
        headers["authorization"],
        "Basic bXkgY2xpZW50OnBAc3M6dy8gcmQrJQ=="
    );
    assert_eq!(body, "grant_type=client_credentials");
}

/// P1, P14.
#[tokio::test]
async fn a_thousand_callers_share_each_token_request() {
    let tokens = Arc::new(Tokens::default());
    let server = tokens.server().await;
    // Over one connection, because many systems do not allow a thousand sockets.
    let http: Http = Client::builder(TokioExecutor::new())
        .http2_only(true)
        .build_http();
    let service = layer(&server).layer(http);
    for expected in [1, 2] {
        for status in storm(&service, &server.url(), 1000).await {
            assert_eq!(status.unwrap(), 200);
        }
        assert_eq!(tokens.token_requests(), expected);
        tokens.revoke();
    }
}

/// P13.
#[tokio::test]
async fn a_redirect_of_the_token_endpoint_is_not_followed() {
    let tokens = Arc::new(Tokens::default());
    tokens.fail_next(Failure::Redirect);
    let server = tokens.server().await;
    let service = layer(&server).layer(http());
    let error = call(service, server.url()).await.unwrap_err();
    assert!(
        format!("{error:#}").contains("a redirect, which is not followed"),
        "{error:#}"
    );
    assert_eq!(tokens.token_requests(), 1);
}

/// P33.
#[tokio::test]
async fn rejections_are_drained_so_that_connections_are_reused() {
    let connections_with = async |drained: bool| {
        let tokens = Arc::new(Tokens::default());
        tokens.rejection_size.store(64 * 1024, SeqCst);
        let server = tokens.server().await;
        let mut layer = layer(&server);
        if !drained {
            layer = layer.drain_limit(0, Duration::ZERO);
        }
        let handle = layer.handle();
        let service = layer.layer(http());
        for _ in 0..20 {
            handle.set_credential(Issued::new(Bearer::new("stale").unwrap()));
            let status = call(service.clone(), server.url()).await.unwrap();
            assert_eq!(status, 200);
        }
        assert_eq!(tokens.rejections.load(SeqCst), 20);
        server.connections()
    };
    // One of them belongs to the token client.
    assert_eq!(connections_with(true).await, 2);
    let undrained = connections_with(false).await;
    assert!(undrained > 20, "{undrained} connections");
}

/// P55.
#[tokio::test]
async fn undrained_http2_rejections_block_no_caller_past_the_timeout() {
    let tokens = Arc::new(Tokens::default());
    tokens.rejection_size.store(64 * 1024, SeqCst);
    let server = tokens.server().await;
    // One connection for all requests, including token requests, which the examples advise against.
    let http: Http = Client::builder(TokioExecutor::new())
        .http2_only(true)
        .build_http();
    let provider = provider(&server).http(http.clone()).build().unwrap();
    let timeout = Duration::from_secs(2);
    let origins = Origins::only(server.url()).unwrap();
    let settings = RefreshSettings::default().refresh_timeout(timeout);
    let layer = AuthLayer::with_settings(provider, origins, settings);
    let service = layer.layer(http);
    assert_eq!(call(service.clone(), server.url()).await.unwrap(), 200);
    tokens.revoke();
    let start = Instant::now();
    let outcomes = storm(&service, &server.url(), 1000).await;
    assert_eq!(outcomes.len(), 1000);
    assert!(
        start.elapsed() < timeout + Duration::from_secs(8),
        "{:?}",
        start.elapsed()
    );
    let mut status = 0;
    while status != 200 && start.elapsed() < Duration::from_secs(30) {
        status = call(service.clone(), server.url())
            .await
            .unwrap_or_default();
        sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(status, 200, "the next call works");
}

/// Measures how long one failure of the token endpoint affects callers.
#[tokio::test]
async fn callers_recover_soon_after_the_token_endpoint_failed_once() {
    let refusal = r#"{"error":"invalid_client"}"#;
    for (failure, limit) in [
        (Failure::Status(500, "oops"), 1000),
        (Failure::Status(400, refusal), 5000),
        (Failure::Hang, 2500),
        (Failure::HangInBody, 2500),
    ] {
        let tokens = Arc::new(Tokens::default());
        tokens.fail_next(failure);
        let server = tokens.server().await;
        let settings = RefreshSettings::default().refresh_timeout(Duration::from_secs(1));
        let service = layer_with(&server, settings).layer(http());
        let start = Instant::now();
        let first = call(service.clone(), server.url()).await.unwrap_err();
        let first = first.downcast::<Error>().unwrap();
        let hangs = matches!(failure, Failure::Hang | Failure::HangInBody);
        assert_eq!(
            (first.is_timeout(), first.is_provider()),
            (hangs, !hangs),
            "{first:#}"
        );
        assert!(
            !hangs || start.elapsed() < Duration::from_millis(1900),
            "{first:#}"
        );
        while call(service.clone(), server.url()).await.is_err() {
            sleep(Duration::from_millis(20)).await;
        }
        let limit = Duration::from_millis(limit);
        assert!(
            start.elapsed() < limit,
            "{:?} after {first:#}",
            start.elapsed()
        );
        assert_eq!(tokens.token_requests(), 2);
    }
}

#[tokio::test]
async fn the_error_of_a_wrong_secret_names_the_fix_and_no_secret() {
    let tokens = Arc::new(Tokens::default());
    let echo = r#"{"error":"invalid_client","error_description":"no client with p@ss:w/ rd+%"}"#;
    tokens.fail_next(Failure::Status(401, echo));
    let server = tokens.server().await;
    let service = layer(&server).layer(http());
    let error = call(service, server.url()).await.unwrap_err();
    assert_eq!(
        format!("{error:#}"),
        "failed to get a credential: provider error: the token endpoint refused the request: 401 \
         invalid_client: check client_id and client_secret, and whether the server requires \
         client_secret_basic_unencoded() or client_secret_post()"
    );
    assert!(!format!("{error:?}").contains("p@ss"), "{error:?}");
}

/// P34: one redirect to another origin, and one back.
#[tokio::test]
async fn redirects_above_the_layer_keep_credentials_on_their_origin() {
    let tokens = Arc::new(Tokens::default());
    let api = tokens.server().await;
    let home = format!("{}/home", api.url());
    let has_credential = Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = Arc::clone(&has_credential);
    let elsewhere = Server::start(move |request| {
        seen.lock()
            .unwrap()
            .push(request.headers().contains_key("authorization"));
        let mut response = text(302, "");
        response
            .headers_mut()
            .insert("location", home.parse().unwrap());
        Box::pin(async move { response })
    })
    .await;
    let away = format!("{}/away", elsewhere.url());
    let first = Server::start(move |request| {
        assert!(request.headers().contains_key("authorization"));
        let mut response = text(302, "");
        response
            .headers_mut()
            .insert("location", away.parse().unwrap());
        Box::pin(async move { response })
    })
    .await;
    let origins = Origins::any_of([first.url(), api.url()]).unwrap();
    let service = ServiceBuilder::new()
        .layer(FollowRedirectLayer::new())
        .layer(AuthLayer::new(provider(&api).build().unwrap(), origins))
        .service(http());
    let response = service.oneshot(get(&first.url())).await.unwrap();
    assert_eq!(
        response.status(),
        200,
        "back at its origin, the request carries the token"
    );
    assert_eq!(*has_credential.lock().unwrap(), [false]);
}
