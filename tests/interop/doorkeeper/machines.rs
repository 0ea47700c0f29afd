//! Client credentials.

use std::time::Duration;

use http::Method;
use tokio::time::{Instant, sleep};
use tower_auth::{
    BoxError, Error, Issued, NotRetried,
    credential::Bearer,
    oauth2::{Builder, ClientCredentials, TokenError},
    store::{MemoryStore, StoreKey},
};

use super::{asked, me, revoke, token_url};
use crate::{
    client::{Api, Http, get_with},
    server::Server,
};

const STRANGE: &str = "p@ss:w/ rd+%25&=é";

fn builder(server: &Server, http: &Http, id: &str, secret: &str) -> Builder<ClientCredentials> {
    ClientCredentials::builder(token_url(server))
        .client_id(id)
        .client_secret(secret)
        .http(http.clone())
}

fn svc(server: &Server, http: &Http) -> Builder<ClientCredentials> {
    builder(server, http, "svc", "s3cret")
}

/// Makes two calls, and checks that the API accepts both as this client, with one token.
async fn is_accepted(
    server: &Server,
    id: &str,
    provider: Builder<ClientCredentials>,
) -> Result<(), BoxError> {
    let tokens = Http::new();
    let api = Api::new(provider.http(tokens.clone()).build()?, &server.url)?;
    for _ in 0..2 {
        let answer = api.get(&me(server)).await?;
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert_eq!(answer.text("client")?, id);
    }
    assert_eq!(asked(&tokens), 1);
    Ok(())
}

pub(super) async fn client_credentials_in_basic(server: &Server) -> Result<(), BoxError> {
    is_accepted(server, "svc", svc(server, &Http::new())).await
}

pub(super) async fn client_credentials_with_an_odd_secret_in_unencoded_basic(
    server: &Server,
) -> Result<(), BoxError> {
    let provider = builder(server, &Http::new(), "weird", STRANGE).client_secret_basic_unencoded();
    is_accepted(server, "weird", provider).await
}

pub(super) async fn client_credentials_with_an_odd_secret_in_the_body(
    server: &Server,
) -> Result<(), BoxError> {
    let provider = builder(server, &Http::new(), "weird", STRANGE).client_secret_post();
    is_accepted(server, "weird", provider).await
}

pub(super) async fn a_wrong_secret_is_reported_with_the_servers_error(
    server: &Server,
) -> Result<(), BoxError> {
    let tokens = Http::new();
    let provider = builder(server, &tokens, "svc", "s3cret-of-old").build()?;
    let api = Api::new(provider, &server.url)?;
    let error = api.get(&me(server)).await.unwrap_err();
    assert!(!format!("{error:#}").contains("s3cret"), "{error:#}");
    let error = error.downcast::<Error>()?;
    let said = error.provider_error().expect("the provider failed");
    let said: &TokenError = said.get_ref().downcast_ref().expect("at the server");
    assert_eq!(said.status().map(|status| status.as_u16()), Some(401));
    assert_eq!(said.code(), Some("invalid_client"));
    let text = said.description().unwrap_or_default();
    assert!(text.contains("Client authentication failed"), "{text}");
    assert!(
        format!("{error:#}").contains("check client_id and client_secret"),
        "{error:#}"
    );

    // No second request is sent immediately.
    let again = api
        .get(&me(server))
        .await
        .unwrap_err()
        .downcast::<Error>()?;
    assert!(
        again.is_backoff() && again.retry_after().is_some(),
        "{again}"
    );
    assert_eq!((asked(&tokens), api.http.statuses().len()), (1, 0));
    Ok(())
}

pub(super) async fn a_revoked_token_is_replaced(server: &Server) -> Result<(), BoxError> {
    let tokens = Http::new();
    let api = Api::new(svc(server, &tokens).build()?, &server.url)?;
    for round in 1..=3 {
        assert_eq!(api.get(&me(server)).await?.status, 200);
        assert_eq!(asked(&tokens), round);
        revoke(server, api.handle.credential().await?.expose()).await?;
    }
    assert_eq!(api.http.statuses(), [200, 401, 200, 401, 200]);
    Ok(())
}

pub(super) async fn a_missing_scope_causes_no_refresh(server: &Server) -> Result<(), BoxError> {
    let tokens = Http::new();
    let write = format!("{}/api/write", server.url);
    let api = Api::new(svc(server, &tokens).build()?, &server.url)?;
    let answer = api.send(Method::POST, &write).await?;
    assert_eq!(answer.status, 403, "{}", answer.body);
    // This server reports the missing scope with the status alone.
    assert!(!answer.headers.contains_key("www-authenticate"));
    assert_eq!((asked(&tokens), api.http.statuses().len()), (1, 1));

    let provider = svc(server, &tokens).scopes(["write"]).build()?;
    let api = Api::new(provider, &server.url)?;
    assert_eq!(api.send(Method::POST, &write).await?.status, 200);
    Ok(())
}

/// Calls for several token lifetimes of 2 s: no call fails, and there is about one token request
/// per lifetime.
pub(super) async fn tokens_that_expire(server: &Server) -> Result<(), BoxError> {
    let tokens = Http::new();
    let api = Api::new(svc(server, &tokens).build()?, &server.url)?;
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(7) {
        assert_eq!(api.get(&me(server)).await?.status, 200);
        sleep(Duration::from_millis(50)).await;
    }
    let asked = asked(&tokens);
    assert!((4..=8).contains(&asked), "{asked} token requests");
    Ok(())
}

pub(super) async fn a_token_that_expired_unnoticed_is_replaced(
    server: &Server,
) -> Result<(), BoxError> {
    let tokens = Http::new();
    let api = Api::new(svc(server, &tokens).build()?, &server.url)?;
    let old = api.handle.credential().await?.expose().to_owned();
    while get_with(&me(server), &old).await?.status == 200 {
        sleep(Duration::from_millis(100)).await;
    }
    // Simulates a client whose clock is wrong.
    api.handle.set_credential(Issued::new(Bearer::new(old)?));
    assert_eq!(api.get(&me(server)).await?.status, 200);
    assert_eq!(api.http.statuses(), [401, 200]);
    assert_eq!(asked(&tokens), 2);
    Ok(())
}

/// Calls a server that returns the same token again with its remaining lifetime, down to 0, so an
/// early refresh does not help.
pub(super) async fn a_server_that_returns_the_same_token_again(
    server: &Server,
) -> Result<(), BoxError> {
    let tokens = Http::new();
    let api = Api::new(svc(server, &tokens).build()?, &server.url)?;
    let start = Instant::now();
    let mut calls = 0;
    while start.elapsed() < Duration::from_secs(11) {
        let answer = api.get(&me(server)).await?;
        assert_eq!(answer.status, 200, "{:?}", answer.not_retried());
        calls += 1;
        sleep(Duration::from_millis(20)).await;
    }
    let asked = asked(&tokens);
    assert!(
        (3..=11).contains(&asked),
        "{asked} token requests for {calls} calls"
    );
    Ok(())
}

pub(super) async fn providers_with_one_store_share_a_token(
    server: &Server,
) -> Result<(), BoxError> {
    let (tokens, store) = (Http::new(), MemoryStore::new());
    let api = || {
        let key = StoreKey::issuer(&server.url).client("svc");
        let provider = svc(server, &tokens).store(store.clone(), key).build()?;
        Api::new(provider, &server.url)
    };
    let (one, other) = (api()?, api()?);
    for round in 1..=3 {
        for api in [&one, &other] {
            assert_eq!(api.get(&me(server)).await?.status, 200);
        }
        assert_eq!(asked(&tokens), round);
        // The next token revokes this one, which the other provider still holds.
        one.handle.invalidate();
    }
    // After each rejection, the other provider read the store instead of contacting the server.
    assert_eq!(other.http.statuses(), [200, 401, 200, 401, 200]);
    assert_eq!(one.http.statuses(), [200, 200, 200]);
    Ok(())
}

/// Each provider's token revokes the other's. Every call still succeeds, at the cost of a token
/// request, until the rejection budget is spent and the caller gets the 401 and the reason.
pub(super) async fn providers_without_a_store_revoke_each_others_tokens(
    server: &Server,
) -> Result<(), BoxError> {
    let tokens = Http::new();
    let api = || Api::new(svc(server, &tokens).build()?, &server.url);
    let (one, other) = (api()?, api()?);
    let mut refused = None;
    for _ in 0..10 {
        for api in [&one, &other] {
            let answer = api.get(&me(server)).await?;
            if answer.status != 200 {
                refused = refused.or(Some(answer));
            }
        }
    }
    let refused = refused.expect("the budget stops it");
    assert_eq!(refused.status, 401);
    let why = refused.not_retried();
    assert!(
        matches!(why, Some(NotRetried::TooManyRejections { .. })),
        "{why:?}"
    );
    let asked = asked(&tokens);
    assert!(asked <= 14, "{asked} token requests");
    Ok(())
}
