//! A personal access token that stays confidential: it is sent only to the API's origin, and only
//! over https or loopback.
//!
//! `PLATFORM_TOKEN=... cargo run --example personal_access_token_https` (the variable is optional)

#[path = "support/serve.rs"]
mod serve;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Empty;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tower::{Service, ServiceBuilder, ServiceExt};
use tower_auth::{AuthLayer, BoxError, NotAttached, Origins, credential::Bearer};

#[tokio::main]
pub(crate) async fn main() -> Result<(), BoxError> {
    let platform = format!("http://{}", serve::serve(platform).await?);
    let elsewhere = format!("http://{}", serve::serve(other_server).await?);

    // Read tokens from the environment. Never put them in the source code.
    let token = std::env::var("PLATFORM_TOKEN").unwrap_or_else(|_| "pat_4f2a".to_owned());
    let token = Bearer::new(token)?;
    println!("Debug does not show the token: {token:?}");

    let mut client = ServiceBuilder::new()
        .layer(AuthLayer::new(token, Origins::only(&platform)?))
        .service(Client::builder(TokioExecutor::new()).build_http());

    let request = Request::get(format!("{platform}/me")).body(Empty::<Bytes>::new())?;
    let response = client.ready().await?.call(request).await?;
    println!("to the platform: {}", response.status());
    assert!(response.status().is_success());

    let request = Request::get(format!("{elsewhere}/me")).body(Empty::<Bytes>::new())?;
    let response = client.ready().await?.call(request).await?;
    let why = response.extensions().get::<NotAttached>();
    println!(
        "to another server: {}, without the token: {why:?}",
        response.status()
    );
    assert!(response.status().is_success() && why.is_some());

    let refused = Origins::only("http://platform.example.com").unwrap_err();
    println!("plain http to another machine: {refused}");
    Ok(())
}

/// Handles the API's requests.
async fn platform(request: Request<String>) -> Response<String> {
    let header = request.headers().get("authorization");
    let has_token = header.is_some_and(|value| value.as_bytes().starts_with(b"Bearer "));
    serve::response(if has_token { 200 } else { 401 }, "{}")
}

/// Handles the requests to a server that must not see the token.
async fn other_server(request: Request<String>) -> Response<String> {
    let has_token = request.headers().contains_key("authorization");
    serve::response(if has_token { 500 } else { 200 }, "{}")
}
