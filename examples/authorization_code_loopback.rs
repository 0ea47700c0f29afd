//! A program on the user's own machine that calls an API on the user's behalf: the authorization
//! code flow with a loopback listener, and only the scope that the program needs.
//!
//! `cargo run --features loopback --example authorization_code_loopback`

#[path = "support/authorization_server.rs"]
mod authorization_server;

use authorization_server::{AuthorizationServer, browse, get};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tower::{Service, ServiceBuilder, ServiceExt};
use tower_auth::{
    AuthLayer, BoxError, Origins,
    oauth2::{AuthorizationCode, LoginError, Loopback},
    store::TokenSet,
};

#[tokio::main]
pub(crate) async fn main() -> Result<(), BoxError> {
    let server = AuthorizationServer::default();
    let url = server.start().await?;
    let login = AuthorizationCode::builder(
        format!("{url}/oauth/authorize"),
        format!("{url}/oauth/token"),
    )
    .client_id("my-tool")
    .scopes(["things:read"])
    .http(Client::builder(TokioExecutor::new()).build_http())
    .build()?;

    let tokens = log_in(&login, "alice").await?;
    let provider = login.session().initial_tokens(tokens).build()?;
    let mut client = ServiceBuilder::new()
        .layer(AuthLayer::new(provider, Origins::only(&url)?))
        .service(Client::builder(TokioExecutor::new()).build_http());
    for what in ["the first call", "a call after the token was revoked"] {
        let request = Request::get(format!("{url}/api/me")).body(Empty::<Bytes>::new())?;
        let response = client.ready().await?.call(request).await?;
        let status = response.status();
        let user = response.into_body().collect().await?.to_bytes();
        println!("{what}: {status}, {}", String::from_utf8_lossy(&user));
        assert_eq!(user, "alice");
        server.revoke_access_tokens();
    }

    println!("a user who denies the login:");
    let error = log_in(&login, "")
        .await
        .err()
        .ok_or("the login succeeded")?;
    println!("  {error:#}");
    assert!(error.is_denied());
    Ok(())
}

/// Logs in with a simulated user in place of the browser. A real program calls only
/// `Loopback::new().log_in(login)`, which opens the system's browser.
async fn log_in(login: &AuthorizationCode, user: &'static str) -> Result<TokenSet, LoginError> {
    Loopback::new()
        .open_with(move |url| {
            let url = url.to_owned();
            tokio::spawn(async move {
                let callback = browse(&url, user).await?;
                get(&callback, "").await?.into_body().collect().await?;
                Ok::<_, BoxError>(())
            });
            Ok(())
        })
        .log_in(login)
        .await
}
