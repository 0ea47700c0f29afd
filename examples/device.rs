//! A program without a browser, on a server or a television, that a person logs in at with a code.
//!
//! `cargo run --example device` has a server of its own, and somebody who enters the code.
//! `cargo run --example device -- ISSUER CLIENT_ID API_URL` logs in at a server that describes
//! itself, and calls an API with the token.

#[path = "support/authorization_server.rs"]
mod authorization_server;

use std::env;

use authorization_server::{AuthorizationServer, get};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tower::{ServiceBuilder, ServiceExt};
use tower_auth::{
    AuthLayer, BoxError, Origins,
    oauth2::{DeviceAuthorization, DeviceCode},
};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    // A connector with TLS, such as that of `hyper-rustls`, goes in the same place.
    let http = Client::builder(TokioExecutor::new()).build_http();
    let args: Vec<_> = env::args().skip(1).collect();
    let (login, api) = match args.as_slice() {
        [issuer, client_id, api] => {
            let login = DeviceCode::discover(issuer, http).await?;
            let login = login.client_id(client_id).scopes(["openid"]);
            (login.build()?, api.clone())
        }
        [] => {
            let url = AuthorizationServer::default().start().await?;
            let device = format!("{url}/oauth/device");
            let login = DeviceCode::builder(device, format!("{url}/oauth/token"));
            let login = login.client_id("my-tv").http(http).build()?;
            (login, format!("{url}/api/me"))
        }
        _ => return Err("usage: device [ISSUER CLIENT_ID API_URL]".into()),
    };

    let attempt = login.start().await?;
    println!("Open {}", attempt.verification_uri());
    println!("and enter {}", attempt.user_code());
    if let Some(url) = attempt.verification_uri_complete() {
        println!("or open {url}");
    }
    if args.is_empty() {
        alice_confirms(&attempt);
    }
    let tokens = login.finish(attempt).await?;
    println!("Logged in.");

    // A real program keeps them: `.store(FileStore::new(..)?, key)`.
    let provider = login.session().initial_tokens(tokens).build()?;
    let client = ServiceBuilder::new()
        .layer(AuthLayer::new(provider, Origins::only(origin(&api)?)?))
        .service(Client::builder(TokioExecutor::new()).build_http());
    let request = Request::get(&api).body(Empty::<Bytes>::new())?;
    let response = client.oneshot(request).await?;
    println!("{api} answered {}:", response.status());
    let body = response.into_body().collect().await?.to_bytes();
    println!("{}", String::from_utf8_lossy(&body));
    Ok(())
}

/// So that the example runs by itself.
fn alice_confirms(attempt: &DeviceAuthorization) {
    let code = attempt.user_code();
    let page = format!("{}?user_code={code}&user=alice", attempt.verification_uri());
    tokio::spawn(async move { get(&page, "").await.map(drop) });
}

/// Where the token may go: to the API, and nowhere else.
fn origin(url: &str) -> Result<String, BoxError> {
    let url: http::Uri = url.parse()?;
    let (Some(scheme), Some(authority)) = (url.scheme_str(), url.authority()) else {
        return Err("API_URL is no whole URL".into());
    };
    Ok(format!("{scheme}://{authority}"))
}
