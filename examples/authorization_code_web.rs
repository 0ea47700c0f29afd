//! A server of the SeeClickFix kind, and its authorization code flow, in an application whose own
//! route handles the callback.
//!
//! `cargo run --example authorization_code_web`

#[path = "support/authorization_server.rs"]
mod authorization_server;

use authorization_server::{AuthorizationServer, person};
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

    // The route `/log-in` of the application keeps this in the person's session ..
    let attempt = login.start("https://app.example.com/callback")?;
    let session = attempt.expose();
    let send_the_browser_to = login.authorization_url(&attempt);

    let callback = person(&send_the_browser_to, "alice").await?;

    // .. and the route `/callback` takes it out again, in whichever process.
    let attempt = PendingLogin::restore(&session)?;
    let tokens = login.finish(attempt, &callback).await?;
    let provider = login.session().initial_tokens(tokens).build()?;
    let mut client = ServiceBuilder::new()
        .layer(AuthLayer::new(provider, Origins::only(&url)?))
        .service(Client::builder(TokioExecutor::new()).build_http());

    for what in ["a first call", "a call after the token was revoked"] {
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
