//! The systems that this crate was made for, over real HTTP: each example checks what it shows.

// Each example has a module of its own for its server.
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

/// S1, R19: a personal token, whose 401 is final.
#[test]
fn personal_access_token() {
    personal_access_token::main().unwrap();
}

/// S1, R12: the implicit flow.
#[cfg(feature = "implicit")]
#[test]
fn implicit() {
    implicit::main().unwrap();
}

/// S1: the authorization code flow, its callback in another process.
#[test]
fn authorization_code_web() {
    authorization_code_web::main().unwrap();
}

/// S1, S5, P36: a web application with a callback route, for many users.
#[cfg(feature = "per-key")]
#[test]
fn web_app() {
    web_app::main().unwrap();
}

/// S1, P36: many users behind one client.
#[cfg(feature = "per-key")]
#[test]
fn many_users() {
    many_users::main().unwrap();
}

/// S2, R19: HTTP Basic, whose 401 is final.
#[test]
fn http_basic() {
    http_basic::main().unwrap();
}

/// S3.
#[test]
fn client_credentials() {
    client_credentials::main().unwrap();
}

/// S4, P38, P40.
#[test]
fn password_login() {
    password_login::main().unwrap();
}

/// S5.
#[test]
fn personal_access_token_https() {
    personal_access_token_https::main().unwrap();
}

/// S5: the authorization code flow on the person's own machine.
#[cfg(feature = "loopback")]
#[test]
fn authorization_code_loopback() {
    authorization_code_loopback::main().unwrap();
}
