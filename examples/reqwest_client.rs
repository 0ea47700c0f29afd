//! A tower stack on a `reqwest::Client`.
//!
//! `cargo run --features reqwest --example reqwest_client`

#[path = "quickstart/servers.rs"]
#[allow(dead_code, reason = "the quickstart uses more of it")]
mod servers;

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use tower::{ServiceBuilder, ServiceExt};
use tower_auth::{
    AuthLayer, BoxError, Origins,
    oauth2::ClientCredentials,
    reqwest::{ReqwestService, same_origin_redirects, token_client},
};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let servers = servers::Servers::start().await?;
    let provider = ClientCredentials::builder(servers.token_url())
        .client_id("my-service")
        .client_secret("not a secret")
        .http(token_client(reqwest::Client::builder())?)
        .build()?;
    // reqwest follows redirects below the layer. This policy keeps them within the same origin.
    let client = reqwest::Client::builder()
        .redirect(same_origin_redirects())
        .build()?;
    let service = ServiceBuilder::new()
        .timeout(Duration::from_secs(30))
        .layer(AuthLayer::new(provider, Origins::only(servers.api_url())?))
        .service(ReqwestService::new(client));

    for what in [
        "the first call gets a token",
        "the second call uses it",
        "the third call refreshes it",
    ] {
        let request = Request::post(format!("{}/things", servers.api_url()))
            .body(Full::<Bytes>::from("a new thing"))?;
        let response = service.clone().oneshot(request).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        println!("{what}: {status}, {}", String::from_utf8_lossy(&body));
        if what.starts_with("the second") {
            servers.revoke();
        }
    }
    println!("token requests: {}", servers.seen().token_requests);
    Ok(())
}
