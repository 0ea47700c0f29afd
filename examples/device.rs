//! A program on a device without a browser, such as a server or a television. The user logs in with
//! a code on another device.
//!
//! `cargo run --example device` starts its own server and simulates the user.
//! `cargo run --example device -- ISSUER CLIENT_ID API_URL` logs in at your server, which must
//! publish its metadata, and calls your API.

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
    // For https, use a connector with TLS, such as `hyper-rustls`.
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

    let code = login.start().await?;
    println!("Open {}", code.verification_uri());
    println!("and enter {}", code.user_code());
    if let Some(url) = code.verification_uri_complete() {
        println!("or open {url}");
    }
    if args.is_empty() {
        confirm_as_alice(&code);
    }
    let tokens = login.finish(code).await?;
    println!("Logged in.");

    // To keep the tokens after the program ends, add `.store(FileStore::new(path)?, key)`.
    let provider = login.session().initial_tokens(tokens).build()?;
    let client = ServiceBuilder::new()
        .layer(AuthLayer::new(provider, Origins::only(origin(&api)?)?))
        .service(Client::builder(TokioExecutor::new()).build_http());
    let request = Request::get(&api).body(Empty::<Bytes>::new())?;
    let response = client.oneshot(request).await?;
    println!("{api} returned {}:", response.status());
    let body = response.into_body().collect().await?.to_bytes();
    println!("{}", String::from_utf8_lossy(&body));
    Ok(())
}

/// Confirms the code as a user would in the browser.
fn confirm_as_alice(authorization: &DeviceAuthorization) {
    let (url, code) = (authorization.verification_uri(), authorization.user_code());
    let page = format!("{url}?user_code={code}&user=alice");
    tokio::spawn(async move { get(&page, "").await.map(drop) });
}

/// Returns the origin of the API, the only one that may receive the token.
fn origin(url: &str) -> Result<String, BoxError> {
    let url: http::Uri = url.parse()?;
    let (Some(scheme), Some(authority)) = (url.scheme_str(), url.authority()) else {
        return Err("API_URL must be a full URL, such as https://api.example.com/things".into());
    };
    Ok(format!("{scheme}://{authority}"))
}
