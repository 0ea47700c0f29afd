//! The authorization code flow: what is sent, and which responses are accepted.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};
use tower_auth::{
    ConfigError,
    oauth2::{AuthorizationCode, LoginError, PendingLogin, TokenError},
    store::TokenSet,
};

use crate::server::{AUTHORIZE, REDIRECT, Requests, TOKEN, TOKENS, client, pairs, query, server};

/// The authorization response to a pending login, with its `state`.
fn response(login: &AuthorizationCode, pending: &PendingLogin, rest: &str) -> String {
    let state = &query(&login.authorization_url(pending))["state"];
    format!("{REDIRECT}?state={state}&{rest}")
}

async fn finish(login: &AuthorizationCode, rest: &str) -> Result<TokenSet, LoginError> {
    let pending = login.start(REDIRECT).unwrap();
    let callback = response(login, &pending, rest);
    login.finish(pending, &callback).await
}

async fn refused(login: &AuthorizationCode, rest: &str) -> LoginError {
    finish(login, rest).await.unwrap_err()
}

/// P52, R2, R4, R10, R11, R20, R21, R39: the URL and the code exchange match.
#[tokio::test]
async fn a_code_is_exchanged_with_verifier_and_redirect_uri() {
    let (login, requests) = client(200, TOKENS);
    let pending = login.start(REDIRECT).unwrap();
    let url = login.authorization_url(&pending);
    assert!(url.starts_with("https://login.example.com/authorize?tenant=7&response_type=code&"));
    let sent = query(&url);
    assert_eq!(sent["client_id"], "my app");
    assert_eq!(sent["redirect_uri"], REDIRECT);
    assert_eq!(sent["scope"], "read write");
    assert_eq!(sent["resource"], "https://api.example.com/");
    assert_eq!(sent["prompt"], "consent");
    assert_eq!(sent["code_challenge_method"], "S256");

    // Another process serves the callback.
    let pending = PendingLogin::restore(&pending.expose()).unwrap();
    let callback = format!("/callback?code=a%2Fb+c&state={}", sent["state"]);
    let tokens = login.finish(pending, &callback).await.unwrap();
    assert_eq!(tokens.expose_access_token(), Some("at"));
    assert_eq!(tokens.expose_refresh_token(), Some("rt"));
    assert_eq!(tokens.scope(), Some("read write"));

    let requests = requests.lock().unwrap();
    let [(path, form)] = requests.as_slice() else {
        panic!("{requests:?}")
    };
    assert_eq!(path, TOKEN);
    let verifier = &form
        .iter()
        .find(|(name, _)| name == "code_verifier")
        .unwrap()
        .1;
    let challenge = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(verifier));
    assert_eq!(sent["code_challenge"], challenge);
    let expected = [
        ("grant_type", "authorization_code"),
        ("resource", "https://api.example.com/"),
        ("code", "a/b c"),
        ("redirect_uri", REDIRECT),
        ("code_verifier", verifier),
        ("client_id", "my app"),
    ];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(form.as_slice(), expected);
}

/// RFC 6749 4.1.3, R1: a confidential client authenticates as for other grants.
#[tokio::test]
async fn a_confidential_client_authenticates_once() {
    let (http, requests) = server(200, TOKENS);
    let login = AuthorizationCode::builder(AUTHORIZE, TOKEN)
        .client_id("id")
        .client_secret("s")
        .client_secret_post()
        .http(http)
        .build()
        .unwrap();
    assert!(finish(&login, "code=c").await.is_ok());
    let form = requests.lock().unwrap()[0].1.clone();
    let of_client = form.iter().filter(|(name, _)| name.starts_with("client_"));
    assert_eq!(of_client.count(), 2);
}

/// Applications receive the authorization response in different forms.
#[tokio::test]
async fn the_callback_can_be_a_url_a_path_a_query_or_a_form() {
    let (login, _) = client(200, TOKENS);
    for before in ["https://app.example.com/callback?", "/callback?", "?", ""] {
        let pending = login.start(REDIRECT).unwrap();
        let state = query(&login.authorization_url(&pending))["state"].clone();
        let callback = format!("{before}code=c&state={state}");
        assert!(login.finish(pending, &callback).await.is_ok(), "{before}");
    }
}

fn no_requests(requests: &Requests) {
    assert!(requests.lock().unwrap().is_empty());
}

/// P52, P53, R11.
#[tokio::test]
async fn a_wrong_state_is_refused_first() {
    let (login, requests) = client(200, TOKENS);
    for callback in ["?code=c&state=x", "?error=access_denied&state=x"] {
        let pending = login.start(REDIRECT).unwrap();
        let error = login.finish(pending, callback).await.unwrap_err();
        assert_eq!(
            format!("{error:#}"),
            "the `state` of the authorization response is not that of this login: the response \
             belongs to another login or is forged, and is not used"
        );
        assert!(error.is_forged() && !error.is_denied());
    }
    for callback in [
        "?code=c",
        "?code=c&state=",
        "https://app.example.com/callback",
        "",
    ] {
        let pending = login.start(REDIRECT).unwrap();
        let error = login.finish(pending, callback).await.unwrap_err();
        assert_eq!(
            format!("{error:#}"),
            "the authorization response has no `state`, so it cannot be matched to this login: it \
             is not used"
        );
    }
    no_requests(&requests);
}

/// P53.
#[tokio::test]
async fn denied_consent_is_reported_as_denied() {
    let (login, requests) = client(200, TOKENS);
    let error = refused(
        &login,
        "error=access_denied&error_description=the+user+said+no",
    )
    .await;
    assert!(error.is_denied());
    assert_eq!(
        format!("{error:#}"),
        "the login was denied (the user said no)"
    );
    no_requests(&requests);
}

#[tokio::test]
async fn other_authorization_errors_are_reported() {
    let (login, requests) = client(200, TOKENS);
    let error = refused(&login, "error=invalid_scope&error_uri=https://x.example/e").await;
    assert_eq!(error.code(), Some("invalid_scope"));
    assert_eq!(
        format!("{error:#}"),
        "the authorization server refused the login: invalid_scope, see https://x.example/e"
    );
    let error = refused(&login, "x=y").await;
    assert_eq!(
        format!("{error:#}"),
        "the authorization response has neither a code nor an error"
    );
    let error = refused(&login, "code=c&code=d").await;
    assert_eq!(
        format!("{error:#}"),
        "the authorization response has the parameter `code` twice: it is not used"
    );
    // Rule 10: the text in place of a name may be a secret.
    let error = refused(&login, "Splx10B&Splx10B").await;
    assert_eq!(
        format!("{error:#}"),
        "the authorization response has a duplicate parameter: it is not used"
    );
    no_requests(&requests);
}

/// Rule 10: a server can put anything into its error.
#[tokio::test]
async fn errors_do_not_echo_secrets() {
    let (login, _) = client(200, TOKENS);
    let pending = login.start(REDIRECT).unwrap();
    let state = query(&login.authorization_url(&pending))["state"].clone();
    let callback = format!("?state={state}&error=x&error_description=state+was+{state}");
    let error = login.finish(pending, &callback).await.unwrap_err();
    assert!(!format!("{error:#} {error:?}").contains(&state));
    assert_eq!(error.description(), None);
}

/// P52, R24, R38: the issuer is checked (RFC 9207), also in error responses.
#[tokio::test]
async fn a_wrong_issuer_is_refused() {
    let (http, requests) = server(200, TOKENS);
    let login = AuthorizationCode::builder(AUTHORIZE, TOKEN)
        .client_id("id")
        .issuer("https://login.example.com")
        .http(http)
        .build()
        .unwrap();
    for what in ["code=c", "error=access_denied"] {
        let error = refused(&login, &format!("{what}&iss=https%3A%2F%2Fevil.example")).await;
        assert_eq!(
            format!("{error:#}"),
            "the authorization response comes from the issuer https://evil.example, not from \
             https://login.example.com: it is not used"
        );
        let error = refused(&login, what).await;
        assert_eq!(
            format!("{error:#}"),
            "the authorization response does not name its issuer, but https://login.example.com \
             always does: it is not used"
        );
        assert!(error.is_forged());
    }
    no_requests(&requests);
    assert!(
        finish(&login, "code=c&iss=https%3A%2F%2Flogin.example.com")
            .await
            .is_ok()
    );
}

/// R38: a pending login knows its server.
#[tokio::test]
async fn a_response_is_not_used_with_another_server() {
    let (login, requests) = client(200, TOKENS);
    let (http, _) = server(200, TOKENS);
    let other = AuthorizationCode::builder("https://other.example.com/authorize", TOKEN)
        .client_id("my app")
        .http(http)
        .build()
        .unwrap();
    let pending = other.start(REDIRECT).unwrap();
    let callback = response(&other, &pending, "code=c");
    let error = login.finish(pending, &callback).await.unwrap_err();
    assert_eq!(
        format!("{error:#}"),
        "the login was started for another server or client: the authorization response is not used"
    );
    no_requests(&requests);
}

#[tokio::test]
async fn a_refused_code_reports_the_token_error() {
    let (login, requests) = client(400, r#"{"error":"invalid_grant"}"#);
    let error = refused(&login, "code=c0de").await;
    assert_eq!(
        format!("{error:#}"),
        "the login failed: the token endpoint refused the request: 400 invalid_grant"
    );
    assert_eq!(error.to_string(), "the login failed");
    let source = std::error::Error::source(&error).unwrap();
    let token_error = source.downcast_ref::<TokenError>().unwrap();
    assert_eq!(token_error.code(), Some("invalid_grant"));
    assert_eq!(error.token_error().unwrap().code(), Some("invalid_grant"));
    assert_eq!(
        requests.lock().unwrap().len(),
        1,
        "a code is never sent twice"
    );
}

/// Refreshes after a login use the same client.
#[tokio::test]
async fn a_session_refreshes_with_the_same_settings() {
    let (login, requests) = client(200, TOKENS);
    let tokens = TokenSet::from_refresh_token("rt");
    let provider = login.session().initial_tokens(tokens).build().unwrap();
    let origins = tower_auth::Origins::only("https://api.example.com").unwrap();
    let layer = tower_auth::AuthLayer::new(provider, origins);
    layer.handle().credential().await.unwrap();
    let (url, form) = requests.lock().unwrap()[0].clone();
    assert_eq!(url, TOKEN);
    let body = "grant_type=refresh_token&resource=https%3A%2F%2Fapi.example.com%2F\
                &refresh_token=rt&client_id=my%20app";
    assert_eq!(form, pairs(body));
}

/// R22, R39: secrets are returned only to safe URIs.
#[test]
fn an_invalid_redirect_uri_is_refused() {
    let (login, _) = client(200, TOKENS);
    for uri in [
        "https://a.example/cb",
        "http://127.0.0.1:1/",
        "http://[::1]:1/",
        "com.example:/x",
    ] {
        assert!(login.start(uri).is_ok(), "{uri}");
    }
    let problem = |uri: &str| login.start(uri).unwrap_err().to_string();
    let absolute = "is not an absolute URI without a fragment, such as \
                    https://app.example.com/callback";
    for uri in ["", "/callback", "com.example:/x#y", "com.example:/ä"] {
        assert!(problem(uri).ends_with(absolute), "{uri}: {}", problem(uri));
    }
    assert!(problem("http://app.example.com/cb").contains("plain http"));
    assert!(problem("https://app.example.com/cb#x").contains("fragment"));
}

#[test]
fn the_error_names_what_is_missing() {
    let problem = |builder: tower_auth::oauth2::Builder<AuthorizationCode>| {
        builder
            .build()
            .map(drop)
            .map_err(|error: ConfigError| format!("{error:#}"))
    };
    let (http, _) = server(200, TOKENS);
    let builder = || AuthorizationCode::builder(AUTHORIZE, TOKEN).http(http.clone());
    let missing = problem(builder()).unwrap_err();
    assert!(missing.starts_with("client_id"), "{missing}");
    let twice = builder().client_id("x").authorization_param("state", "1");
    let twice = problem(twice).unwrap_err();
    assert!(twice.starts_with("authorization_param"), "{twice}");
    let plain = AuthorizationCode::builder("http://login.example.com/", TOKEN).client_id("x");
    let plain = problem(plain.http(http.clone())).unwrap_err();
    assert!(plain.starts_with("authorization_url"), "{plain}");
}
