//! The `test_util` module, which users' tests depend on.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, StatusCode, header::AUTHORIZATION};
use http_body_util::Empty;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tokio::time::Instant;
use tower::{Layer, ServiceExt};
use tower_auth::{
    Auth, AuthLayer, BoxError, Challenge, Credential, Error, Issued, Origins, Provider,
    ProviderError, RefreshContext,
    credential::{Bearer, RequestHeadMut, ResponseHead},
    oauth2::RefreshTokenGrant,
    provider::{Reason, RevokeContext},
    test_util::{TestProvider, TestServer, refresh_context, response_head, revoke_context},
};

async fn call(
    client: &Auth<TestServer, Bearer>,
    server: &TestServer,
) -> Result<StatusCode, BoxError> {
    let request = Request::get(format!("{}/things", server.url())).body(Empty::<Bytes>::new())?;
    Ok(client.clone().oneshot(request).await?.status())
}

fn client_of(server: &TestServer) -> Auth<TestServer, Bearer> {
    let provider = RefreshTokenGrant::builder(server.token_url())
        .client_id("me")
        .refresh_token(server.refresh_token())
        .http(server.clone())
        .build()
        .unwrap();
    AuthLayer::new(provider, Origins::only(server.url()).unwrap()).layer(server.clone())
}

#[tokio::test(start_paused = true)]
async fn refresh_tokens_can_rotate_and_be_revoked() {
    for server in [TestServer::new(), TestServer::new().rotating()] {
        let client = client_of(&server);
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
async fn a_test_provider_follows_its_script() {
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
async fn a_test_server_listens_until_the_last_clone_is_dropped() {
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

/// Reads the scopes of the server's challenge, and keeps the old token if it has none.
struct Scoped;

impl Provider for Scoped {
    type Credential = Bearer;

    async fn issue(
        &self,
        context: RefreshContext<Bearer>,
    ) -> Result<Issued<Bearer>, ProviderError> {
        if context.deadline() <= Instant::now() {
            return Err(ProviderError::transient("too late"));
        }
        let scope = context.challenges().iter().find_map(|it| it.param("scope"));
        let token = match (scope, context.previous()) {
            (Some(scope), _) => scope,
            (None, Some(previous)) => previous.expose(),
            (None, None) => "first",
        };
        Ok(Issued::new(Bearer::new(token).unwrap()))
    }

    async fn revoke(&self, context: RevokeContext<Bearer>) -> Result<(), ProviderError> {
        match context.credentials() {
            [] => Err(ProviderError::permanent("nothing to revoke")),
            _ => Ok(()),
        }
    }
}

#[tokio::test]
async fn a_provider_can_be_tested_without_a_layer() {
    let issue = async |context| {
        let issued = Scoped.issue(context).await?;
        Ok::<_, ProviderError>(issued.credential().expose().to_owned())
    };
    let context = || refresh_context(Reason::Initial);
    assert_eq!(issue(context()).await.unwrap(), "first");
    let old = Bearer::new("old").unwrap();
    let again = context().with_previous(old.clone());
    assert_eq!(again.reason(), Reason::Initial);
    assert_eq!(issue(again).await.unwrap(), "old");
    let challenges = Challenge::parse(r#"Bearer scope="admin""#);
    let step_up = context()
        .with_previous(old.clone())
        .with_challenges(challenges);
    assert_eq!(issue(step_up).await.unwrap(), "admin");
    let late = context().with_deadline(Instant::now());
    assert!(issue(late).await.unwrap_err().is_transient());

    assert!(Scoped.revoke(revoke_context([])).await.is_err());
    assert!(Scoped.revoke(revoke_context([old])).await.is_ok());
}

/// A key that changes when the server sends a nonce.
#[derive(Clone, Default)]
struct Signed(Arc<Mutex<String>>);

impl Credential for Signed {
    const HANDLES_CHALLENGES: bool = true;

    fn apply(&self, request: &mut RequestHeadMut<'_>) -> Result<(), BoxError> {
        let value = format!("nonce={}", self.0.lock().unwrap()).parse()?;
        request.insert_header(&AUTHORIZATION, value);
        Ok(())
    }

    fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    fn on_response(&self, response: &ResponseHead<'_>) -> bool {
        let sent = response.request_headers()[AUTHORIZATION].to_str().unwrap();
        let nonce = response
            .headers()
            .get("nonce")
            .and_then(|it| it.to_str().ok());
        match nonce {
            Some(nonce) if response.status() == 401 && sent != format!("nonce={nonce}") => {
                assert_eq!(response.uri().path(), "/things");
                *self.0.lock().unwrap() = nonce.to_owned();
                true
            }
            _ => false,
        }
    }
}

#[test]
fn a_credential_can_be_tested_without_a_layer() {
    let credential = Signed::default();
    let response = Response::builder()
        .status(401)
        .header("nonce", "n1")
        .body(())
        .unwrap();
    for retries in [true, false] {
        let mut request = Request::get("https://a.example/things").body(()).unwrap();
        credential
            .apply(&mut RequestHeadMut::new(&mut request))
            .unwrap();
        assert_eq!(
            credential.on_response(&response_head(&request, &response)),
            retries
        );
    }
}
