//! The error messages that users read: what failed, what to do about it, and no secret.

use tower_auth::{Error, Provider, credential::Bearer};

use crate::{
    clients::{client_credentials, login, password_login, with_initial_token},
    server::{Fault, Server, auth_error, call},
};

async fn error_of<P: Provider<Credential = Bearer>>(server: &Server, provider: P) -> Error {
    let (api, _) = server.layer(provider);
    let error = auth_error(call(&api).await.unwrap_err());
    let shown = format!("{error:#} {error:?}");
    for secret in ["hidden", "p4ss", "aWQ", "bWFjaGluZ", "r0", "leak"] {
        assert!(!shown.contains(secret), "{shown}");
    }
    error
}

const HTML: &str = "<html><body>leak</body></html>";

#[tokio::test(start_paused = true)]
async fn a_wrong_secret() {
    let server = Server::new();
    server.instead([Fault::Respond(
        401,
        "application/json",
        r#"{"error":"invalid_client","error_description":"Client authentication failed"}"#,
    )]);
    let error = error_of(&server, client_credentials(&server).build().unwrap()).await;
    assert_eq!(
        format!("{error:#}"),
        "failed to get a credential: provider error: the token endpoint refused the request: 401 \
         invalid_client (Client authentication failed): check client_id and client_secret, and \
         whether the server requires client_secret_basic_unencoded() or client_secret_post()"
    );

    server.instead([Fault::Respond(403, "", "")]);
    let error = error_of(&server, client_credentials(&server).build().unwrap()).await;
    assert_eq!(
        format!("{error:#}"),
        "failed to get a credential: provider error: the token endpoint refused the request: 403 Forbidden (its body is empty)"
    );
}

#[tokio::test(start_paused = true)]
async fn a_dead_refresh_token() {
    let server = Server::new();
    server.instead([Fault::Respond(
        400,
        "application/json",
        r#"{"error":"invalid_grant","error_description":"Token has been revoked"}"#,
    )]);
    let error = error_of(&server, with_initial_token(&server).build().unwrap()).await;
    assert_eq!(
        format!("{error:#}"),
        "failed to get a credential: log in again: the server no longer accepts the refresh \
         token: the token endpoint refused the request: 400 invalid_grant (Token has been \
         revoked)"
    );
    let login = login(&error);
    assert_eq!(
        format!("{login:?}"),
        "LoginRequired(\"the server no longer accepts the refresh token: the token endpoint refused \
         the request: 400 invalid_grant (Token has been revoked)\")"
    );
    assert_eq!(
        format!("{:?}", login.token_error().unwrap()),
        "TokenError(\"the token endpoint refused the request: 400 invalid_grant (Token has been \
         revoked)\")"
    );
}

#[tokio::test(start_paused = true)]
async fn a_wrong_password() {
    let server = Server::new();
    server.instead([Fault::Respond(
        401,
        "application/json",
        r#"{"error":"invalid_credentials","error_description":"got p4ss"}"#,
    )]);
    let error = error_of(&server, password_login(&server).build().unwrap()).await;
    assert_eq!(
        format!("{error:#}"),
        "failed to get a credential: log in again: the server refused the user name or the \
         password, which are not sent again until set_credentials(..) replaces them: the \
         password endpoint refused the request: 401 invalid_credentials"
    );
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_down() {
    let server = Server::new();
    for (failure, text) in [
        (
            Fault::Break,
            "failed to get a credential: temporary provider error: no complete response from the \
             token endpoint: connection reset",
        ),
        (
            Fault::Respond(503, "text/html", HTML),
            "failed to get a credential: temporary provider error: the token endpoint failed: \
             503 Service Unavailable (its body is not a JSON object; content type: text/html)",
        ),
        (
            Fault::Hang,
            "failed to get a credential: the provider did not return within the refresh timeout",
        ),
    ] {
        server.instead([failure.clone()]);
        let error = error_of(&server, with_initial_token(&server).build().unwrap()).await;
        assert_eq!(format!("{error:#}"), text);
        assert_eq!(error.is_timeout(), matches!(failure, Fault::Hang));
        assert!(error.retry_after().is_some(), "the refresh is retried");
    }
    server.instead([Fault::Break]);
    let error = error_of(&server, password_login(&server).build().unwrap()).await;
    assert_eq!(
        format!("{error:#}"),
        "failed to get a credential: temporary provider error: no complete response from the \
         password endpoint: connection reset"
    );
}

#[tokio::test(start_paused = true)]
async fn html_instead_of_json() {
    let server = Server::new();
    server.instead([Fault::Respond(200, "text/html; charset=utf-8", HTML)]);
    let error = error_of(&server, client_credentials(&server).build().unwrap()).await;
    assert_eq!(
        format!("{error:#}"),
        "failed to get a credential: provider error: the token response (200 OK) is not usable: \
         its body is not a JSON object; content type: text/html"
    );
    server.instead([Fault::Respond(404, "text/html", HTML)]);
    let error = error_of(&server, client_credentials(&server).build().unwrap()).await;
    assert_eq!(
        format!("{error:#}"),
        "failed to get a credential: provider error: the token endpoint refused the request: 404 \
         Not Found (its body is not a JSON object; content type: text/html): check the token URL"
    );
    server.instead([Fault::Respond(404, "text/html", HTML)]);
    let error = error_of(&server, password_login(&server).build().unwrap()).await;
    assert_eq!(
        format!("{error:#}"),
        "failed to get a credential: provider error: the password endpoint refused the request: \
         404 Not Found (its body is not a JSON object; content type: text/html): check the login \
         URL"
    );
}
