//! The layer on hyper-util's pooled client, over HTTP/1.1 and HTTP/2.
//!
//! `cargo run --example hyper_client`

#[path = "quickstart/servers.rs"]
#[allow(dead_code, reason = "the quickstart uses more of it")]
mod servers;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tower::{ServiceBuilder, ServiceExt};
use tower_auth::{AuthLayer, BoxError, Origins, oauth2::ClientCredentials};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let servers = servers::Servers::start().await?;
    let provider = ClientCredentials::builder(servers.token_url())
        .client_id("my-service")
        .client_secret("not a secret")
        // Use a separate connection pool, so that token requests never wait for API responses.
        .http(Client::builder(TokioExecutor::new()).build_http())
        .build()?;
    let layer = AuthLayer::new(provider, Origins::only(servers.api_url())?);

    for http2 in [false, true] {
        let client = Client::builder(TokioExecutor::new())
            .http2_only(http2)
            .build_http::<Full<Bytes>>();
        // Both clients share the layer's token.
        let service = ServiceBuilder::new().layer(layer.clone()).service(client);

        let request = Request::get(format!("{}/things", servers.api_url())).body(Full::default())?;
        let response = service.oneshot(request).await?;
        println!("{:?} {}", response.version(), response.status());
        let body = response.into_body().collect().await?.to_bytes();
        println!("{}", String::from_utf8_lossy(&body));
        servers.revoke();
        println!("(the server revokes the token)");
    }
    println!("{}", layer.handle().status());
    Ok(())
}
