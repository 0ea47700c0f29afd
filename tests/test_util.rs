//! What the crate gives to other people's tests.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Empty;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tower::{Layer, ServiceExt};
use tower_auth::{
    Auth, AuthLayer, BoxError, Error, Origins, Provider, ProviderError,
    oauth2::RefreshTokenGrant,
    test_util::{TestProvider, TestServer},
};

async fn call<P: Provider>(
    client: &Auth<TestServer, P>,
    server: &TestServer,
) -> Result<StatusCode, BoxError> {
    let request = Request::get(format!("{}/things", server.url())).body(Empty::<Bytes>::new())?;
    Ok(client.clone().oneshot(request).await?.status())
}

fn living_on(server: &TestServer) -> Auth<TestServer, RefreshTokenGrant> {
    let provider = RefreshTokenGrant::builder(server.token_url())
        .client_id("me")
        .refresh_token(server.refresh_token())
        .http(server.clone())
        .build()
        .unwrap();
    AuthLayer::new(provider, Origins::only(server.url()).unwrap()).layer(server.clone())
}

#[tokio::test(start_paused = true)]
async fn refresh_tokens_stay_or_rotate_or_are_revoked() {
    for server in [TestServer::new(), TestServer::new().rotating()] {
        let client = living_on(&server);
        for round in 1..=3 {
            assert_eq!(call(&client, &server).await.unwrap(), 200);
            assert_eq!(server.token_requests(), round);
            tokio::time::sleep(Duration::from_secs(3601)).await;
        }
        server.revoke_refresh_tokens();
        let error = call(&client, &server).await.unwrap_err();
        assert!(error.downcast::<Error>().unwrap().is_login_required());
    }
}

#[tokio::test(start_paused = true)]
async fn a_provider_counts_takes_its_time_and_fails_when_told_to() {
    let provider = TestProvider::new()
        .lifetime(Duration::from_secs(10))
        .latency(Duration::from_secs(1));
    let layer = AuthLayer::new(
        provider.clone(),
        Origins::only("https://a.example").unwrap(),
    );
    let handle = layer.handle();
    provider.fail_next(|| ProviderError::permanent("no"));

    let start = tokio::time::Instant::now();
    let error = handle.credential().await.unwrap_err();
    assert!(error.provider_error().unwrap().is_permanent());
    assert_eq!(start.elapsed(), Duration::from_secs(1));
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(handle.credential().await.unwrap().expose(), "test-2");
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(handle.credential().await.unwrap().expose(), "test-3");
    assert_eq!(provider.calls(), 3);
}

#[tokio::test]
async fn the_server_listens_until_nobody_has_it() {
    let server = TestServer::new().listen().await.unwrap();
    let client =
        || Client::builder(TokioExecutor::new()).build_http::<http_body_util::Full<Bytes>>();
    let tokens = tower_auth::oauth2::ClientCredentials::builder(server.token_url())
        .client_id("me")
        .client_secret("hidden")
        .http(client())
        .build()
        .unwrap();
    let api = AuthLayer::new(tokens, Origins::only(server.url()).unwrap()).layer(client());
    let url = format!("{}/things", server.url());
    let get = || {
        Request::get(&url)
            .body(http_body_util::Full::default())
            .unwrap()
    };
    for _ in 0..2 {
        let response = api.clone().oneshot(get()).await.unwrap();
        assert_eq!(response.status(), 200);
        server.revoke_tokens();
    }
    assert_eq!((server.token_requests(), server.requests()), (2, 3));

    drop(server);
    while client().oneshot(get()).await.is_ok() {
        tokio::task::yield_now().await;
    }
}
