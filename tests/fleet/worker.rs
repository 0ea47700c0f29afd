//! One process of the fleet: this test program, started again.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::Request;
use http_body_util::Empty;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};
use tower::{Layer, ServiceExt};
use tower_auth::{
    AuthLayer, Origins,
    oauth2::RefreshToken,
    store::{FileStore, StoreKey},
};

pub(crate) const STORE: &str = "FLEET_STORE";
pub(crate) const SERVER: &str = "FLEET_SERVER";
pub(crate) const SECONDS: &str = "FLEET_SECONDS";

const CALLERS: usize = 100;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn works_if_it_is_told_to() {
    let Some(store) = std::env::var_os(STORE) else {
        return;
    };
    let server = std::env::var(SERVER).unwrap();
    let seconds: u64 = std::env::var(SECONDS).unwrap().parse().unwrap();

    let token_url = format!("{server}/token");
    let provider = RefreshToken::builder(&token_url)
        .client_id("fleet")
        .store(
            FileStore::new(store).unwrap(),
            StoreKey::issuer(&token_url).client("fleet"),
        )
        .refresh_token("refresh-0")
        .http(Client::builder(TokioExecutor::new()).build_http())
        .build()
        .unwrap();
    let layer = AuthLayer::new(provider, Origins::only(&server).unwrap());
    // One connection for each process: many systems allow no thousand open files.
    let client = Client::builder(TokioExecutor::new())
        .http2_only(true)
        .build_http::<Empty<Bytes>>();
    let client = layer.layer(client);

    let end = Instant::now() + Duration::from_secs(seconds);
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let (client, url) = (client.clone(), format!("{server}/api"));
        callers.spawn(async move {
            let (mut calls, mut failed) = (0u64, 0u64);
            sleep(Duration::from_millis(caller as u64)).await;
            while Instant::now() < end {
                let request = Request::get(&url).body(Empty::new()).unwrap();
                calls += 1;
                match client.clone().oneshot(request).await {
                    Ok(response) if response.status() == 200 => {}
                    Ok(response) => {
                        failed += 1;
                        eprintln!("{} {:?}", response.status(), response.extensions().len());
                    }
                    Err(error) => {
                        failed += 1;
                        eprintln!("{:?} {error}", SystemTime::now());
                    }
                }
                sleep(Duration::from_millis(100)).await;
            }
            (calls, failed)
        });
    }
    let counts = callers.join_all().await;
    let calls: u64 = counts.iter().map(|(calls, _)| calls).sum();
    let failed: u64 = counts.iter().map(|(_, failed)| failed).sum();
    println!(
        "\nREPORT process {} : {calls} calls, {failed} failed",
        std::process::id()
    );
}
