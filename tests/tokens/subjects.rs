//! Token exchange (RFC 8693) and JWT bearer (RFC 7523 2.1).

use std::{
    future::ready,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tower_auth::{
    ProviderError,
    oauth2::{Builder, JwtBearer, TokenExchange},
    store::MemoryStore,
};

use crate::{
    clients::{key, reason, token_error, with_initial_token},
    server::{Fault, Server, TOKEN_URL, auth_error, call, pass},
};

const EXCHANGED: &str = r#"{"access_token":"a1","token_type":"Bearer","expires_in":60,
    "issued_token_type":"urn:ietf:params:oauth:token-type:access_token","refresh_token":"r9"}"#;

/// Returns `{name}1`, `{name}2`, ...
fn counting(
    name: &'static str,
) -> impl Fn() -> std::future::Ready<Result<String, ProviderError>> + Send + Sync + 'static {
    let count = Arc::new(AtomicUsize::new(0));
    move || {
        let number = count.fetch_add(1, Ordering::Relaxed) + 1;
        ready(Ok(format!("{name}{number}")))
    }
}

fn exchange(server: &Server) -> Builder<TokenExchange> {
    TokenExchange::builder(TOKEN_URL)
        .client_id("app")
        .subject_token(TokenExchange::ID_TOKEN, counting("subject"))
        .http(server.client())
}

/// A server that sends this response to every request.
fn responding(status: u16, body: &'static str) -> Server {
    let server = Server::new();
    server.instead(vec![Fault::Respond(status, "application/json", body); 5]);
    server.state().valid.insert("a1".to_owned());
    server
}

/// R25.
#[tokio::test(start_paused = true)]
async fn the_exchange_names_the_tokens_and_their_types() {
    let server = responding(200, EXCHANGED);
    let provider = exchange(&server)
        .actor_token(TokenExchange::JWT, counting("actor"))
        .requested_token_type(TokenExchange::ACCESS_TOKEN)
        .audience("back-end")
        .scopes(["read"]);
    let (api, _) = server.layer(provider.build().unwrap());
    assert_eq!(call(&api).await.unwrap(), 200);
    let form = server.state().forms[0].clone();
    let mut form: Vec<(&str, &str)> = form.iter().map(|(a, b)| (&**a, &**b)).collect();
    form.sort_unstable();
    assert_eq!(
        form,
        [
            ("actor_token", "actor1"),
            ("actor_token_type", "urn:ietf:params:oauth:token-type:jwt"),
            ("audience", "back-end"),
            ("client_id", "app"),
            (
                "grant_type",
                "urn:ietf:params:oauth:grant-type:token-exchange"
            ),
            (
                "requested_token_type",
                "urn:ietf:params:oauth:token-type:access_token"
            ),
            ("scope", "read"),
            ("subject_token", "subject1"),
            (
                "subject_token_type",
                "urn:ietf:params:oauth:token-type:id_token"
            ),
        ]
    );
}

/// R25: the actor's type is sent only with an actor.
#[tokio::test(start_paused = true)]
async fn unset_parameters_are_not_sent() {
    let server = responding(200, EXCHANGED);
    let (api, _) = server.layer(exchange(&server).build().unwrap());
    call(&api).await.unwrap();
    let form = server.state().forms[0].clone();
    assert_eq!(form.len(), 4, "{form:?}");
    assert!(
        form.keys().all(|name| !name.starts_with("actor")),
        "{form:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn each_token_request_has_a_new_subject() {
    let server = responding(200, EXCHANGED);
    let (api, handle) = server.layer(exchange(&server).build().unwrap());
    for _ in 0..3 {
        assert_eq!(call(&api).await.unwrap(), 200);
        handle.invalidate();
    }
    let state = server.state();
    let sent: Vec<_> = state
        .forms
        .iter()
        .map(|form| &*form["subject_token"])
        .collect();
    assert_eq!(sent, ["subject1", "subject2", "subject3"]);
    assert!(
        state
            .forms
            .iter()
            .all(|form| !form.contains_key("refresh_token"))
    );
}

/// R25.
#[tokio::test(start_paused = true)]
async fn a_response_without_a_bearer_token_or_its_type_is_refused() {
    for (body, why) in [
        (
            r#"{"access_token":"a1","token_type":"N_A","issued_token_type":"urn:x"}"#,
            "token_type is `N_A`",
        ),
        (
            r#"{"access_token":"a1","token_type":"Bearer"}"#,
            "no issued_token_type",
        ),
    ] {
        let server = responding(200, body);
        let (api, _) = server.layer(exchange(&server).build().unwrap());
        let error = auth_error(call(&api).await.unwrap_err());
        assert!(
            format!("{:#}", token_error(&error)).contains(why),
            "{error:#}"
        );
        assert!(error.provider_error().unwrap().is_permanent());
        assert_eq!(server.state().api_requests, 0);
    }
}

/// The error has the class that the closure chose, and nothing is sent.
#[tokio::test(start_paused = true)]
async fn the_error_of_a_missing_subject_is_returned_unchanged() {
    let server = responding(200, EXCHANGED);
    let no_subject = || {
        ready(Err(ProviderError::login_required(std::io::Error::other(
            "no user is logged in",
        ))))
    };
    let provider = exchange(&server).subject_token(TokenExchange::JWT, no_subject);
    let (api, _) = server.layer(provider.build().unwrap());
    let error = auth_error(call(&api).await.unwrap_err());
    assert!(error.is_login_required());
    assert!(reason::<std::io::Error>(&error).is_some(), "{error:#}");
    assert!(server.trace().is_empty());
}

/// Rule 10.
#[tokio::test(start_paused = true)]
async fn no_error_shows_a_subject_token() {
    let server = responding(
        400,
        r#"{"error":"invalid_request","error_description":"bad subject1"}"#,
    );
    let (api, _) = server.layer(exchange(&server).build().unwrap());
    let error = auth_error(call(&api).await.unwrap_err());
    assert_eq!(token_error(&error).code(), Some("invalid_request"));
    assert!(
        !format!("{error:#} {error:?}").contains("subject1"),
        "{error:#}"
    );
}

/// The grant ignores a refresh token that another grant stored under the same key.
#[tokio::test(start_paused = true)]
async fn a_stored_refresh_token_is_not_sent() {
    let (server, store) = (Server::new(), MemoryStore::new());
    let other = with_initial_token(&server).store(store.clone(), key());
    server.state().expires_in = 0;
    call(&server.layer(other.build().unwrap()).0).await.unwrap();
    server.instead([Fault::Respond(200, "application/json", EXCHANGED)]);
    let provider = exchange(&server).store(store, key()).build().unwrap();
    assert_eq!(call(&server.layer(provider).0).await.unwrap(), 200);
    let state = server.state();
    assert_eq!(state.forms.len(), 2);
    assert_eq!(state.forms[1]["subject_token"], "subject1");
    assert!(!state.forms[1].contains_key("refresh_token"));
}

fn bearer(server: &Server) -> Builder<JwtBearer> {
    JwtBearer::builder(TOKEN_URL)
        .assertion(counting("assertion"))
        .http(server.client())
}

#[tokio::test(start_paused = true)]
async fn each_token_request_has_a_new_assertion() {
    let server = responding(
        200,
        r#"{"access_token":"a1","token_type":"Bearer","expires_in":60}"#,
    );
    let (api, _) = server.layer(bearer(&server).scopes(["read"]).build().unwrap());
    for _ in 0..2 {
        assert_eq!(call(&api).await.unwrap(), 200);
        pass(61).await;
    }
    let state = server.state();
    let sent: Vec<_> = state.forms.iter().map(|form| &*form["assertion"]).collect();
    assert_eq!(sent, ["assertion1", "assertion2"]);
    let form = &state.forms[0];
    assert_eq!(
        form["grant_type"],
        "urn:ietf:params:oauth:grant-type:jwt-bearer"
    );
    assert_eq!((form.len(), &*form["scope"]), (3, "read"));
}

#[tokio::test]
async fn the_error_names_the_missing_setting() {
    let server = Server::new();
    let error = TokenExchange::builder(TOKEN_URL)
        .http(server.client())
        .build();
    assert_eq!(error.unwrap_err().field(), "subject_token");
    let error = JwtBearer::builder(TOKEN_URL).http(server.client()).build();
    assert_eq!(error.unwrap_err().field(), "assertion");
    for name in ["subject_token", "actor_token_type", "audience"] {
        let error = exchange(&server).param(name, "x").build().unwrap_err();
        assert_eq!(error.field(), "param");
    }
    assert_eq!(
        bearer(&server)
            .param("assertion", "x")
            .build()
            .unwrap_err()
            .field(),
        "param"
    );
}
