//! The systems that this crate was designed for, over real HTTP. Each example checks its own results.

// Each example includes its own copy of the server module.
#![allow(clippy::duplicate_mod)]

#[cfg(feature = "loopback")]
#[path = "../examples/authorization_code_loopback.rs"]
mod authorization_code_loopback;
#[path = "../examples/authorization_code_web.rs"]
mod authorization_code_web;
#[path = "../examples/client_credentials.rs"]
mod client_credentials;
#[path = "../examples/http_basic.rs"]
mod http_basic;
#[cfg(feature = "implicit")]
#[path = "../examples/implicit.rs"]
mod implicit;
#[cfg(feature = "per-key")]
#[path = "../examples/many_users.rs"]
mod many_users;
#[path = "../examples/password_login.rs"]
mod password_login;
#[path = "../examples/personal_access_token.rs"]
mod personal_access_token;
#[path = "../examples/personal_access_token_https.rs"]
mod personal_access_token_https;
#[cfg(feature = "per-key")]
#[path = "../examples/web_app.rs"]
mod web_app;

/// R19: a 401 for a personal access token is final.
#[test]
fn personal_access_token() {
    personal_access_token::main().unwrap();
}

/// R12: the implicit flow.
#[cfg(feature = "implicit")]
#[test]
fn implicit() {
    implicit::main().unwrap();
}

/// The authorization code flow, with the callback in another process.
#[test]
fn authorization_code_web() {
    authorization_code_web::main().unwrap();
}

/// P36: a web application with a callback route, for many users.
#[cfg(feature = "per-key")]
#[test]
fn web_app() {
    web_app::main().unwrap();
}

/// P36: one client for many users.
#[cfg(feature = "per-key")]
#[test]
fn many_users() {
    many_users::main().unwrap();
}

/// R19: a 401 for HTTP Basic is final.
#[test]
fn http_basic() {
    http_basic::main().unwrap();
}

/// Client credentials.
#[test]
fn client_credentials() {
    client_credentials::main().unwrap();
}

/// P38, P40: an API with its own login endpoint.
#[test]
fn password_login() {
    password_login::main().unwrap();
}

/// A token that is sent only to its own origin.
#[test]
fn personal_access_token_https() {
    personal_access_token_https::main().unwrap();
}

/// The authorization code flow on the user's own machine.
#[cfg(feature = "loopback")]
#[test]
fn authorization_code_loopback() {
    authorization_code_loopback::main().unwrap();
}
