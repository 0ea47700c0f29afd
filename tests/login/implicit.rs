//! The implicit flow.

use std::time::{Duration, SystemTime};

use http::Request;
use http_body_util::Empty;
use tower::{Layer, ServiceExt};
use tower_auth::{
    AuthLayer, Origins,
    oauth2::{Implicit, LoginError},
    store::TokenSet,
};

use crate::server::{AUTHORIZE, REDIRECT, query};

fn login() -> Implicit {
    Implicit::builder(AUTHORIZE)
        .client_id("my-app")
        .scopes(["read"])
        .header_name("Authentication")
        .build()
        .unwrap()
}

/// Finishes a login with this response and the right `state`.
fn finish(rest: &str) -> Result<TokenSet, LoginError> {
    let login = login();
    let pending = login.start(REDIRECT).unwrap();
    let state = query(&login.authorization_url(&pending))["state"].clone();
    login.finish(pending, &format!("{REDIRECT}#{rest}&state={state}"))
}

/// P54, R4, R12: everything comes from the fragment, and there is no refresh token.
#[test]
fn the_token_is_read_from_the_fragment() {
    let before = SystemTime::now();
    let tokens =
        finish("access_token=a.b%2F%3D&token_type=Bearer&expires_in=7200&refresh_token=r").unwrap();
    assert_eq!(tokens.expose_access_token(), Some("a.b/="));
    assert_eq!(tokens.expose_refresh_token(), None);
    assert_eq!(tokens.scope(), Some("read"));
    assert_eq!(tokens.lifetime(), Some(Duration::from_secs(7200)));
    assert!(tokens.expires_at().unwrap() >= before + Duration::from_secs(7200));
}

/// The flow has neither a verifier nor a code.
#[test]
fn the_url_requests_a_token() {
    let login = login();
    let pending = login.start(REDIRECT).unwrap();
    let sent = query(&login.authorization_url(&pending));
    assert_eq!(sent["response_type"], "token");
    assert!(!sent.contains_key("code_challenge"));
    assert_eq!(sent["state"].len(), 43);
}

/// P54, R11, R12.
#[test]
fn errors_and_state_are_read_from_the_fragment() {
    let error = finish("error=access_denied").unwrap_err();
    assert!(error.is_denied());
    assert_eq!(format!("{error:#}"), "the login was denied");
    let pending = login().start(REDIRECT).unwrap();
    let url = format!("{REDIRECT}#access_token=a&token_type=bearer&state=x");
    assert!(login().finish(pending, &url).unwrap_err().is_forged());
    // A token in the query is ignored, because servers would see it.
    let pending = login().start(REDIRECT).unwrap();
    let state = query(&login().authorization_url(&pending))["state"].clone();
    let url = format!("{REDIRECT}?access_token=a&token_type=bearer&state={state}");
    assert!(login().finish(pending, &url).is_err());
    // R3.
    let error = finish("access_token=t0ken&token_type=mac").unwrap_err();
    assert_eq!(
        format!("{error:#}"),
        "the login failed: the authorization response is not usable: its token_type is `mac`, not \
         Bearer"
    );
    let error = finish("token_type=bearer").unwrap_err();
    assert!(
        format!("{error:#}").ends_with("it has no access_token"),
        "{error:#}"
    );
}

/// `Authentication` is the header name that one API documents.
#[tokio::test(start_paused = true)]
async fn an_expired_token_requires_a_new_login() {
    let tokens = TokenSet::new("a").with_lifetime(Duration::from_secs(60));
    let tokens = tokens.with_expires_at(SystemTime::now() + Duration::from_secs(60));
    let provider = login().session().initial_tokens(tokens).build().unwrap();
    let layer = AuthLayer::new(
        provider.clone(),
        Origins::only("https://api.example.com").unwrap(),
    );
    let handle = layer.handle();
    let api = layer.layer(tower::service_fn(
        async |request: Request<Empty<&'static [u8]>>| {
            let token = request.headers()["authentication"]
                .to_str()
                .unwrap()
                .to_owned();
            Ok::<_, std::io::Error>(http::Response::new(token))
        },
    ));
    let call = || {
        let request = Request::get("https://api.example.com/").body(Empty::new());
        api.clone().oneshot(request.unwrap())
    };
    assert_eq!(call().await.unwrap().into_body(), "Bearer a");
    tokio::time::sleep(Duration::from_secs(61)).await;
    let error = call().await.unwrap_err();
    let error = error.downcast::<tower_auth::Error>().unwrap();
    assert!(error.is_login_required(), "{error:#}");

    provider
        .replace_tokens(TokenSet::new("b").with_refresh_token("r"))
        .await
        .unwrap();
    handle.resume();
    assert_eq!(call().await.unwrap().into_body(), "Bearer b");
}
