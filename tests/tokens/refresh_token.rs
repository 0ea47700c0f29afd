use std::time::{Duration, SystemTime};

use http::StatusCode;
use tower_auth::{BoxError, store::TokenSet};

use crate::{
    clients::{login, refresh_token, token_error, with_initial_token},
    server::{Fault, Server, auth_error, call, call_all, pass},
};

/// P38, R8: no refresh token is sent twice.
#[tokio::test(start_paused = true)]
async fn a_new_refresh_token_replaces_the_old() {
    let server = Server::new();
    let (api, _) = server.layer(with_initial_token(&server).build().unwrap());
    for _ in 0..4 {
        assert_eq!(call_all(&api, 100).await, 0);
        pass(4000).await;
    }
    assert_eq!(
        server.trace(),
        [
            "refresh r0 200",
            "refresh r1 200",
            "refresh r2 200",
            "refresh r3 200"
        ]
    );
}

/// P38, R8.
#[tokio::test(start_paused = true)]
async fn an_omitted_refresh_token_keeps_the_old() {
    let server = Server::new();
    server.state().rotates = false;
    let (api, _) = server.layer(with_initial_token(&server).build().unwrap());
    for _ in 0..3 {
        assert_eq!(call_all(&api, 10).await, 0);
        pass(4000).await;
    }
    assert_eq!(server.trace(), ["refresh r0 200"; 3]);
}

/// P39, rule 8: callers succeed at the next attempt.
#[tokio::test(start_paused = true)]
async fn only_invalid_grant_gives_up_the_refresh_token() {
    use Fault::{Break, Hang, Respond};
    let json = "application/json";
    for failure in [
        Respond(500, "text/html", "<p>oops"),
        Respond(503, json, r#"{"error":"invalid_grant"}"#),
        Respond(429, json, r#"{"error":"slow_down"}"#),
        Respond(400, json, r#"{"error":"invalid_request"}"#),
        Respond(401, json, r#"{"error":"invalid_client"}"#),
        Respond(403, "text/html", "<p>blocked"),
        Respond(200, "text/html", "<p>welcome"),
        Respond(200, json, "{}"),
        Break,
        Hang,
    ] {
        let server = Server::new();
        let (api, _) = server.layer(with_initial_token(&server).build().unwrap());
        server.instead([failure]);
        let error = auth_error(call(&api).await.unwrap_err());
        assert!(!error.is_login_required(), "{error:#}");
        pass(5).await;
        assert_eq!(call_all(&api, 10).await, 0, "after: {error:#}");
        assert_eq!(server.trace()[1..], ["refresh r0 200"]);
    }
}

/// P49, R6, R37: the failure is final until there are new tokens.
#[tokio::test(start_paused = true)]
async fn a_dead_refresh_token_means_a_new_login() {
    let server = Server::new();
    let provider = with_initial_token(&server).build().unwrap();
    let (api, handle) = server.layer(provider.clone());
    server.revoke_refresh();
    let error = auth_error(call(&api).await.unwrap_err());
    assert!(login(&error).is_refused());
    assert!(!login(&error).is_outcome_lost() && !login(&error).is_suspected_reuse());
    assert_eq!(
        format!("{error:#}"),
        "failed to get a credential: log in again: the server no longer accepts the refresh \
         token: the token endpoint refused the request: 400 invalid_grant"
    );
    pass(10_000).await;
    assert_eq!(call_all(&api, 100).await, 100);
    assert_eq!(server.take_trace(), ["refresh r0 400"]);

    handle.resume();
    let error = auth_error(call(&api).await.unwrap_err());
    assert_eq!(
        format!("{error:#}"),
        "failed to get a credential: log in again: there is no refresh token: pass one to \
         replace_tokens(..)"
    );
    assert_eq!(server.take_trace(), [""; 0], "nothing is sent twice");

    server.state().refresh_tokens.insert("r9".to_owned());
    let replaced = provider.replace_tokens(TokenSet::from_refresh_token("r9"));
    replaced.await.unwrap();
    handle.resume();
    assert_eq!(call_all(&api, 100).await, 0);
    assert_eq!(server.take_trace(), ["refresh r9 200"]);
}

/// R37: a thief has used the refresh token, and the server has revoked all tokens of the session.
#[tokio::test(start_paused = true)]
async fn an_unused_but_dead_refresh_token_is_suspected_reuse() {
    let server = Server::new();
    let (api, _) = server.layer(with_initial_token(&server).build().unwrap());
    call(&api).await.unwrap();
    let thief = refresh_token(&server).refresh_token("r1").build().unwrap();
    let (thief, _) = server.layer(thief);
    call(&thief).await.unwrap();

    assert_eq!(call(&api).await.unwrap(), StatusCode::OK);
    pass(4000).await;
    let error = auth_error(call(&api).await.unwrap_err());
    assert!(login(&error).is_suspected_reuse());
    assert_eq!(
        format!("{error:#}"),
        "failed to get a credential: log in again: the server no longer accepts the refresh \
         token, although it was never used: it has expired, or a copy of it is in use elsewhere: \
         the token endpoint refused the request: 400 invalid_grant"
    );
    assert_eq!(
        token_error_of(&error).status(),
        Some(StatusCode::BAD_REQUEST)
    );
    pass(10_000).await;
    call(&api).await.unwrap_err();
    assert_eq!(server.trace().len(), 3);
}

fn token_error_of(error: &tower_auth::Error) -> &tower_auth::oauth2::TokenError {
    login(error)
        .token_error()
        .expect("a token request was sent")
}

/// Rule 8: the response to an interrupted refresh is lost. The old refresh token is tried once more,
/// and the error reports a refusal.
#[tokio::test(start_paused = true)]
async fn an_interrupted_refresh_is_retried_once() {
    let server = Server::new();
    let (api, _) = server.layer(with_initial_token(&server).build().unwrap());
    server.instead([Fault::WorkAndHang]);
    let error = auth_error(call(&api).await.unwrap_err());
    assert!(error.is_timeout(), "{error:#}");
    pass(5).await;
    let error = auth_error(call(&api).await.unwrap_err());
    assert!(login(&error).is_outcome_lost());
    let text = format!("{error:#}");
    assert!(
        text.contains("the outcome of an earlier refresh with it was lost (by process "),
        "{text}"
    );
    pass(10_000).await;
    call(&api).await.unwrap_err();
    assert_eq!(server.trace(), ["refresh r0 200", "refresh r0 400"]);
}

/// Rule 2: callers get a timeout at the deadline, but a started response is read and used.
#[tokio::test(start_paused = true)]
async fn a_started_response_is_not_cut_off() {
    let server = Server::new();
    let (api, _) = server.layer(with_initial_token(&server).build().unwrap());
    server.instead([Fault::Slowly(Duration::from_secs(15))]);
    let error = auth_error(call(&api).await.unwrap_err());
    assert!(error.is_timeout(), "{error:#}");
    pass(6).await;
    assert_eq!(call_all(&api, 10).await, 0);
    pass(4000).await;
    assert_eq!(call_all(&api, 10).await, 0);
    assert_eq!(server.trace(), ["refresh r0 200", "refresh r1 200"]);
}

/// The time after the deadline is bounded.
#[tokio::test(start_paused = true)]
async fn an_endless_response_is_abandoned() {
    let server = Server::new();
    let (api, handle) = server.layer(with_initial_token(&server).build().unwrap());
    server.instead([Fault::Slowly(Duration::from_secs(1000))]);
    call(&api).await.unwrap_err();
    pass(35).await;
    let error = auth_error(call(&api).await.unwrap_err());
    assert!(login(&error).is_outcome_lost(), "{error:#}");
    assert!(handle.status().refreshing().is_none());
}

/// R8: the scope of a refresh never exceeds the grant's.
#[tokio::test(start_paused = true)]
async fn a_refresh_never_requests_more_than_was_granted() {
    let granted = || TokenSet::from_refresh_token("r0").with_scope("read write");

    let server = Server::new();
    let provider = refresh_token(&server)
        .initial_tokens(granted())
        .scopes(["read"]);
    let (_, handle) = server.layer(provider.build().unwrap());
    assert_eq!(handle.credential().await.unwrap().scope(), Some("read"));
    assert_eq!(server.state().forms[0]["scope"], "read");

    let server = Server::new();
    let provider = refresh_token(&server).initial_tokens(granted());
    let (_, handle) = server.layer(provider.build().unwrap());
    let token = handle.credential().await.unwrap();
    assert_eq!(token.scope(), Some("read write"), "as before");
    assert!(!server.state().forms[0].contains_key("scope"));

    let server = Server::new();
    let provider = refresh_token(&server)
        .initial_tokens(granted())
        .scopes(["read", "x"]);
    let (api, _) = server.layer(provider.build().unwrap());
    let error = auth_error(call(&api).await.unwrap_err());
    assert_eq!(
        format!("{error:#}"),
        "failed to get a credential: provider error: the scope `x` was not granted at login, and a \
         refresh cannot add it: remove it from scopes(..), or log in with it"
    );
    assert_eq!(server.trace().len(), 0);
}

/// R4.
#[tokio::test(start_paused = true)]
async fn the_scope_is_the_one_that_the_server_granted() {
    let server = Server::new();
    server.state().scope = Some("less");
    let (_, handle) = server.layer(with_initial_token(&server).build().unwrap());
    assert_eq!(handle.credential().await.unwrap().scope(), Some("less"));
}

/// R37, RFC 6749 3.2.1: a public client sends only its ID, in the body.
#[tokio::test(start_paused = true)]
async fn a_client_sends_its_id_and_its_secret_if_it_has_them() {
    let form_and_header = async |builder: tower_auth::oauth2::Builder<_>, server: &Server| {
        let (api, _) = server.layer(builder.refresh_token("r0").build().unwrap());
        call(&api).await.unwrap();
        let state = server.state();
        let has_header = state.heads[0].headers.contains_key("authorization");
        let mut form: Vec<_> = state.forms[0].clone().into_iter().collect();
        form.sort_unstable();
        let form: Vec<_> = form.iter().map(|(n, v)| format!("{n}={v}")).collect();
        (form.join(" "), has_header)
    };
    let server = Server::new();
    let public = refresh_token(&server);
    assert_eq!(
        form_and_header(public, &server).await,
        (
            "client_id=app grant_type=refresh_token refresh_token=r0".to_owned(),
            false
        )
    );
    let server = Server::new();
    let secret = refresh_token(&server).client_secret("hidden");
    assert_eq!(
        form_and_header(secret, &server).await,
        ("grant_type=refresh_token refresh_token=r0".to_owned(), true)
    );
    let server = Server::new();
    let body = refresh_token(&server)
        .client_secret("hidden")
        .client_secret_post();
    assert_eq!(
        form_and_header(body, &server).await,
        (
            "client_id=app client_secret=hidden grant_type=refresh_token refresh_token=r0"
                .to_owned(),
            false
        )
    );
}

#[tokio::test(start_paused = true)]
async fn a_saved_access_token_is_used_while_it_is_valid() {
    let soon = SystemTime::now() + Duration::from_secs(1000);
    for (saved, requests) in [
        (TokenSet::new("a0").with_expires_at(soon), 0),
        (TokenSet::new("a0"), 0),
        (
            TokenSet::new("a0").with_expires_at(SystemTime::UNIX_EPOCH),
            1,
        ),
        (TokenSet::new("not a token"), 1),
    ] {
        let server = Server::new();
        server.state().valid.insert("a0".to_owned());
        let provider = refresh_token(&server).initial_tokens(saved.with_refresh_token("r0"));
        let (api, _) = server.layer(provider.build().unwrap());
        assert_eq!(call_all(&api, 10).await, 0);
        assert_eq!(server.trace().len(), requests);
        server.revoke_access();
        assert_eq!(call_all(&api, 10).await, 0);
        assert_eq!(server.trace().len(), requests + 1);
    }
}

#[tokio::test(start_paused = true)]
async fn without_tokens_the_user_must_log_in() {
    let server = Server::new();
    let (api, _) = server.layer(refresh_token(&server).build().unwrap());
    let error = auth_error(call(&api).await.unwrap_err());
    assert!(!login(&error).is_refused());
    assert_eq!(server.trace().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_error_of_a_refused_client_names_what_to_check() {
    let server = Server::new();
    server.instead([Fault::Respond(
        401,
        "application/json",
        r#"{"error":"invalid_client"}"#,
    )]);
    let (api, _) = server.layer(with_initial_token(&server).build().unwrap());
    let error = auth_error(call(&api).await.unwrap_err());
    assert_eq!(token_error(&error).code(), Some("invalid_client"));
    assert_eq!(
        format!("{error:#}"),
        "failed to get a credential: provider error: the token endpoint refused the request: 401 \
         invalid_client: check client_id, and whether the server requires a client_secret"
    );
}

/// R36: this provider uses no other grant.
#[tokio::test(start_paused = true)]
async fn only_refresh_tokens_are_sent() -> Result<(), BoxError> {
    let server = Server::new();
    let (api, _) = server.layer(with_initial_token(&server).build()?);
    call(&api).await?;
    server.revoke_refresh();
    server.revoke_access();
    let _ = call(&api).await;
    let grants = server.state();
    let mut grants = grants.forms.iter().map(|form| &form["grant_type"]);
    assert!(grants.all(|grant| grant == "refresh_token"));
    Ok(())
}
