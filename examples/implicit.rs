//! A server of the SeeClickFix kind, and its implicit flow: the token comes back in the fragment of
//! the redirect's address, which the program that has the address hands over whole. Discouraged;
//! `authorization_code_web` is the better way.
//!
//! `cargo run --features implicit --example implicit`

#[path = "support/authorization_server.rs"]
mod authorization_server;

use authorization_server::{AuthorizationServer, person};
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
        .header_name("Authentication") // as one place of the API's description spells it
        .build()?;

    let attempt = login.start(REDIRECT_URI)?;
    let address = person(&login.authorization_url(&attempt), "alice").await?;
    println!("the browser ended at {REDIRECT_URI}#..");
    assert!(address.starts_with("https://app.example.com/callback#access_token="));
    let tokens = login.finish(attempt, &address)?;

    let provider = login.session().initial_tokens(tokens).build()?;
    let layer = AuthLayer::new(provider, Origins::only(&url)?);
    let mut client = ServiceBuilder::new()
        .layer(layer)
        .service(Client::builder(TokioExecutor::new()).build_http());
    let request = || Request::get(format!("{url}/api/me")).body(Empty::<Bytes>::new());
    let response = client.ready().await?.call(request()?).await?;
    let user = response.into_body().collect().await?.to_bytes();
    println!("the API knows {}", String::from_utf8_lossy(&user));
    assert_eq!(user, "alice");

    println!("somebody else's answer is not believed:");
    let attempt = login.start(REDIRECT_URI)?;
    let forged = format!("{REDIRECT_URI}#access_token=x&token_type=Bearer&state=guessed");
    let error = login.finish(attempt, &forged).err().ok_or("it was")?;
    println!("  {error:#}");
    assert!(error.is_forged());

    println!("a token that has ended needs the person:");
    server.revoke_access_tokens();
    let response = client.ready().await?.call(request()?).await?;
    assert_eq!(response.status(), 401);
    let Some(NotRetried::RefreshFailed(why)) = response.extensions().get() else {
        return Err("no reason is given".into());
    };
    println!("  {}: {why}", response.status());
    assert!(why.is_login_required());
    Ok(())
}
