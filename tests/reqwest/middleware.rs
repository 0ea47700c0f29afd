//! The layer as a reqwest-middleware middleware.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use reqwest_retry::{RetryTransientMiddleware, policies::ExponentialBackoff};
use tokio::task::JoinSet;
use tower::{Layer, ServiceExt};
use tower_auth::{
    AuthLayer, BoxError, Credential, Error, Handle, Issued, NotAttached, NotRetried, Origins,
    Provider, ProviderError, SkipAuth,
    credential::{ApiKey, Basic, Bearer, RequestHeadMut, ResponseHead},
    provider_fn,
    reqwest::{AuthMiddleware, ReqwestService, same_origin_redirects},
};

use crate::server::{Server, World, chunked_401, numbered, ok, status, streaming, within};

fn client_with(middleware: AuthMiddleware<impl Credential>) -> ClientWithMiddleware {
    ClientBuilder::new(plain()).with(middleware).build()
}

fn plain() -> reqwest::Client {
    let client = reqwest::Client::builder().redirect(same_origin_redirects());
    client.build().unwrap()
}

fn only<P: Provider>(server: &Server, provider: P) -> AuthLayer<P> {
    AuthLayer::new(provider, Origins::only(server.origin()).unwrap())
}

/// P1, P14: with a cold cache, and after a revocation.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_callers_share_one_token_request_and_see_no_401() {
    let world = World::new().await;
    let client = client_with(world.layer().middleware());
    for token_requests in [1, 2] {
        let mut callers = JoinSet::new();
        // Each caller opens a connection, and many systems allow fewer than a thousand.
        for _ in 0..150 {
            let call = client.get(world.api.url("/things")).send();
            callers.spawn(within(call));
        }
        for response in callers.join_all().await {
            assert_eq!(response.unwrap().status(), 200);
        }
        assert_eq!(world.tokens.seen().len(), token_requests);
        world.revoke();
    }
}

/// P15: the middleware uses the token that the service has refreshed.
#[tokio::test]
async fn the_service_and_the_middleware_share_one_credential() {
    let world = World::new().await;
    let layer = world.layer();
    let client = client_with(layer.middleware());
    let service = layer.layer(ReqwestService::new(plain()));
    let url = world.api.url("/things");
    assert_eq!(within(client.get(&url).send()).await.unwrap().status(), 200);
    world.revoke();
    let request = http::Request::get(&url).body(String::new()).unwrap();
    assert_eq!(
        within(service.oneshot(request)).await.unwrap().status(),
        200
    );
    assert_eq!(within(client.get(&url).send()).await.unwrap().status(), 200);
    assert_eq!(world.api.tokens_seen(), ["t1", "t1", "t2", "t2"]);
    assert_eq!(world.tokens.seen().len(), 2);
    let current = layer.middleware().handle().credential().await.unwrap();
    assert_eq!(current.expose(), "t2");
}

/// P22, P23: the retry has the same method, headers and body.
#[tokio::test]
async fn the_retry_differs_only_in_its_credential() {
    let world = World::new().await;
    let client = client_with(world.layer().middleware());
    let url = world.api.url("/things?page=2#top");
    within(client.get(&url).send()).await.unwrap();
    world.revoke();
    let post = client.post(&url).header("x-mine", "1").body("hello");
    let response = within(post.send()).await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(response.extensions().get::<NotRetried>().is_none());
    assert_eq!(response.text().await.unwrap(), "hello");
    let seen = world.api.seen();
    assert_eq!(world.api.tokens_seen()[1..], ["t1", "t2"]);
    let without_token = |index: usize| {
        let mut seen = seen[index].clone();
        seen.headers.remove("authorization");
        (seen.method, seen.uri, seen.headers, seen.body)
    };
    assert_eq!(without_token(1), without_token(2));
}

/// P31.
#[tokio::test]
async fn a_streaming_body_is_not_retried_and_its_401_is_unread() {
    let world = World::new().await;
    let client = client_with(world.layer().middleware());
    let url = world.api.url("/things");
    let post = || {
        let stream = reqwest::Body::wrap(streaming(&["str", "eam"]));
        within(client.post(&url).body(stream).send())
    };
    assert_eq!(post().await.unwrap().text().await.unwrap(), "stream");
    world.revoke();
    let response = post().await.unwrap();
    assert_eq!(response.status(), 401);
    assert!(matches!(
        response.extensions().get(),
        Some(NotRetried::BodyNotReplayable)
    ));
    assert_eq!(response.text().await.unwrap(), "status 401");
    assert_eq!(world.api.tokens_seen(), ["t1", "t1"]);
    // The rejection still caused a refresh, which the next request uses.
    let response = within(client.post(&url).body("buffered").send()).await;
    assert_eq!(response.unwrap().status(), 200);
    assert_eq!(world.tokens.seen().len(), 2);
}

/// P21.
#[tokio::test]
async fn a_callers_credential_is_kept_and_its_401_is_not_retried() {
    let world = World::new().await;
    let client = client_with(world.layer().middleware());
    let url = world.api.url("/things");
    let with_user = url.replace("//", "//me:secret@");
    for warm in [false, true] {
        if warm {
            within(client.get(&url).send()).await.unwrap();
        }
        let before = world.tokens.seen().len();
        for request in [
            client.get(&url).bearer_auth("mine"),
            client.get(&url).basic_auth("me", Some("secret")),
            // reqwest turns the user information into HTTP Basic.
            client.get(&with_user),
        ] {
            let response = within(request.send()).await.unwrap();
            assert_eq!(response.status(), 401);
            let why = response.extensions().get();
            assert_eq!(why, Some(&NotAttached::AlreadyPresent));
        }
        assert_eq!(world.tokens.seen().len(), before);
    }
}

#[tokio::test]
async fn overwrite_existing_replaces_a_callers_credential() {
    let world = World::new().await;
    let layer = world.layer().overwrite_existing(true);
    let client = client_with(layer.middleware());
    let request = client.get(world.api.url("/things")).bearer_auth("mine");
    assert_eq!(within(request.send()).await.unwrap().status(), 200);
    assert_eq!(world.api.tokens_seen(), ["t1"]);
}

#[tokio::test]
async fn skip_auth_sends_the_request_unchanged() {
    let world = World::new().await;
    let client = client_with(world.layer().middleware());
    let request = client
        .get(world.api.url("/things"))
        .with_extension(SkipAuth);
    let response = within(request.send()).await.unwrap();
    assert_eq!(response.extensions().get(), Some(&NotAttached::Skipped));
    assert_eq!(world.api.tokens_seen(), ["none"]);
    assert!(world.tokens.seen().is_empty());
}

/// Rule 9.
#[tokio::test]
async fn a_request_to_another_origin_carries_no_credential() {
    let world = World::new().await;
    let other = Server::start(|_| ok("")).await;
    let client = client_with(world.layer().middleware());
    let response = within(client.get(other.url("/")).send()).await.unwrap();
    assert_eq!(response.extensions().get(), Some(&NotAttached::OtherOrigin));
    assert_eq!(other.tokens_seen(), ["none"]);
    // This is not a valid URI, so it has no origin. The error is reqwest's.
    let error = within(client.get("http://{{host}}/").send())
        .await
        .unwrap_err();
    assert!(error.is_builder(), "{error:?}");
    assert!(world.tokens.seen().is_empty());
}

/// P22: the retry does not contain the key of the first attempt.
#[tokio::test]
async fn each_attempt_adds_its_key_to_the_original_query() {
    let api = Server::start(|seen| match seen.uri.query() {
        Some(query) if query.contains("api_key=k1") => status(401),
        _ => ok(""),
    })
    .await;
    let count = AtomicUsize::new(0);
    let keys = provider_fn(move |_| {
        let key = ["k1", "k2 &="][count.fetch_add(1, SeqCst)];
        async move { Ok(Issued::new(ApiKey::query("api_key", key).unwrap())) }
    });
    let client = client_with(only(&api, keys).middleware());
    let get = |path: &str| within(client.get(api.url(path)).send());
    assert_eq!(get("/a?q=%C3%BC%20'x'#top").await.unwrap().status(), 200);
    assert_eq!(get("/b").await.unwrap().status(), 200);
    let mine = get("/c?api_key=mine").await.unwrap();
    assert_eq!(mine.extensions().get(), Some(&NotAttached::AlreadyPresent));
    let uris: Vec<_> = api.seen().iter().map(|seen| seen.uri.to_string()).collect();
    assert_eq!(
        uris,
        [
            "/a?q=%C3%BC%20%27x%27&api_key=k1",
            "/a?q=%C3%BC%20%27x%27&api_key=k2%20%26%3D",
            "/b?api_key=k2%20%26%3D",
            "/c?api_key=mine",
        ]
    );
    let caching = |index: usize| api.seen()[index].header("cache-control").map(str::to_owned);
    assert_eq!(caching(0).as_deref(), Some("no-store"));
}

/// P16: the caller gets the second 401.
#[tokio::test]
async fn a_token_that_is_always_rejected_is_retried_once() {
    let api = Server::start(|_| status(401)).await;
    let client = client_with(only(&api, numbered()).middleware());
    let response = within(client.get(api.url("/")).send()).await.unwrap();
    assert_eq!(response.status(), 401);
    let why = response.extensions().get();
    assert!(matches!(why, Some(NotRetried::RejectedAgain)), "{why:?}");
    assert_eq!(response.text().await.unwrap(), "status 401");
    assert_eq!(api.tokens_seen(), ["t1", "t2"]);
}

/// P18, P20.
#[tokio::test]
async fn the_layers_request_settings_apply() {
    let api = Server::start(|seen| match seen.token() {
        Some("t1") => status(419),
        Some(_) => ok(""),
        None => status(401),
    })
    .await;
    let get = |client: ClientWithMiddleware| {
        let request = client.get(api.url("/"));
        async move { within(request.send()).await.unwrap() }
    };
    let basic = only(&api, Basic::new("user", "password").unwrap());
    let response = get(client_with(basic.middleware())).await;
    let why = response.extensions().get();
    assert!(matches!(why, Some(NotRetried::StaticCredential)), "{why:?}");

    let layer = only(&api, numbered());
    assert_eq!(get(client_with(layer.middleware())).await.status(), 419);
    let named = layer.clone().rejected_if(|status, _| status == 419);
    let response = get(client_with(named.clone().retry(false).middleware())).await;
    let why = response.extensions().get();
    assert!(matches!(why, Some(NotRetried::RetriesDisabled)), "{why:?}");

    let named = only(&api, numbered()).rejected_if(|status, _| status == 419);
    assert_eq!(get(client_with(named.middleware())).await.status(), 200);
}

/// Rule 10: the request is never sent without a credential.
#[tokio::test]
async fn a_missing_credential_is_reported_as_the_layers_error() {
    let api = Server::start(|_| ok("")).await;
    let provider = provider_fn(|_| async {
        Err::<Issued<Bearer>, _>(ProviderError::transient("the vault is sealed"))
    });
    let client = client_with(only(&api, provider).middleware());
    for remembered in [false, true] {
        let error = within(client.get(api.url("/")).send()).await.unwrap_err();
        let reqwest_middleware::Error::Middleware(error) = error else {
            panic!("{error:?}");
        };
        let error = error.downcast_ref::<Error>().unwrap();
        assert!(error.is_provider() && error.retry_after().is_some());
        assert_eq!(error.is_backoff(), remembered);
    }
    assert!(api.seen().is_empty());
}

/// P10.
#[tokio::test]
async fn a_token_request_through_its_own_middleware_fails() {
    let api = Server::start(|_| ok("")).await;
    let url = api.url("/token");
    let late = Arc::new(OnceLock::<ClientWithMiddleware>::new());
    let own = Arc::clone(&late);
    let provider = provider_fn(move |_| {
        let request = own.get().unwrap().post(&url);
        async move {
            let response = request.send().await;
            let token = response
                .map_err(ProviderError::transient)?
                .status()
                .to_string();
            Bearer::new(token)
                .map(Issued::new)
                .map_err(ProviderError::permanent)
        }
    });
    let client = client_with(only(&api, provider).middleware());
    late.set(client.clone()).unwrap();
    let error = within(client.get(api.url("/")).send()).await.unwrap_err();
    assert!(
        format!("{error:#}").contains("without this layer"),
        "{error:#}"
    );
    assert!(api.seen().is_empty());
}

/// Rule 6: a failed refresh does not replace the server's response.
#[tokio::test]
async fn the_401_is_returned_unread_if_the_refresh_fails() {
    let api = Server::start(|_| status(401)).await;
    let count = AtomicUsize::new(0);
    let provider = provider_fn(move |_| {
        let first = count.fetch_add(1, SeqCst) == 0;
        async move {
            if first {
                Ok(Issued::new(Bearer::new("t1").unwrap()))
            } else {
                Err(ProviderError::transient("the vault is sealed"))
            }
        }
    });
    let client = client_with(only(&api, provider).middleware());
    let response = within(client.get(api.url("/")).send()).await.unwrap();
    let why = response.extensions().get();
    assert!(matches!(why, Some(NotRetried::RefreshFailed(_))), "{why:?}");
    assert_eq!(response.text().await.unwrap(), "status 401");
    assert_eq!(api.seen().len(), 1);
}

/// P33.
#[tokio::test]
async fn the_connection_of_a_rejection_is_reused() {
    let api = Server::start(|seen| match seen.token() {
        Some("t2") => ok(""),
        _ => chunked_401(60 * 1024),
    })
    .await;
    let connections = plain();
    for _ in 0..20 {
        let layer = only(&api, numbered());
        let client = ClientBuilder::new(connections.clone()).with(layer.middleware());
        let response = within(client.build().get(api.url("/")).send())
            .await
            .unwrap();
        assert_eq!(response.status(), 200);
    }
    assert_eq!(api.seen().len(), 40);
    assert!(api.connections() <= 2, "{}", api.connections());
}

/// A credential that handles challenges causes one more attempt, without a refresh.
#[tokio::test]
async fn a_challenge_is_answered_with_the_same_credential() {
    #[derive(Clone, Default)]
    struct Counting(Arc<AtomicUsize>);

    impl Credential for Counting {
        const HANDLES_CHALLENGES: bool = true;

        fn apply(&self, request: &mut RequestHeadMut<'_>) -> Result<(), BoxError> {
            let value = self.0.load(SeqCst).to_string();
            request.insert_header(&http::header::AUTHORIZATION, value.parse()?);
            Ok(())
        }

        fn is_same(&self, _: &Self) -> bool {
            true
        }

        fn on_response(&self, response: &ResponseHead<'_>) -> bool {
            assert!(response.request_headers().contains_key("authorization"));
            let challenged = response.status() == 401;
            self.0.fetch_add(usize::from(challenged), SeqCst);
            challenged
        }
    }

    let api = Server::start(|seen| match seen.header("authorization") {
        Some("0") => status(401),
        _ => ok(seen.body.clone()),
    })
    .await;
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let provider = provider_fn(move |_| {
        counted.fetch_add(1, SeqCst);
        async { Ok::<_, ProviderError>(Issued::new(Counting::default())) }
    });
    let client = client_with(only(&api, provider).middleware());
    let response = within(client.post(api.url("/")).body("hello").send()).await;
    assert_eq!(response.unwrap().text().await.unwrap(), "hello");
    assert_eq!((api.seen().len(), calls.load(SeqCst)), (2, 1));
}

/// In the recommended order, each attempt uses the credential that is current at that time. In the
/// other order, a retry repeats the credential of the first attempt.
#[tokio::test]
async fn reqwest_retry_outside_uses_the_current_credential() {
    for (outside, tokens) in [(true, ["t1", "t2"]), (false, ["t1", "t1"])] {
        let handle = Arc::new(OnceLock::<Handle<Bearer>>::new());
        let (first, late) = (AtomicBool::new(true), Arc::clone(&handle));
        let api = Server::start(move |_| {
            if !first.swap(false, SeqCst) {
                return ok("");
            }
            // The credential is replaced between the attempts.
            late.get().unwrap().invalidate();
            status(503)
        })
        .await;
        let layer = only(&api, numbered());
        handle.set(layer.handle()).unwrap();
        let backoff = ExponentialBackoff::builder()
            .retry_bounds(Duration::from_millis(1), Duration::from_millis(2))
            .build_with_max_retries(3);
        let retry = RetryTransientMiddleware::new_with_policy(backoff);
        let client = if outside {
            ClientBuilder::new(plain())
                .with(retry)
                .with(layer.middleware())
        } else {
            ClientBuilder::new(plain())
                .with(layer.middleware())
                .with(retry)
        };
        let response = within(client.build().get(api.url("/")).send())
            .await
            .unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(api.tokens_seen(), tokens);
    }
}

/// Only the layer retries a 401.
#[tokio::test]
async fn reqwest_retry_does_not_retry_a_rejection() {
    let api = Server::start(|_| status(401)).await;
    let backoff = ExponentialBackoff::builder().build_with_max_retries(3);
    let client = ClientBuilder::new(plain())
        .with(RetryTransientMiddleware::new_with_policy(backoff))
        .with(only(&api, numbered()).middleware())
        .build();
    let response = within(client.get(api.url("/")).send()).await.unwrap();
    assert_eq!(response.status(), 401);
    assert_eq!(api.tokens_seen(), ["t1", "t2"]);
}
