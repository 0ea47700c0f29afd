//! One of the processes. A real program would look like this.

use bytes::Bytes;
use futures::future::try_join_all;
use http::Request;
use http_body_util::Empty;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tokio::{
    io::AsyncReadExt,
    time::{Duration, sleep},
};
use tower::{Layer, ServiceExt};
#[cfg(feature = "redis")]
use tower_auth::store::RedisStore;
use tower_auth::{
    AuthLayer, BoxError, Origins,
    oauth2::RefreshTokenGrant,
    store::{FileStore, StoreKey},
};

/// Number of concurrent calls.
const CALLERS: usize = 20;

/// Calls the API until the input closes. Returns an error as soon as a call fails.
pub(crate) async fn work(
    number: &str,
    run: &str,
    server: &str,
    store: &str,
) -> Result<(), BoxError> {
    let token_url = format!("{server}/token");
    let provider = RefreshTokenGrant::builder(&token_url)
        .client_id("fleet")
        // The token from the login. After the first refresh, the newest token is in the store.
        .refresh_token("refresh-0")
        .param("worker", number)
        .http(Client::builder(TokioExecutor::new()).build_http());
    let key = StoreKey::issuer(&token_url).client("fleet").subject(run);
    let provider = match store {
        #[cfg(feature = "redis")]
        url if url.starts_with("redis") => {
            // The tokens of this run are not needed later.
            let store = RedisStore::builder(url).time_to_live(Duration::from_secs(60));
            provider.store(store.connect().await?, key)
        }
        #[cfg(not(feature = "redis"))]
        url if url.starts_with("redis") => return Err("Redis needs `--features redis`".into()),
        file => provider.store(FileStore::new(file)?, key),
    };
    let client = AuthLayer::new(provider.build()?, Origins::only(server)?)
        .layer(Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>());

    let call = || async {
        let request = Request::get(format!("{server}/things"))
            .header("x-worker", number)
            .body(Empty::new())?;
        let response = client.clone().oneshot(request).await?;
        match response.status().is_success() {
            true => Ok(()),
            false => Err(BoxError::from(response.status().to_string())),
        }
    };
    let calls = async {
        loop {
            try_join_all((0..CALLERS).map(|_| call())).await?;
            sleep(Duration::from_millis(100)).await;
        }
    };
    let mut input = tokio::io::stdin();
    let mut nothing = [0];
    tokio::select! {
        result = calls => result,
        _ = input.read(&mut nothing) => Ok(()),
    }
}
