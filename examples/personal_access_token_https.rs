//! A third-party platform with a personal access token of one's own, kept confidential: it goes to
//! the platform and nowhere else.
//!
//! `PLATFORM_TOKEN=.. cargo run --example personal_access_token_https` (there is a default)

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
    let elsewhere = format!("http://{}", serve::serve(platform_of_others).await?);

    // From the environment, never from the program's text.
    let token = std::env::var("PLATFORM_TOKEN").unwrap_or_else(|_| "pat_4f2a".to_owned());
    let token = Bearer::new(token)?;
    println!("the token does not show: {token:?}");

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
    println!("to another server: {}, because: {why:?}", response.status());
    assert!(response.status().is_success() && why.is_some());

    let refused = Origins::only("http://platform.example.com").unwrap_err();
    println!("without TLS: {refused}");
    Ok(())
}

/// The server.
async fn platform(request: Request<String>) -> Response<String> {
    let header = request.headers().get("authorization");
    let has_token = header.is_some_and(|value| value.as_bytes().starts_with(b"Bearer "));
    serve::answer(if has_token { 200 } else { 401 }, "{}")
}

/// A server that must not see the token.
async fn platform_of_others(request: Request<String>) -> Response<String> {
    let has_token = request.headers().contains_key("authorization");
    serve::answer(if has_token { 500 } else { 200 }, "{}")
}
