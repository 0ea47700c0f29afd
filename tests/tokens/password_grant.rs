//! R36: only programs that name `PasswordGrant` use the password grant.

use tower_auth::oauth2::{PasswordGrant, TokenProvider};

use crate::{
    clients::login,
    server::{Fault, Server, TOKEN_URL, auth_error, call, call_all, pass},
};

fn provider(server: &Server) -> TokenProvider<PasswordGrant> {
    PasswordGrant::builder(TOKEN_URL)
        .client_id("app")
        .client_secret("hidden")
        .credentials("alice", "p4ss")
        .scopes(["read"])
        .http(server.client())
        .build()
        .unwrap()
}

/// P40, R7, R36.
#[tokio::test(start_paused = true)]
async fn password_is_sent_first_and_after_a_dead_refresh_token() {
    let server = Server::new();
    let (api, _) = server.layer(provider(&server));
    assert_eq!(call_all(&api, 100).await, 0);
    pass(3600).await;
    assert_eq!(call_all(&api, 100).await, 0);
    server.revoke_access();
    server.revoke_refresh();
    assert_eq!(call_all(&api, 100).await, 0);
    assert_eq!(
        server.trace(),
        [
            "password p4ss 200",
            "refresh r1 200",
            "refresh r2 400",
            "password p4ss 200"
        ]
    );
    let state = server.state();
    assert_eq!(state.forms[0]["scope"], "read");
    assert_eq!(state.forms[0]["username"], "alice");
    assert!(!state.forms[1].contains_key("scope"), "as granted");
    assert!(state.heads[0].headers.contains_key("authorization"));
}

/// P39, R7: a refused client is not a dead refresh token.
#[tokio::test(start_paused = true)]
async fn other_failures_do_not_send_the_password() {
    for failure in [
        Fault::Respond(401, "application/json", r#"{"error":"invalid_client"}"#),
        Fault::Respond(401, "", ""),
        Fault::Respond(400, "application/json", r#"{"error":"invalid_request"}"#),
        Fault::Respond(500, "", ""),
        Fault::Respond(429, "", ""),
        Fault::Hang,
    ] {
        let server = Server::new();
        let (api, handle) = server.layer(provider(&server));
        call(&api).await.unwrap();
        handle.invalidate();
        server.instead([failure]);
        call(&api).await.unwrap_err();
        pass(10).await;
        assert_eq!(call_all(&api, 10).await, 0);
        let trace = server.trace();
        assert_eq!(trace.len(), 3, "{trace:?}");
        assert_eq!(trace[2], "refresh r1 200");
    }
}

/// P40: servers report a wrong password in many ways.
#[tokio::test(start_paused = true)]
async fn a_refused_password_is_not_sent_again() {
    for (status, body, is_final) in [
        (400, r#"{"error":"invalid_grant"}"#, true),
        (400, r#"{"error":"invalid_request"}"#, true),
        (403, "", true),
        (401, r#"{"error":"invalid_client"}"#, false),
        (400, r#"{"error":"invalid_scope"}"#, false),
        (503, r#"{"error":"invalid_grant"}"#, false),
    ] {
        let server = Server::new();
        let provider = provider(&server);
        let (api, handle) = server.layer(provider.clone());
        server.instead([Fault::Respond(status, "application/json", body)]);
        let error = auth_error(call(&api).await.unwrap_err());
        assert_eq!(error.is_login_required(), is_final, "{error:#}");
        if is_final {
            assert!(login(&error).is_password_refused());
            handle.resume();
            assert_eq!(call_all(&api, 10).await, 10);
            assert_eq!(server.trace().len(), 1);
            provider.set_credentials("alice", "p4ss");
            handle.resume();
        }
        pass(10).await;
        assert_eq!(call_all(&api, 10).await, 0);
        assert_eq!(server.trace().len(), 2);
    }
}
