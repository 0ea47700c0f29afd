//! Logout: revoking tokens, emptying the store, and telling other processes.

use std::time::Duration;

use http::StatusCode;
use tower_auth::{
    oauth2::TokenError,
    store::{MemoryStore, Revision, TokenSet, TokenStore},
};

use crate::{
    clients::{
        client_credentials, key, login, password_login, reason, refresh_token, with_initial_token,
    },
    faulty::{ALL, Delete, Faulty},
    server::{Fault, REVOKE_URL, Server, auth_error, call, call_all, pass},
};

const NOTHING: [&str; 0] = [];

/// P58, RFC 7009: the client revokes the refresh token first, then the access token.
#[tokio::test(start_paused = true)]
async fn log_out_revokes_both_tokens_and_empties_the_store() {
    let server = Server::new();
    let store = MemoryStore::new();
    let provider = with_initial_token(&server)
        .client_secret("hidden")
        .store(store.clone(), key())
        .revoke_url(REVOKE_URL);
    let (api, handle) = server.layer(provider.build().unwrap());
    call(&api).await.unwrap();
    server.take_trace();

    handle.log_out().await.unwrap();
    assert_eq!(server.take_trace(), ["revoke r1 200", "revoke a1 200"]);
    {
        let state = server.state();
        let hints = state.forms[1..].iter().map(|form| &form["token_type_hint"]);
        assert_eq!(hints.collect::<Vec<_>>(), ["refresh_token", "access_token"]);
        let mut heads = state.heads[1..].iter();
        assert!(heads.all(|head| head.headers.contains_key("authorization")));
        assert!(state.valid.is_empty() && state.refresh_tokens.is_empty());
    }
    let stored = store.load(&key()).await.unwrap();
    assert_eq!((stored.revision, stored.tokens), (Revision(2), None));

    let error = auth_error(call(&api).await.unwrap_err());
    assert!(error.is_logged_out());
    handle.resume();
    let error = auth_error(call(&api).await.unwrap_err());
    assert!(
        error.is_login_required(),
        "the initial tokens are not used again"
    );
    assert_eq!(server.take_trace(), NOTHING);
}

/// P58: unused initial tokens are dropped too.
#[tokio::test(start_paused = true)]
async fn initial_tokens_are_not_used_after_a_logout() {
    let server = Server::new();
    let store = MemoryStore::new();
    let process = || {
        server.layer(
            with_initial_token(&server)
                .store(store.clone(), key())
                .build()
                .unwrap(),
        )
    };
    let ((one, _), (other, handle)) = (process(), process());
    call(&one).await.unwrap();
    server.state().refresh_tokens.insert("r0".to_owned());
    server.take_trace();
    handle.log_out().await.unwrap();
    handle.resume();
    let error = auth_error(call(&other).await.unwrap_err());
    assert!(error.is_login_required());
    assert_eq!(server.take_trace(), NOTHING);
}

/// P58: servers respond to a revocation in many ways.
#[tokio::test(start_paused = true)]
async fn a_revocation_succeeds_with_any_body() {
    for body in ["", "{}", "ok", "<p>", "null"] {
        let server = Server::new();
        let provider = with_initial_token(&server).revoke_url(REVOKE_URL);
        let (api, handle) = server.layer(provider.build().unwrap());
        call(&api).await.unwrap();
        let response = Fault::Respond(200, "text/plain", body);
        server.instead([response.clone(), response]);
        handle.log_out().await.unwrap();
        assert_eq!(server.trace()[1..], ["revoke r1 200", "revoke a1 200"]);
    }
}

/// RFC 7009 2.2.1.
#[tokio::test(start_paused = true)]
async fn a_server_need_not_revoke_access_tokens() {
    let server = Server::new();
    let provider = with_initial_token(&server).revoke_url(REVOKE_URL);
    let (api, handle) = server.layer(provider.build().unwrap());
    call(&api).await.unwrap();
    let body = r#"{"error":"unsupported_token_type"}"#;
    server.instead([
        Fault::Respond(200, "", ""),
        Fault::Respond(400, "application/json", body),
    ]);
    handle.log_out().await.unwrap();
}

/// P58: the store is emptied even if the revocation fails, and the error reports the failure.
#[tokio::test(start_paused = true)]
async fn a_failed_revocation_is_reported_and_logout_continues() {
    let body = r#"{"error":"invalid_client"}"#;
    for (failure, text) in [
        (
            Fault::Respond(503, "text/plain", "busy"),
            "logged out locally, but the provider failed to revoke the credential: temporary \
             provider error: the refresh token was not revoked: the revocation endpoint failed: \
             503 Service Unavailable (its body is not a JSON object; content type: text/plain)",
        ),
        (
            Fault::Respond(401, "application/json", body),
            "logged out locally, but the provider failed to revoke the credential: temporary \
             provider error: the refresh token was not revoked: the revocation endpoint refused \
             the request: 401 invalid_client",
        ),
        (
            Fault::Hang,
            "logged out locally, but the provider failed to revoke the credential: temporary provider error: the provider \
             did not respond within the refresh timeout",
        ),
    ] {
        let server = Server::new();
        let store = MemoryStore::new();
        let provider = with_initial_token(&server)
            .store(store.clone(), key())
            .revoke_url(REVOKE_URL);
        let (api, handle) = server.layer(provider.build().unwrap());
        call(&api).await.unwrap();
        server.instead([failure]);
        let error = handle.log_out().await.unwrap_err();
        assert_eq!(format!("{error:#}"), text);
        assert!(error.provider_error().is_some());
        assert_eq!(store.load(&key()).await.unwrap().tokens, None);
        assert!(handle.status().is_logged_out());
    }
}

/// P58: the tokens are revoked even if the store fails. The store is emptied before its next use.
#[tokio::test(start_paused = true)]
async fn a_failing_store_is_reported_and_emptied_later() {
    for operations in [vec![Delete], ALL.to_vec()] {
        let (server, store) = (Server::new(), Faulty::default());
        let provider = password_login(&server).store(store.clone(), key());
        let (api, handle) = server.layer(provider.build().unwrap());
        call(&api).await.unwrap();
        store.fail(operations);
        let error = handle.log_out().await.unwrap_err();
        assert_eq!(
            format!("{error:#}"),
            "logged out locally, but the provider failed to revoke the credential: temporary provider error: the token \
             store (faulty) failed to delete the tokens: disk full"
        );
        handle.resume();
        call(&api).await.unwrap_err();
        store.fail([]);
        pass(10).await;
        assert_eq!(call_all(&api, 10).await, 0);
        assert_eq!(
            server.trace(),
            ["password p4ss 200"; 2],
            "the old refresh token is not used again"
        );
    }
    let (server, store) = (Server::new(), Faulty::default());
    let provider = with_initial_token(&server).store(store.clone(), key());
    let provider = provider.revoke_url(REVOKE_URL).build().unwrap();
    let (api, handle) = server.layer(provider);
    call(&api).await.unwrap();
    store.fail(ALL);
    handle.log_out().await.unwrap_err();
    assert_eq!(server.trace()[1..], ["revoke r1 200", "revoke a1 200"]);
}

/// P12, P58: a logout waits for an in-flight refresh, and revokes its token.
#[tokio::test(start_paused = true)]
async fn the_token_of_an_in_flight_refresh_is_revoked_too() {
    let server = Server::new();
    let store = MemoryStore::new();
    let provider = with_initial_token(&server)
        .store(store.clone(), key())
        .revoke_url(REVOKE_URL);
    let (api, handle) = server.layer(provider.build().unwrap());
    call(&api).await.unwrap();
    server.take_trace();
    server.state().takes = Duration::from_secs(1);
    handle.invalidate();
    let (called, forgotten) = tokio::join!(call(&api), async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        handle.log_out().await
    });
    forgotten.unwrap();
    assert!(auth_error(called.unwrap_err()).is_logged_out());
    assert_eq!(
        server.take_trace(),
        [
            "refresh r1 200",
            "revoke r2 200",
            "revoke a1 200",
            "revoke a2 200"
        ]
    );
    assert_eq!(store.load(&key()).await.unwrap().tokens, None);
}

/// P12: a logout wins across processes. One of them is refreshing while the other logs out.
#[tokio::test(start_paused = true)]
async fn a_logout_in_another_process_wins_over_a_refresh() {
    let server = Server::new();
    let store = MemoryStore::new();
    let process = || {
        let provider = with_initial_token(&server).store(store.clone(), key());
        server.layer(provider.revoke_url(REVOKE_URL).build().unwrap())
    };
    let ((one, one_handle), (other, other_handle)) = (process(), process());
    call(&one).await.unwrap();
    call(&other).await.unwrap();
    server.take_trace();
    server.state().takes = Duration::from_secs(1);
    one_handle.invalidate();
    let (called, forgotten) = tokio::join!(call(&one), async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        other_handle.log_out().await
    });
    forgotten.unwrap();
    let error = auth_error(called.unwrap_err());
    assert!(login(&error).is_logged_out());
    assert_eq!(
        format!("{error:#}"),
        "failed to get a credential: log in again: logged out by another process"
    );
    assert_eq!(store.load(&key()).await.unwrap().tokens, None);
    let state = server.state();
    assert!(
        !state.refresh_tokens.contains("r2"),
        "the new token is revoked"
    );
    assert!(!state.valid.contains("a2"));
}

/// An idle process notices the logout at its next refresh, and does not log in by itself.
#[tokio::test(start_paused = true)]
async fn a_logout_in_another_process_ends_the_session() {
    let server = Server::new();
    let store = MemoryStore::new();
    let process = || {
        let provider = password_login(&server).store(store.clone(), key());
        server.layer(provider.build().unwrap())
    };
    let ((one, one_handle), (other, other_handle)) = (process(), process());
    call(&one).await.unwrap();
    call(&other).await.unwrap();
    other_handle.log_out().await.unwrap();
    server.take_trace();

    pass(4000).await;
    assert_eq!(call_all(&one, 100).await, 100);
    pass(4000).await;
    let error = auth_error(call(&one).await.unwrap_err());
    assert!(login(&error).is_logged_out());
    assert_eq!(server.take_trace(), NOTHING);

    one_handle.resume();
    assert_eq!(call_all(&one, 100).await, 0);
    other_handle.resume();
    assert_eq!(call_all(&other, 100).await, 0);
    assert_eq!(server.take_trace(), ["password p4ss 200"], "for both");
}

/// P58: the other process loaded the entry just before the newest tokens were saved.
#[tokio::test(start_paused = true)]
async fn tokens_missed_by_a_logout_elsewhere_are_revoked() {
    let server = Server::new();
    let store = MemoryStore::new();
    let provider = with_initial_token(&server).store(store.clone(), key());
    let (api, _) = server.layer(provider.revoke_url(REVOKE_URL).build().unwrap());
    call(&api).await.unwrap();
    assert!(server.state().refresh_tokens.contains("r1"));
    store.delete(&key()).await.unwrap();

    pass(4000).await;
    let error = auth_error(call(&api).await.unwrap_err());
    assert!(login(&error).is_logged_out());
    assert!(!server.state().refresh_tokens.contains("r1"));
}

/// A login replaces all tokens, for all processes.
#[tokio::test(start_paused = true)]
async fn a_new_login_serves_all_processes() {
    let server = Server::new();
    let store = MemoryStore::new();
    let process = || {
        let provider = with_initial_token(&server)
            .store(store.clone(), key())
            .build()
            .unwrap();
        let (api, handle) = server.layer(provider.clone());
        (provider, api, handle)
    };
    let ((provider, one, one_handle), (_, other, other_handle)) = (process(), process());
    call(&one).await.unwrap();
    call(&other).await.unwrap();
    server.revoke_refresh();
    server.revoke_access();
    assert_eq!(call(&one).await.unwrap(), StatusCode::UNAUTHORIZED);
    assert_eq!(call(&other).await.unwrap(), StatusCode::UNAUTHORIZED);
    server.take_trace();

    server.state().valid.insert("a9".to_owned());
    server.state().refresh_tokens.insert("r9".to_owned());
    let tokens = TokenSet::new("a9").with_refresh_token("r9");
    provider.replace_tokens(tokens).await.unwrap();
    for (api, handle) in [(&one, &one_handle), (&other, &other_handle)] {
        handle.resume();
        assert_eq!(call_all(api, 100).await, 0);
    }
    assert_eq!(server.take_trace(), NOTHING);
}

/// Client credentials have only an access token to revoke.
#[tokio::test(start_paused = true)]
async fn client_credentials_are_revoked_and_remain_usable() {
    let server = Server::new();
    let provider = client_credentials(&server).revoke_url(REVOKE_URL);
    let (api, handle) = server.layer(provider.build().unwrap());
    call(&api).await.unwrap();
    handle.log_out().await.unwrap();
    handle.resume();
    assert_eq!(call_all(&api, 10).await, 0);
    assert_eq!(
        server.trace(),
        [
            "client_credentials 200",
            "revoke a1 200",
            "client_credentials 200"
        ]
    );
}

#[test]
fn the_revocation_endpoint_is_https_or_loopback() {
    let server = Server::new();
    let build = |url: &str| refresh_token(&server).revoke_url(url).build();
    assert_eq!(
        build("http://auth.example.com/revoke").unwrap_err().field(),
        "revoke_url"
    );
    build("http://localhost/revoke").expect("loopback");
    let _ = reason::<TokenError>;
}
