//! The implicit flow, for servers that offer nothing better. The token is in the fragment of the
//! redirect URL, so the program passes the whole URL to the login.
//!
//! The flow is deprecated (RFC 9700 2.1.2). If your server supports the authorization code flow,
//! use `authorization_code_web`.
//!
//! `cargo run --features implicit --example implicit`

#[path = "support/authorization_server.rs"]
mod authorization_server;

use authorization_server::{AuthorizationServer, browse};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tower::{Service, ServiceBuilder, ServiceExt};
use tower_auth::{AuthLayer, BoxError, NotRetried, Origins, oauth2::Implicit};

const REDIRECT_URI: &str = "https://app.example.com/callback";

#[tokio::main]
pub(crate) async fn main() -> Result<(), BoxError> {
    let server = AuthorizationServer::default();
    let url = server.start().await?;
    let login = Implicit::builder(format!("{url}/oauth/authorize"))
        .client_id("my-app")
        .header_name("Authentication") // the header that this API documents
        .build()?;

    let pending = login.start(REDIRECT_URI)?;
    let callback = browse(&login.authorization_url(&pending), "alice").await?;
    println!("the browser was redirected to {REDIRECT_URI}#...");
    assert!(callback.starts_with("https://app.example.com/callback#access_token="));
    let tokens = login.finish(pending, &callback)?;

    let provider = login.session().initial_tokens(tokens).build()?;
    let layer = AuthLayer::new(provider, Origins::only(&url)?);
    let mut client = ServiceBuilder::new()
        .layer(layer)
        .service(Client::builder(TokioExecutor::new()).build_http());
    let request = || Request::get(format!("{url}/api/me")).body(Empty::<Bytes>::new());
    let response = client.ready().await?.call(request()?).await?;
    let user = response.into_body().collect().await?.to_bytes();
    println!("the API recognizes {}", String::from_utf8_lossy(&user));
    assert_eq!(user, "alice");

    println!("a forged response is refused:");
    let pending = login.start(REDIRECT_URI)?;
    let forged = format!("{REDIRECT_URI}#access_token=x&token_type=Bearer&state=guessed");
    let error = login
        .finish(pending, &forged)
        .err()
        .ok_or("it was accepted")?;
    println!("  {error:#}");
    assert!(error.is_forged());

    println!("after the token was revoked, the user must log in again:");
    server.revoke_access_tokens();
    let response = client.ready().await?.call(request()?).await?;
    assert_eq!(response.status(), 401);
    let Some(NotRetried::RefreshFailed(why)) = response.extensions().get() else {
        return Err("the response has no reason".into());
    };
    println!("  {}: {why}", response.status());
    assert!(why.is_login_required());
    Ok(())
}
