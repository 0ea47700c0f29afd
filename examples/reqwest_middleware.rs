//! The layer for `reqwest_middleware`, stacked with reqwest-retry in the right order.
//!
//! `cargo run --features reqwest-middleware --example reqwest_middleware`

#[path = "quickstart/servers.rs"]
#[allow(dead_code, reason = "the quickstart uses more of it")]
mod servers;

use reqwest_middleware::ClientBuilder;
use reqwest_retry::{RetryTransientMiddleware, policies::ExponentialBackoff};
use tower_auth::{
    AuthLayer, BoxError, Origins, SkipAuth,
    oauth2::ClientCredentials,
    reqwest::{same_origin_redirects, token_client},
};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let servers = servers::Servers::start().await?;
    let provider = ClientCredentials::builder(servers.token_url())
        .client_id("my-service")
        .client_secret("not a secret")
        .http(token_client(reqwest::Client::builder())?)
        .build()?;
    let layer = AuthLayer::new(provider, Origins::only(servers.api_url())?);

    let client = reqwest::Client::builder()
        .redirect(same_origin_redirects())
        .build()?;
    let client = ClientBuilder::new(client)
        // The retry middleware is outermost, so every attempt uses the current token.
        .with(RetryTransientMiddleware::new_with_policy(
            ExponentialBackoff::builder().build_with_max_retries(3),
        ))
        .with(layer.middleware())
        .build();

    let url = format!("{}/things", servers.api_url());
    let response = client.get(&url).send().await?;
    println!("with a token: {}", response.status());

    servers.revoke();
    let response = client.post(&url).body("a new thing").send().await?;
    println!("after the token was revoked: {}", response.status());

    let response = client.get(&url).with_extension(SkipAuth).send().await?;
    println!(
        "without a token, because of SkipAuth: {}",
        response.status()
    );
    println!("token requests: {}", servers.seen().token_requests);
    Ok(())
}
