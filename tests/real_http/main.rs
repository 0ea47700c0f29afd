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

use servers::{Server, Tokens, Trouble, text};

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

/// Sends a request, and reads the whole answer.
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

/// S3, end to end.
#[tokio::test]
async fn client_credentials_are_sent_as_the_platform_describes_it() {
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
async fn a_thousand_callers_cause_one_token_request_cold_and_one_after_a_revocation() {
    let tokens = Arc::new(Tokens::default());
    let server = tokens.server().await;
    // Over one connection: a thousand sockets are more than many systems allow.
    let http: Http = Client::builder(TokioExecutor::new())
        .http2_only(true)
        .build_http();
    let service = layer(&server).layer(http);
    for asked in [1, 2] {
        for status in storm(&service, &server.url(), 1000).await {
            assert_eq!(status.unwrap(), 200);
        }
        assert_eq!(tokens.asked(), asked);
        tokens.revoke();
    }
}

/// P13.
#[tokio::test]
async fn a_redirect_of_the_token_endpoint_is_not_followed() {
    let tokens = Arc::new(Tokens::default());
    tokens.trouble(Trouble::Redirect);
    let server = tokens.server().await;
    let service = layer(&server).layer(http());
    let error = call(service, server.url()).await.unwrap_err();
    assert!(
        format!("{error:#}").contains("a redirect, which is not followed"),
        "{error:#}"
    );
    assert_eq!(tokens.asked(), 1);
}

/// P33.
#[tokio::test]
async fn rejections_are_read_away_so_that_connections_are_used_again() {
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
    // One of them is that of the token client.
    assert_eq!(connections_with(true).await, 2);
    let undrained = connections_with(false).await;
    assert!(undrained > 20, "{undrained} connections");
}

/// P55.
#[tokio::test]
async fn http2_rejections_that_are_not_read_yet_hold_nobody_beyond_the_timeout() {
    let tokens = Arc::new(Tokens::default());
    tokens.rejection_size.store(64 * 1024, SeqCst);
    let server = tokens.server().await;
    // One connection for all, the token requests too: what the examples advise against.
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

/// Recovery: the times that callers are kept out by one failure of the token endpoint.
#[tokio::test]
async fn callers_succeed_soon_after_the_token_endpoint_failed_once() {
    let refusal = r#"{"error":"invalid_client"}"#;
    for (trouble, limit) in [
        (Trouble::Status(500, "oops"), 1000),
        (Trouble::Status(400, refusal), 5000),
        (Trouble::Hang, 2500),
        (Trouble::HangInBody, 2500),
    ] {
        let tokens = Arc::new(Tokens::default());
        tokens.trouble(trouble);
        let server = tokens.server().await;
        let settings = RefreshSettings::default().refresh_timeout(Duration::from_secs(1));
        let service = layer_with(&server, settings).layer(http());
        let start = Instant::now();
        let first = call(service.clone(), server.url()).await.unwrap_err();
        let first = first.downcast::<Error>().unwrap();
        let hangs = matches!(trouble, Trouble::Hang | Trouble::HangInBody);
        assert_eq!(
            (first.is_timeout(), first.is_provider()),
            (hangs, !hangs),
            "{first}"
        );
        assert!(
            !hangs || start.elapsed() < Duration::from_millis(1900),
            "{first}"
        );
        while call(service.clone(), server.url()).await.is_err() {
            sleep(Duration::from_millis(20)).await;
        }
        let limit = Duration::from_millis(limit);
        assert!(
            start.elapsed() < limit,
            "{:?} after {first}",
            start.elapsed()
        );
        assert_eq!(tokens.asked(), 2);
    }
}

#[tokio::test]
async fn a_wrong_secret_is_an_error_that_says_what_to_check_and_holds_no_secret() {
    let tokens = Arc::new(Tokens::default());
    let echo = r#"{"error":"invalid_client","error_description":"no client with p@ss:w/ rd+%"}"#;
    tokens.trouble(Trouble::Status(401, echo));
    let server = tokens.server().await;
    let service = layer(&server).layer(http());
    let error = call(service, server.url()).await.unwrap_err();
    assert_eq!(
        format!("{error:#}"),
        "failed to get a credential: provider error: the token endpoint refused the request: 401 invalid_client: check \
         client_id and client_secret, and whether the server wants client_secret_basic_unencoded() or client_secret_post()"
    );
    assert!(!format!("{error:?}").contains("p@ss"), "{error:?}");
}

/// P34: one hop to another origin, and one back again.
#[tokio::test]
async fn redirects_on_top_of_the_layer_take_the_credential_to_its_origin_only() {
    let tokens = Arc::new(Tokens::default());
    let api = tokens.server().await;
    let home = format!("{}/home", api.url());
    let carried = Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = Arc::clone(&carried);
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
        "accepted with its token, back at home"
    );
    assert_eq!(*carried.lock().unwrap(), [false]);
}
