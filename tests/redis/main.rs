//! Providers that share tokens in a real Redis server, which is killed and restarted.

#[allow(dead_code, reason = "each test file uses a part of it")]
#[path = "../support/redis.rs"]
mod redis_server;
#[allow(dead_code, reason = "each test file uses a part of it")]
#[path = "../tokens/server.rs"]
mod server;

use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};
use tower_auth::{
    oauth2::{Builder, RefreshTokenGrant},
    store::{RedisStore, StoreError, StoreKey, TokenStore},
};

use redis_server::RedisServer;
use server::{Server, TOKEN_URL, auth_error, call, call_all};

fn key() -> StoreKey {
    StoreKey::issuer(TOKEN_URL).client("app").subject("alice")
}

/// Creates a provider as a separate process would: with its own connection, and starting with the
/// first refresh token.
async fn provider(server: &Server, redis: &RedisServer) -> Builder<RefreshTokenGrant> {
    let store = RedisStore::connect(&redis.url()).await.unwrap();
    RefreshTokenGrant::builder(TOKEN_URL)
        .client_id("app")
        .refresh_token("r0")
        .http(server.client())
        .store(store, key())
}

/// P41.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn providers_share_one_refresh() {
    let Some(redis) = RedisServer::synced() else {
        return;
    };
    let server = Server::new();
    let mut calls = Vec::new();
    for _ in 0..5 {
        let provider = provider(&server, &redis).await.build().unwrap();
        let (api, _) = server.layer(provider);
        calls.push(async move { call_all(&api, 20).await });
    }
    let failed: usize = futures::future::join_all(calls).await.into_iter().sum();
    assert_eq!(failed, 0);
    assert_eq!(server.trace(), ["refresh r0 200"]);
}

/// P44: once the token has expired, callers get an error that names the store. Once the server is
/// back, so are the tokens, without a new login.
#[tokio::test]
async fn a_valid_token_remains_in_use_while_redis_is_down() {
    let Some(mut redis) = RedisServer::synced() else {
        return;
    };
    let server = Server::new();
    server.state().expires_in = 5;
    let provider = provider(&server, &redis).await.build().unwrap();
    let (api, handle) = server.layer(provider);
    let start = Instant::now();
    call(&api).await.unwrap();
    redis.kill();
    // An early refresh is attempted after at most 3.5 s.
    while start.elapsed() < Duration::from_secs(4) {
        assert_eq!(call_all(&api, 10).await, 0);
        sleep(Duration::from_millis(100)).await;
    }
    let status = handle.status().to_string();
    let failure = format!(
        "the token store (redis at 127.0.0.1:{}) failed to load the tokens: cannot connect: ",
        redis.port()
    );
    assert!(status.contains(&failure), "{status}");

    sleep_until(start + Duration::from_millis(5500)).await;
    let error = auth_error(call(&api).await.unwrap_err());
    assert!(format!("{error:#}").contains(&failure), "{error:#}");
    let reason = error.provider_error().unwrap().get_ref();
    assert!(reason.downcast_ref::<StoreError>().is_some());
    assert_eq!(
        server.take_trace(),
        ["refresh r0 200"],
        "no refresh token is spent"
    );

    redis.restart();
    let mut failed = 10;
    for _ in 0..100 {
        failed = call_all(&api, 10).await;
        if failed == 0 {
            break;
        }
        sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(failed, 0);
    assert_eq!(server.take_trace(), ["refresh r1 200"]);
}

/// P60: a process that still has the newest token writes it back before an older one is spent.
#[tokio::test]
async fn tokens_that_redis_has_lost_are_written_back() {
    let Some(mut redis) = RedisServer::forgetful() else {
        return;
    };
    let server = Server::new();
    let one = provider(&server, &redis).await.build().unwrap();
    let (api, handle) = server.layer(one);
    call(&api).await.unwrap();
    handle.invalidate();
    call(&api).await.unwrap();
    assert_eq!(server.take_trace(), ["refresh r0 200", "refresh r1 200"]);

    redis.restart();
    let store = RedisStore::connect(&redis.url()).await.unwrap();
    assert!(store.load(&key()).await.unwrap().tokens.is_none());
    handle.invalidate();
    call(&api).await.unwrap();
    let (other, _) = server.layer(provider(&server, &redis).await.build().unwrap());
    assert_eq!(call_all(&other, 10).await, 0);
    assert_eq!(server.take_trace(), ["refresh r2 200"]);
}
