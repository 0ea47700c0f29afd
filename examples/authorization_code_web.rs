//! A web application that logs its users in with the authorization code flow. Its own route handles
//! the callback.
//!
//! `cargo run --example authorization_code_web`

#[path = "support/authorization_server.rs"]
mod authorization_server;

use authorization_server::{AuthorizationServer, browse};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tower::{Service, ServiceBuilder, ServiceExt};
use tower_auth::{
    AuthLayer, BoxError, Origins,
    oauth2::{AuthorizationCode, PendingLogin},
};

#[tokio::main]
pub(crate) async fn main() -> Result<(), BoxError> {
    let server = AuthorizationServer::default();
    let url = server.start().await?;
    let login = AuthorizationCode::builder(
        format!("{url}/oauth/authorize"),
        format!("{url}/oauth/token"),
    )
    .client_id("my-app")
    .client_secret("s3cret")
    .http(Client::builder(TokioExecutor::new()).build_http())
    .build()?;

    // The application's `/login` route saves this in the user's session and redirects the browser.
    let pending = login.start("https://app.example.com/callback")?;
    let session = pending.expose();
    let redirect_to = login.authorization_url(&pending);

    let callback = browse(&redirect_to, "alice").await?;

    // The `/callback` route restores it, possibly in another process.
    let pending = PendingLogin::restore(&session)?;
    let tokens = login.finish(pending, &callback).await?;
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
    Ok(())
}
