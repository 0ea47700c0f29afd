//! Client credentials.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use tower_auth::{
    BoxError, Error, Issued,
    credential::Bearer,
    oauth2::{Builder, ClientCredentials, TokenError, TokenProvider},
};

use super::{asked, revoke, token_url};
use crate::{
    client::{Api, Http, get_with},
    server::Server,
};

const STRANGE: &str = "p@ss:w/ rd+%25&=";

fn builder(server: &Server, http: &Http, id: &str, secret: &str) -> Builder<ClientCredentials> {
    ClientCredentials::builder(token_url(server))
        .client_id(id)
        .client_secret(secret)
        .http(http.clone())
}

fn svc(server: &Server, http: &Http) -> Builder<ClientCredentials> {
    builder(server, http, "svc", "s3cret")
}

/// Returns an API at the Apache next to the server, and the URL of a resource there.
fn api(
    server: &Server,
    provider: Builder<ClientCredentials>,
    place: &str,
) -> Result<(Api<TokenProvider<ClientCredentials>>, String), BoxError> {
    let url = server.beside.as_ref().map(|apache| apache.url.as_str());
    let url = url.unwrap_or_default();
    Ok((Api::new(provider.build()?, url)?, format!("{url}/{place}/")))
}

pub(super) async fn client_credentials_percent_encoded_in_basic(
    server: &Server,
) -> Result<(), BoxError> {
    for (id, secret) in [
        ("svc", "s3cret"),
        ("weird", STRANGE),
        ("id with:colon", "x:y z"),
    ] {
        let tokens = Http::new();
        let (api, url) = api(server, builder(server, &tokens, id, secret), "opaque")?;
        for _ in 0..2 {
            let answer = api.get(&url).await?;
            assert_eq!((answer.status, &*answer.body), (200, "opaque\n"), "{id}");
        }
        assert_eq!(asked(&tokens), 1);
    }
    Ok(())
}

pub(super) async fn client_credentials_in_the_body(server: &Server) -> Result<(), BoxError> {
    let provider = builder(server, &Http::new(), "svc-post", "s3cret").client_secret_post();
    let (api, url) = api(server, provider, "opaque")?;
    assert_eq!(api.get(&url).await?.status, 200);
    Ok(())
}

pub(super) async fn an_unencoded_secret_is_refused(server: &Server) -> Result<(), BoxError> {
    let provider = builder(server, &Http::new(), "weird", STRANGE).client_secret_basic_unencoded();
    let (api, url) = api(server, provider, "opaque")?;
    let error = api.get(&url).await.unwrap_err();
    assert!(!format!("{error:#}").contains("p@ss"), "{error:#}");
    let error = error.downcast::<Error>()?;
    let said = error.provider_error().expect("the provider failed");
    let said: &TokenError = said.get_ref().downcast_ref().expect("at the server");
    assert!(
        matches!(said.code(), Some("invalid_client" | "invalid_request")),
        "{error:#}"
    );
    assert!(api.http.statuses().is_empty());
    Ok(())
}

pub(super) async fn a_revoked_token_is_replaced(server: &Server) -> Result<(), BoxError> {
    let tokens = Http::new();
    let (api, url) = api(server, svc(server, &tokens), "opaque")?;
    for round in 1..=3 {
        assert_eq!(api.get(&url).await?.status, 200);
        assert_eq!(asked(&tokens), round);
        revoke(server, api.handle.credential().await?.expose()).await?;
    }
    assert_eq!(api.http.statuses(), [200, 401, 200, 401, 200]);
    Ok(())
}

pub(super) async fn a_jwt_at_both_modules_of_apache(server: &Server) -> Result<(), BoxError> {
    for place in ["jwt", "openidc-jwt"] {
        let provider = svc(server, &Http::new())
            .resource("urn:api")
            .scopes(["read"]);
        let (api, url) = api(server, provider, place)?;
        // The first token belongs to another server and has to be replaced.
        api.handle
            .set_credential(Issued::new(Bearer::new("a.b.c")?));
        let answer = api.get(&url).await?;
        assert_eq!((answer.status, answer.body), (200, format!("{place}\n")));
        assert_eq!(api.http.statuses(), [401, 200], "{place}");
    }
    Ok(())
}

/// Calls for several token lifetimes of 2 s: no call fails, and there is about one token request
/// per lifetime.
pub(super) async fn tokens_that_expire(server: &Server) -> Result<(), BoxError> {
    let tokens = Http::new();
    let (api, url) = api(server, svc(server, &tokens), "opaque")?;
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(7) {
        assert_eq!(api.get(&url).await?.status, 200);
        sleep(Duration::from_millis(50)).await;
    }
    let asked = asked(&tokens);
    assert!((4..=8).contains(&asked), "{asked} token requests");
    Ok(())
}

pub(super) async fn a_jwt_that_expired_unnoticed_is_replaced(
    server: &Server,
) -> Result<(), BoxError> {
    let tokens = Http::new();
    let provider = svc(server, &tokens).resource("urn:api");
    let (api, url) = api(server, provider, "jwt")?;
    let old = api.handle.credential().await?.expose().to_owned();
    while get_with(&url, &old).await?.status == 200 {
        sleep(Duration::from_millis(200)).await;
    }
    // Simulates a client whose clock is wrong.
    api.handle.set_credential(Issued::new(Bearer::new(old)?));
    assert_eq!(api.get(&url).await?.status, 200);
    assert_eq!(api.http.statuses(), [401, 200]);
    Ok(())
}
