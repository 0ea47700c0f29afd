//! A command-line tool that logs its user in with the system's browser.
//!
//! `cargo run --features loopback --example login` starts its own server, with a login page.
//! `cargo run --features loopback --example login -- ISSUER CLIENT_ID API_URL` logs in at your
//! server, which must publish its metadata, and calls your API. Register
//! `http://127.0.0.1/callback` there as the client's redirect URI. If your server compares the port
//! too, set it with `PORT`.

#[path = "support/authorization_server.rs"]
mod authorization_server;

use std::env;

use authorization_server::AuthorizationServer;
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tower::{ServiceBuilder, ServiceExt};
use tower_auth::{
    AuthLayer, BoxError, Origins,
    oauth2::{AuthorizationCode, Loopback},
};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    // For https, use a connector with TLS, such as `hyper-rustls`.
    let http = Client::builder(TokioExecutor::new()).build_http();
    let args: Vec<_> = env::args().skip(1).collect();
    let (login, api) = match args.as_slice() {
        [issuer, client_id, api] => {
            let login = AuthorizationCode::discover(issuer, http).await?;
            let login = login.client_id(client_id).scopes(["openid"]);
            (login.build()?, api.clone())
        }
        [] => {
            let url = AuthorizationServer::default().start().await?;
            let authorize = format!("{url}/oauth/authorize");
            let login = AuthorizationCode::builder(authorize, format!("{url}/oauth/token"));
            let login = login.client_id("my-tool").http(http).build()?;
            (login, format!("{url}/api/me"))
        }
        _ => return Err("usage: login [ISSUER CLIENT_ID API_URL]".into()),
    };

    println!("Log in with the browser that opens ...");
    let mut browser = Loopback::new();
    if let Ok(port) = env::var("PORT") {
        browser = browser.port(port.parse()?);
    }
    let tokens = browser.log_in(&login).await?;
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

/// Returns the origin of the API, the only one that may receive the token.
fn origin(url: &str) -> Result<String, BoxError> {
    let url: http::Uri = url.parse()?;
    let (Some(scheme), Some(authority)) = (url.scheme_str(), url.authority()) else {
        return Err("API_URL must be a full URL, such as https://api.example.com/things".into());
    };
    Ok(format!("{scheme}://{authority}"))
}
