//! Users: passwords, refresh tokens, logout, and logins with a browser.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use tower_auth::{
    BoxError, Error, NotRetried,
    oauth2::{
        AuthorizationCode, Builder, Implicit, LoginRequired, PasswordGrant, RefreshTokenGrant,
    },
    store::{MemoryStore, StoreKey, TokenSet, TokenStore},
};

use super::{asked, log_in, me, revoke, token_url};
use crate::{
    browser::Consent,
    client::{Api, Http, get_with, post_form},
    login::{Login, tokens_of_alice},
    server::Server,
};

fn password(server: &Server, http: &Http, password: &str) -> Builder<PasswordGrant> {
    PasswordGrant::builder(token_url(server))
        .client_id("svc")
        .client_secret("s3cret")
        .credentials("alice", password)
        .http(http.clone())
}

/// Logs in and returns the tokens, for a provider that uses the refresh token.
async fn login_tokens(server: &Server) -> Result<TokenSet, BoxError> {
    let answer = log_in(server).await?;
    let tokens = TokenSet::new(answer.text("access_token")?);
    Ok(tokens.with_refresh_token(answer.text("refresh_token")?))
}

fn refresh(server: &Server, http: &Http, tokens: TokenSet) -> Builder<RefreshTokenGrant> {
    RefreshTokenGrant::builder(token_url(server))
        .client_id("svc")
        .client_secret("s3cret")
        .initial_tokens(tokens)
        .http(http.clone())
}

pub(super) async fn a_password_and_its_refresh_tokens(server: &Server) -> Result<(), BoxError> {
    let tokens = Http::new();
    let api = Api::new(
        password(server, &tokens, "wonderland").build()?,
        &server.url,
    )?;
    for round in 1..=3 {
        let answer = api.get(&me(server)).await?;
        assert_eq!((answer.status, answer.text("user")?), (200, "alice".into()));
        assert_eq!(asked(&tokens), round);
        api.handle.invalidate();
    }
    // Doorkeeper revokes the refresh token together with the access token. The password is then
    // sent once, within the same call.
    let current = api.handle.credential().await?;
    revoke(server, current.expose()).await?;
    let before = asked(&tokens);
    assert_eq!(api.get(&me(server)).await?.status, 200);
    assert_eq!(asked(&tokens), before + 2);
    assert_eq!(tokens.statuses()[before..], [400, 200]);
    Ok(())
}

pub(super) async fn a_wrong_password_is_sent_once(server: &Server) -> Result<(), BoxError> {
    let tokens = Http::new();
    let provider = password(server, &tokens, "looking-glass").build()?;
    let api = Api::new(provider.clone(), &server.url)?;
    for _ in 0..3 {
        let error = api
            .get(&me(server))
            .await
            .unwrap_err()
            .downcast::<Error>()?;
        assert!(error.is_login_required(), "{error:#}");
        assert!(login_required(&error).is_password_refused(), "{error:#}");
    }
    assert_eq!(tokens.statuses(), [400]);

    provider.set_credentials("alice", "wonderland");
    api.handle.resume();
    assert_eq!(api.get(&me(server)).await?.status, 200);
    Ok(())
}

pub(super) async fn a_refresh_token_through_many_rotations(
    server: &Server,
) -> Result<(), BoxError> {
    let (tokens, store) = (Http::new(), MemoryStore::new());
    let key = StoreKey::issuer(&server.url).client("svc").subject("alice");
    let first = login_tokens(server).await?;
    let provider = refresh(server, &tokens, first).store(store.clone(), key.clone());
    let api = Api::new(provider.build()?, &server.url)?;
    let mut seen = Vec::new();
    for _ in 0..6 {
        assert_eq!(api.get(&me(server)).await?.text("user")?, "alice");
        let stored = store.load(&key).await?.tokens.expect("they were saved");
        let token = stored.expose_refresh_token().map(str::to_owned);
        assert!(!seen.contains(&token), "each refresh returns a new one");
        seen.push(token);
        api.handle.invalidate();
    }
    // The login's access token served the first call.
    assert_eq!(asked(&tokens), 5);
    assert_eq!(api.http.statuses(), [200; 6]);
    Ok(())
}

pub(super) async fn a_revoked_refresh_token_requires_a_new_login(
    server: &Server,
) -> Result<(), BoxError> {
    let tokens = Http::new();
    let first = login_tokens(server).await?;
    let refresh_token = first.expose_refresh_token().unwrap_or_default().to_owned();
    let provider = refresh(server, &tokens, first).build()?;
    let api = Api::new(provider.clone(), &server.url)?;
    assert_eq!(api.get(&me(server)).await?.status, 200);

    revoke(server, &refresh_token).await?;
    // The revocation included the access token. It has not expired, so callers get the server's
    // 401, with the reason.
    for _ in 0..3 {
        let answer = api.get(&me(server)).await?;
        assert_eq!(answer.status, 401);
        let Some(NotRetried::RefreshFailed(error)) = answer.not_retried() else {
            panic!("{:?}", answer.not_retried());
        };
        assert!(error.is_login_required(), "{error:#}");
        let why = login_required(error);
        assert!(why.is_refused() && !why.is_outcome_lost(), "{error:#}");
        let said = why.token_error().and_then(|answer| answer.code());
        assert_eq!(said, Some("invalid_grant"));
    }
    assert_eq!(tokens.statuses(), [400]);

    provider.replace_tokens(login_tokens(server).await?).await?;
    api.handle.resume();
    assert_eq!(api.get(&me(server)).await?.status, 200);
    Ok(())
}

pub(super) async fn logout_revokes_tokens(server: &Server) -> Result<(), BoxError> {
    let tokens = Http::new();
    let revoke_url = format!("{}/oauth/revoke", server.url);
    let first = login_tokens(server).await?;
    let refresh_token = first.expose_refresh_token().unwrap_or_default().to_owned();
    let provider = refresh(server, &tokens, first).revoke_url(revoke_url);
    let api = Api::new(provider.build()?, &server.url)?;
    assert_eq!(api.get(&me(server)).await?.status, 200);
    let token = api.handle.credential().await?.expose().to_owned();

    api.handle.log_out().await?;
    assert!(tokens.count("/oauth/revoke") > 0);
    assert_eq!(get_with(&me(server), &token).await?.status, 401);
    let form = [
        ("grant_type", "refresh_token"),
        ("refresh_token", &refresh_token),
    ];
    assert_eq!(post_form(&token_url(server), &form).await?.status, 400);
    let error = api
        .get(&me(server))
        .await
        .unwrap_err()
        .downcast::<Error>()?;
    assert!(error.is_logged_out(), "{error:#}");
    Ok(())
}

/// Returns a builder for a login in a browser, on the server's own pages.
fn browser(server: &Server, http: &Http) -> Builder<AuthorizationCode> {
    AuthorizationCode::builder(authorize_url(server), token_url(server)).http(http.clone())
}

fn authorize_url(server: &Server) -> String {
    format!("{}/oauth/authorize", server.url)
}

/// Logs in, then calls continuously for several lifetimes of 2 s, and through a revocation.
pub(super) async fn a_user_logs_in(server: &Server) -> Result<(), BoxError> {
    let tokens = Http::new();
    let flow = browser(server, &tokens).client_id("svc");
    let flow = flow.client_secret("s3cret").scopes(["public"]).build()?;
    let first = tokens_of_alice(server, &flow, "doorkeeper-code").await?;
    let api = Api::new(flow.session().initial_tokens(first).build()?, &server.url)?;
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(5) {
        assert_eq!(api.get(&me(server)).await?.text("user")?, "alice");
        sleep(Duration::from_millis(50)).await;
    }
    // The first request exchanges the code.
    assert!((3..=7).contains(&asked(&tokens)), "{:?}", tokens.statuses());

    // An early refresh may be in flight and return another token.
    let mut answer = api.get(&me(server)).await?;
    for _ in 0..5 {
        if answer.status == 401 {
            break;
        }
        let current = api.handle.credential().await?;
        revoke(server, current.expose()).await?;
        answer = api.get(&me(server)).await?;
    }
    let Some(NotRetried::RefreshFailed(error)) = answer.not_retried() else {
        panic!("{} {:?}", answer.status, answer.not_retried());
    };
    assert!(login_required(error).is_refused(), "{error:#}");
    Ok(())
}

pub(super) async fn a_user_logs_in_to_a_client_without_a_secret(
    server: &Server,
) -> Result<(), BoxError> {
    let tokens = Http::new();
    let flow = browser(server, &tokens).client_id("public").build()?;
    let first = tokens_of_alice(server, &flow, "doorkeeper-public").await?;
    let api = Api::new(flow.session().initial_tokens(first).build()?, &server.url)?;
    for round in 1..=3 {
        assert_eq!(api.get(&me(server)).await?.text("user")?, "alice");
        assert_eq!(asked(&tokens), round);
        api.handle.invalidate();
    }
    Ok(())
}

/// Gets the token itself in the fragment of the redirect. It cannot be refreshed.
pub(super) async fn a_user_logs_in_with_the_implicit_flow(server: &Server) -> Result<(), BoxError> {
    let flow = Implicit::builder(authorize_url(server))
        .client_id("svc")
        .scopes(["public"])
        .build()?;
    let first = tokens_of_alice(server, &flow, "doorkeeper-implicit").await?;
    let token = first.expose_access_token().unwrap_or_default().to_owned();
    let api = Api::new(flow.session().initial_tokens(first).build()?, &server.url)?;
    assert_eq!(api.get(&me(server)).await?.text("user")?, "alice");

    revoke(server, &token).await?;
    let answer = api.get(&me(server)).await?;
    assert_eq!(answer.status, 401);
    let Some(NotRetried::RefreshFailed(error)) = answer.not_retried() else {
        panic!("{:?}", answer.not_retried());
    };
    assert!(error.is_login_required(), "{error:#}");
    Ok(())
}

/// Requests a scope that alice has not granted yet; otherwise the server would not ask for consent.
pub(super) async fn a_user_refuses(server: &Server) -> Result<(), BoxError> {
    let tokens = Http::new();
    let flow = browser(server, &tokens).client_id("public");
    let flow = flow.scopes(["read"]).build()?;
    let login = Login::of_alice(server, &flow, "doorkeeper-no", Consent::No).await?;
    let error = login.result.expect_err("consent was refused");
    assert!(error.is_denied(), "{error:#}");
    assert!(tokens.statuses().is_empty());
    Ok(())
}

fn login_required(error: &Error) -> &LoginRequired {
    let error = error.provider_error().expect("the provider failed");
    error.get_ref().downcast_ref().expect("a login is required")
}
