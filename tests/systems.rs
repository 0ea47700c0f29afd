//! The systems that this crate was made for, over real HTTP: each example checks what it shows.

// Each example has a module of its own for its server.
#![allow(clippy::duplicate_mod)]

#[path = "../examples/s1_authorization_code.rs"]
mod s1_authorization_code;
#[path = "../examples/s1_implicit.rs"]
mod s1_implicit;
#[cfg(feature = "per-key")]
#[path = "../examples/s1_many_users.rs"]
mod s1_many_users;
#[path = "../examples/s1_personal_token.rs"]
mod s1_personal_token;
#[path = "../examples/s2_basic.rs"]
mod s2_basic;
#[path = "../examples/s3_client_credentials.rs"]
mod s3_client_credentials;
#[path = "../examples/s4_password_refresh.rs"]
mod s4_password_refresh;
#[cfg(feature = "loopback")]
#[path = "../examples/s5_authorization_code.rs"]
mod s5_authorization_code;
#[path = "../examples/s5_personal_token.rs"]
mod s5_personal_token;
#[cfg(feature = "per-key")]
#[path = "../examples/web_app.rs"]
mod web_app;

/// S1, R19: a personal token, whose 401 is final.
#[test]
fn s1_personal_token() {
    s1_personal_token::main().unwrap();
}

/// S1, R12: the implicit flow.
#[test]
fn s1_implicit() {
    s1_implicit::main().unwrap();
}

/// S1: the authorization code flow, its callback in another process.
#[test]
fn s1_authorization_code() {
    s1_authorization_code::main().unwrap();
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
fn s1_many_users() {
    s1_many_users::main().unwrap();
}

/// S2, R19: HTTP Basic, whose 401 is final.
#[test]
fn s2_basic() {
    s2_basic::main().unwrap();
}

/// S3.
#[test]
fn s3_client_credentials() {
    s3_client_credentials::main().unwrap();
}

/// S4, P38, P40.
#[test]
fn s4_password_refresh() {
    s4_password_refresh::main().unwrap();
}

/// S5.
#[test]
fn s5_personal_token() {
    s5_personal_token::main().unwrap();
}

/// S5: the authorization code flow on the person's own machine.
#[cfg(feature = "loopback")]
#[test]
fn s5_authorization_code() {
    s5_authorization_code::main().unwrap();
}
