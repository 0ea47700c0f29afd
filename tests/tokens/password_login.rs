//! `PasswordLogin`: the requests that its server receives.

use http::StatusCode;
use tower_auth::{
    oauth2::PasswordLogin,
    store::{MemoryStore, StoreKey, TokenSet},
};

use crate::{
    clients::{login, password_login},
    server::{AUTH, Fault, LOGIN_URL, REFRESH_URL, Server, auth_error, call, call_all, pass},
};

const NOTHING: [&str; 0] = [];

/// P38, P39, P40: the password is sent exactly when it must be, and no refresh token twice.
#[tokio::test(start_paused = true)]
async fn the_server_sees_each_password_and_token_once() {
    let server = Server::new();
    let provider = password_login(&server).build().unwrap();
    let (api, handle) = server.layer(provider.clone());

    // The login, with a thousand callers at once.
    assert_eq!(call_all(&api, 1000).await, 0);
    assert_eq!(server.take_trace(), ["password p4ss 200"]);

    // Expiry: the new refresh token replaces the old.
    pass(3600).await;
    assert_eq!(call_all(&api, 1000).await, 0);
    assert_eq!(server.take_trace(), ["refresh r1 200"]);

    // A token that is revoked before it expires.
    server.revoke_access();
    assert_eq!(call_all(&api, 1000).await, 0);
    assert_eq!(server.take_trace(), ["refresh r2 200"]);

    // An early refresh: no caller waits.
    pass(3400).await;
    assert_eq!(call_all(&api, 1000).await, 0);
    pass(1).await;
    assert_eq!(server.take_trace(), ["refresh r3 200"]);
    assert_eq!(server.state().unauthorized, 1000, "only the early 401s");

    // After all other failures of the refresh endpoint, the password is not sent.
    for failure in [
        Fault::Respond(500, "", ""),
        Fault::Respond(429, "", ""),
        Fault::Respond(403, "", ""),
        Fault::Respond(400, "application/json", r#"{"error":"invalid_grant"}"#),
        Fault::Respond(200, "text/html", "<p>hello"),
        Fault::Break,
        Fault::Hang,
    ] {
        handle.invalidate();
        server.instead([failure]);
        call(&api).await.unwrap_err();
        pass(10).await;
        assert_eq!(call_all(&api, 100).await, 0);
        let trace = server.take_trace();
        assert_eq!(trace.len(), 2, "{trace:?}");
        assert!(!trace.concat().contains("password"), "{trace:?}");
    }

    // A dead refresh token: the password is sent once, in the same call.
    pass(3600).await;
    server.revoke_refresh();
    assert_eq!(call_all(&api, 1000).await, 0);
    let trace = server.take_trace();
    assert!(trace[0].starts_with("refresh r") && trace[0].ends_with(" 401"));
    assert_eq!(trace[1..], ["password p4ss 200"]);

    // A wrong password is sent once.
    server.state().password = "changed";
    server.revoke_refresh();
    server.revoke_access();
    assert_eq!(call_all(&api, 1000).await, 1000);
    let trace = server.take_trace();
    assert!(trace[0].starts_with("refresh r") && trace[0].ends_with(" 401"));
    assert_eq!(trace[1..], ["password p4ss 401"]);
    pass(100_000).await;
    assert_eq!(call_all(&api, 1000).await, 1000);
    handle.resume();
    let error = auth_error(call(&api).await.unwrap_err());
    assert!(login(&error).is_password_refused());
    assert_eq!(
        format!("{error:#}"),
        "failed to get a credential: log in again: the server refused the user name or the \
         password, which are not sent again until set_credentials(..) replaces them: the \
         password endpoint refused the request: 401 Unauthorized (its body is empty)"
    );
    assert_eq!(server.take_trace(), NOTHING);

    // The new password.
    provider.set_credentials("alice", "changed");
    handle.resume();
    assert_eq!(call_all(&api, 1000).await, 0);
    assert_eq!(server.take_trace(), ["password changed 200"]);

    let sent = &server.state().forms;
    let mut tokens: Vec<_> = sent
        .iter()
        .filter_map(|form| form.get("refresh_token"))
        .collect();
    let all = tokens.len();
    tokens.sort_unstable();
    tokens.dedup();
    // The failures above were injected in front of the endpoint, which spent nothing.
    assert_eq!(all - tokens.len(), 7);
}

/// The requests contain only form fields, without client authentication.
#[tokio::test(start_paused = true)]
async fn the_requests_match_the_documentation() {
    let server = Server::new();
    let (api, handle) = server.layer(password_login(&server).build().unwrap());
    call(&api).await.unwrap();
    handle.invalidate();
    call(&api).await.unwrap();
    let state = server.state();
    let form = |number: usize| {
        let mut fields: Vec<_> = state.forms[number].clone().into_iter().collect();
        fields.sort_unstable();
        fields
    };
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(
        form(0),
        [pair("password", "p4ss"), pair("username", "alice")]
    );
    assert_eq!(form(1), [pair("refresh_token", "r1")]);
    for (head, path) in state.heads.iter().zip(["password", "refresh"]) {
        assert_eq!(head.method, "POST");
        assert_eq!(head.uri.to_string(), format!("{AUTH}/auth/{path}"));
        assert!(!head.headers.contains_key("authorization"));
    }
}

/// P40: other failures of the login endpoint do not mean a wrong password.
#[tokio::test(start_paused = true)]
async fn only_400_401_and_403_mean_a_wrong_password() {
    for (status, is_final) in [
        (400, true),
        (401, true),
        (403, true),
        (404, false),
        (429, false),
        (500, false),
    ] {
        let server = Server::new();
        let (api, _) = server.layer(password_login(&server).build().unwrap());
        server.instead([Fault::Respond(status, "text/html", "<p>")]);
        let error = auth_error(call(&api).await.unwrap_err());
        assert_eq!(error.is_login_required(), is_final, "{error:#}");
        pass(100).await;
        assert_eq!(call_all(&api, 10).await, if is_final { 10 } else { 0 });
        assert_eq!(server.trace().len(), if is_final { 1 } else { 2 });
    }
}

/// P40: the response to the old password does not affect the new one.
#[tokio::test(start_paused = true)]
async fn a_late_refusal_of_the_old_password_keeps_the_new_one() {
    let server = Server::new();
    let provider = PasswordLogin::builder(LOGIN_URL, REFRESH_URL)
        .credentials("alice", "old")
        .http(server.client())
        .build()
        .unwrap();
    let (api, handle) = server.layer(provider.clone());
    server.state().takes = std::time::Duration::from_secs(1);
    let (first, ()) = tokio::join!(call(&api), async {
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        provider.set_credentials("alice", "p4ss");
    });
    first.unwrap_err();
    handle.resume();
    assert_eq!(call(&api).await.unwrap(), StatusCode::OK);
    assert_eq!(server.trace(), ["password old 401", "password p4ss 200"]);
}

#[tokio::test(start_paused = true)]
async fn new_credentials_are_used_at_the_next_refresh() {
    let server = Server::new();
    let provider = password_login(&server).build().unwrap();
    let (api, handle) = server.layer(provider.clone());
    call(&api).await.unwrap();
    provider.set_credentials("alice", "p4ss");
    handle.invalidate();
    assert_eq!(call_all(&api, 100).await, 0);
    handle.invalidate();
    assert_eq!(call_all(&api, 100).await, 0);
    let expected = ["password p4ss 200", "password p4ss 200", "refresh r2 200"];
    assert_eq!(server.trace(), expected);
}

#[tokio::test(start_paused = true)]
async fn stored_tokens_replace_the_password_after_a_restart() {
    let server = Server::new();
    let store = MemoryStore::new();
    let key = || StoreKey::issuer(AUTH).subject("alice");
    let start = || {
        let provider = password_login(&server).store(store.clone(), key());
        server.layer(provider.build().unwrap()).0
    };
    call(&start()).await.unwrap();
    assert_eq!(server.take_trace(), ["password p4ss 200"]);
    let api = start();
    assert_eq!(call_all(&api, 100).await, 0);
    assert_eq!(server.take_trace(), NOTHING);
    server.revoke_access();
    assert_eq!(call_all(&api, 100).await, 0);
    assert_eq!(server.take_trace(), ["refresh r1 200"]);
    assert_eq!(call_all(&start(), 100).await, 0);
    assert_eq!(server.take_trace(), NOTHING);
}

#[tokio::test(start_paused = true)]
async fn initial_tokens_replace_the_first_login() {
    let server = Server::new();
    let tokens = TokenSet::from_refresh_token("r0");
    let (api, _) = server.layer(
        password_login(&server)
            .initial_tokens(tokens)
            .build()
            .unwrap(),
    );
    assert_eq!(call_all(&api, 100).await, 0);
    assert_eq!(server.take_trace(), ["refresh r0 200"]);
}

/// P35: the password is never sent unencrypted.
#[test]
fn both_urls_are_https_or_loopback() {
    let server = Server::new();
    let build = |login_url: &str, refresh_url: &str| {
        PasswordLogin::builder(login_url, refresh_url)
            .credentials("alice", "p4ss")
            .http(server.client())
            .build()
    };
    for url in [
        "https://auth.example.com",
        "https://auth.example.com/api/",
        "http://127.0.0.1:8080",
        "http://localhost",
    ] {
        build(url, REFRESH_URL).expect(url);
        build(LOGIN_URL, url).expect(url);
    }
    for url in [
        "http://auth.example.com",
        "auth.example.com",
        "https://auth.example.com#x",
        "",
    ] {
        let error = build(url, REFRESH_URL).unwrap_err();
        assert_eq!(error.field(), "login_url", "{url}");
        let error = build(LOGIN_URL, url).unwrap_err();
        assert_eq!(error.field(), "refresh_url", "{url}");
    }
    let builder = PasswordLogin::builder(LOGIN_URL, REFRESH_URL);
    let error = builder.http(server.client()).build();
    assert_eq!(error.unwrap_err().field(), "credentials");
    let provider = build(LOGIN_URL, REFRESH_URL).unwrap();
    assert!(!format!("{provider:?}").contains("p4ss"));
}
