//! Observability: events on the terminal, and metrics on a page for Prometheus.
//!
//! `cargo run --features tracing,metrics --example watch` calls an API for a few seconds.
//! Meanwhile, tokens expire, one is revoked, and a token request fails. At the end, the program
//! prints the metrics page, which is also served at the printed URL while it runs.
//! `RUST_LOG=tower_auth=debug` shows more events.

#[path = "support/serve.rs"]
mod serve;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use bytes::Bytes;
use futures::future::join_all;
use http::Request;
use http_body_util::Empty;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use metrics_exporter_prometheus::PrometheusBuilder;
use tokio::time::sleep;
use tower::{ServiceBuilder, ServiceExt};
use tower_auth::{
    AuthLayer, BoxError, Origins, RefreshSettings, describe_metrics, oauth2::ClientCredentials,
};
use tracing_subscriber::EnvFilter;

/// The servers' state. Tokens are valid for 2 s. The third token request gets a 503.
#[derive(Default)]
struct Servers {
    token_requests: AtomicU64,
    /// Tokens with a smaller number are revoked.
    oldest_valid: AtomicU64,
}

impl Servers {
    fn handle(&self, request: &Request<String>) -> http::Response<String> {
        if request.uri().path() == "/token" {
            return match self.token_requests.fetch_add(1, SeqCst) + 1 {
                3 => serve::response(503, ""),
                number => serve::response(
                    200,
                    format!(
                        r#"{{"access_token":"t-{number}","token_type":"bearer","expires_in":2}}"#
                    ),
                ),
            };
        }
        let header = request.headers().get("authorization");
        let token = header.and_then(|value| value.to_str().ok()?.strip_prefix("Bearer t-"));
        let number = token.and_then(|number| number.parse().ok());
        let is_valid = number.is_some_and(|number: u64| number >= self.oldest_valid.load(SeqCst));
        serve::response(if is_valid { 200 } else { 401 }, "")
    }

    fn revoke(&self) {
        self.oldest_valid
            .store(self.token_requests.load(SeqCst) + 1, SeqCst);
    }
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).init();
    let page = PrometheusBuilder::new()
        .set_quantiles(&[0.5, 0.99])?
        .install_recorder()?;
    describe_metrics();

    let scraped = page.clone();
    let address = serve::serve(move |_| {
        let text = scraped.render();
        async move { serve::response(200, &text) }
    });
    println!("metrics: http://{}/metrics", address.await?);

    let servers = Arc::new(Servers::default());
    let server = Arc::clone(&servers);
    let address = serve::serve(move |request| {
        let response = server.handle(&request);
        async move { response }
    });
    let url = format!("http://{}", address.await?);

    let tokens = ClientCredentials::builder(format!("{url}/token"))
        .client_id("watched")
        .client_secret("hidden")
        .http(Client::builder(TokioExecutor::new()).build_http())
        .build()?;
    let layer = AuthLayer::with_settings(
        tokens,
        Origins::only(&url)?,
        RefreshSettings::default().name("things"),
    );
    let client = ServiceBuilder::new()
        .layer(layer)
        .service(Client::builder(TokioExecutor::new()).build_http());
    for second in 0..8 {
        if second == 4 {
            servers.revoke();
        }
        for _ in 0..10 {
            let calls = (0..10).map(|_| {
                let request = Request::get(format!("{url}/things")).body(Empty::<Bytes>::new());
                let client = client.clone();
                async move { client.oneshot(request?).await }
            });
            for response in join_all(calls).await {
                assert_eq!(response?.status(), 200);
            }
            sleep(Duration::from_millis(100)).await;
        }
    }
    println!("\n{}", page.render());
    Ok(())
}
