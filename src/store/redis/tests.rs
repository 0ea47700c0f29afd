#[allow(dead_code, reason = "each test file uses some of it")]
#[path = "../../../tests/support/redis.rs"]
mod support;

use self::support::RedisServer;
use super::*;
use crate::store::{TokenSet, conformance};

const LONG: Duration = Duration::from_secs(60);

fn key() -> StoreKey {
    StoreKey::new("key")
}

async fn connect(server: &RedisServer) -> RedisStore {
    RedisStore::connect(&server.url()).await.unwrap()
}

async fn lock(store: &RedisStore, lasts: Duration) -> Fence {
    match store.try_lock(&key(), "me", lasts).await.unwrap() {
        LockAttempt::Acquired(fence) => fence,
        LockAttempt::HeldFor(left) => panic!("held for {left:?}"),
    }
}

async fn save(store: &RedisStore, fence: Fence, replaces: u64) -> Result<Written, StoreError> {
    let tokens = TokenSet::new("hunter2").with_refresh_token("hunter3");
    let (replaces, revision) = (Revision(replaces), Revision(replaces + 1));
    let save = Save {
        fence,
        replaces,
        revision,
        tokens: &tokens,
    };
    store.save(&key(), save).await
}

/// P42, P12. Each part has a connection of its own, as another process does.
#[tokio::test]
async fn it_is_a_store() {
    let Some(server) = RedisServer::synced() else {
        return;
    };
    let stores = futures::future::join_all((0..14).map(|_| connect(&server))).await;
    let next = std::cell::Cell::new(0);
    conformance::run(|| {
        next.set(next.get() + 1);
        stores[next.get() - 1].clone()
    })
    .await;
}

/// P42.
#[tokio::test]
async fn stores_on_one_server_see_each_others_locks() {
    let Some(server) = RedisServer::synced() else {
        return;
    };
    let (one, other) = (connect(&server).await, connect(&server).await);
    let fence = lock(&one, LONG).await;
    let attempt = other.try_lock(&key(), "me", LONG).await.unwrap();
    assert!(matches!(attempt, LockAttempt::HeldFor(left) if left > LONG / 2 && left <= LONG));
    assert_eq!(save(&one, fence, 0).await.unwrap(), Written::Done);
    assert_eq!(other.load(&key()).await.unwrap().revision, Revision(1));
    one.unlock(&key(), fence).await.unwrap();
    assert!(lock(&other, LONG).await > fence);
    assert_eq!(save(&one, fence, 1).await.unwrap(), Written::Refused);

    let elsewhere = RedisStore::builder(&server.url()).prefix("other:");
    lock(&elsewhere.connect().await.unwrap(), LONG).await;
}

/// P60.
#[tokio::test]
async fn a_server_that_was_killed_is_found_again_and_has_what_it_acknowledged() {
    let Some(mut server) = RedisServer::synced() else {
        return;
    };
    let store = connect(&server).await;
    assert_eq!(store.durability(), Durability::Synced);
    let fence = lock(&store, LONG).await;
    for revision in 0..3 {
        server.restart();
        // Even the first operation after it finds its way.
        assert_eq!(
            store.load(&key()).await.unwrap().revision,
            Revision(revision)
        );
        assert_eq!(save(&store, fence, revision).await.unwrap(), Written::Done);
    }

    server.kill();
    let error = store.load(&key()).await.unwrap_err().to_string();
    assert!(
        error.contains("no connection: Connection refused"),
        "{error}"
    );
    server.restart();
    let stored = store.load(&key()).await.unwrap();
    assert_eq!(stored.revision, Revision(3));
    assert_eq!(
        stored.tokens.unwrap().expose_refresh_token(),
        Some("hunter3")
    );
}
