#[allow(dead_code, reason = "each test file uses a part of it")]
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

async fn lock(store: &RedisStore, ttl: Duration) -> Fence {
    match store.try_lock(&key(), "me", ttl).await.unwrap() {
        LockAttempt::Acquired(fence) => fence,
        LockAttempt::HeldFor(left) => panic!("held for {left:?}"),
    }
}

async fn save(store: &RedisStore, fence: Fence, replaces: u64) -> Result<WriteOutcome, StoreError> {
    let tokens = TokenSet::new("hunter2").with_refresh_token("hunter3");
    let (replaces, revision) = (Revision(replaces), Revision(replaces + 1));
    let save = SaveRequest::new(fence, replaces, revision, &tokens);
    store.save(&key(), save).await
}

/// P42, P12. Each store has a separate connection, as another process would.
#[tokio::test]
async fn it_conforms_to_the_store_contract() {
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
    assert_eq!(save(&one, fence, 0).await.unwrap(), WriteOutcome::Applied);
    assert_eq!(other.load(&key()).await.unwrap().revision, Revision(1));
    one.unlock(&key(), fence).await.unwrap();
    assert!(lock(&other, LONG).await > fence);
    assert_eq!(save(&one, fence, 1).await.unwrap(), WriteOutcome::Conflict);

    let elsewhere = RedisStore::builder(&server.url()).prefix("other:");
    lock(&elsewhere.connect().await.unwrap(), LONG).await;
}

/// P60.
#[tokio::test]
async fn a_restarted_server_is_found_and_has_kept_everything() {
    let Some(mut server) = RedisServer::synced() else {
        return;
    };
    let store = connect(&server).await;
    assert_eq!(store.durability(), Durability::Synced);
    let fence = lock(&store, LONG).await;
    for revision in 0..3 {
        server.restart();
        // Even the first operation after the restart succeeds.
        assert_eq!(
            store.load(&key()).await.unwrap().revision,
            Revision(revision)
        );
        assert_eq!(
            save(&store, fence, revision).await.unwrap(),
            WriteOutcome::Applied
        );
    }

    server.kill();
    let error = text(&store.load(&key()).await.unwrap_err());
    assert!(
        error.contains("cannot connect: Connection refused"),
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

/// P60: a program learns beforehand that the server can lose writes.
#[tokio::test]
async fn a_server_that_can_lose_writes_is_reported() {
    let Some(mut server) = RedisServer::forgetful() else {
        return;
    };
    let store = connect(&server).await;
    let lost = |durability| matches!(durability, Durability::Lossy(_));
    assert!(lost(store.durability()));
    let fence = lock(&store, LONG).await;
    assert_eq!(save(&store, fence, 0).await.unwrap(), WriteOutcome::Applied);
    server.restart();
    assert_eq!(store.load(&key()).await.unwrap().revision, Revision(0));
    // The lock is lost too, but its number is not reused.
    let next = lock(&store, LONG).await;
    assert!(next > fence);
    assert_eq!(
        save(&store, fence, 0).await.unwrap(),
        WriteOutcome::Conflict
    );
    // Nor is it reused after the server's clock is set back.
    store.unlock(&key(), next).await.unwrap();
    command(
        &server,
        &["HSET", "tower-auth:key", "fence", "99999999999999"],
    );
    assert_eq!(lock(&store, LONG).await, Fence(100_000_000_000_000));

    for (appends, syncs, expected) in [
        ("yes", "everysec", "once a second"),
        ("yes", "no", "lets the operating system decide"),
        ("no", "always", "since its last snapshot"),
    ] {
        command(&server, &["CONFIG", "SET", "appendonly", appends]);
        command(&server, &["CONFIG", "SET", "appendfsync", syncs]);
        let Durability::Lossy(why) = connect(&server).await.durability() else {
            panic!("{appends} {syncs}");
        };
        assert!(why.contains(expected), "{why}");
    }
}

/// P42: a lock does not depend on the client's clock or on its process.
#[tokio::test]
async fn a_lock_expires_by_the_clock_of_the_server() {
    let Some(server) = RedisServer::synced() else {
        return;
    };
    let store = connect(&server).await;
    let fence = lock(&store, LONG).await;
    let server_time = || {
        let response = command(&server, &["TIME"]);
        response
            .split("\r\n")
            .nth(2)
            .unwrap()
            .parse::<u64>()
            .unwrap()
            * 1000
    };
    let until = command(&server, &["HGET", "tower-auth:key", "locked_until"]);
    let until: u64 = until.split("\r\n").nth(1).unwrap().parse().unwrap();
    let left = until - server_time();
    assert!((50_000..=61_000).contains(&left), "{left}");

    let end = (server_time() - 1).to_string();
    command(&server, &["HSET", "tower-auth:key", "locked_until", &end]);
    assert!(lock(&store, Duration::from_nanos(1)).await > fence);
    tokio::time::sleep(Duration::from_millis(2)).await;
    // The longest possible lease is valid.
    let fence = lock(&store, Duration::MAX).await;
    let attempt = store.try_lock(&key(), "me", LONG).await.unwrap();
    assert!(matches!(attempt, LockAttempt::HeldFor(left) if left > LONG));
    assert_eq!(
        store.renew(&key(), fence, Duration::MAX).await.unwrap(),
        WriteOutcome::Applied
    );
}

#[tokio::test]
async fn an_entry_is_removed_after_its_time_to_live() {
    let Some(server) = RedisServer::synced() else {
        return;
    };
    let hour = Duration::from_secs(3600);
    let builder = RedisStore::builder(&server.url()).time_to_live(hour);
    let store = builder.connect().await.unwrap();
    let left = || {
        let response = command(&server, &["TTL", "tower-auth:key"]);
        response
            .trim_start_matches(':')
            .trim_end()
            .parse::<i64>()
            .unwrap()
    };
    assert_eq!(store.load(&key()).await.unwrap().revision, Revision(0));
    assert_eq!(left(), -2, "reading does not create an entry");
    let fence = lock(&store, LONG).await;
    for number in 0..6 {
        assert!((3595..=3600).contains(&left()), "{number}: {}", left());
        command(&server, &["EXPIRE", "tower-auth:key", "100"]);
        match number {
            0 => assert_eq!(save(&store, fence, 0).await.unwrap(), WriteOutcome::Applied),
            1 => assert_eq!(
                store.renew(&key(), fence, LONG).await.unwrap(),
                WriteOutcome::Applied
            ),
            2 => assert_eq!(store.delete(&key()).await.unwrap(), Revision(2)),
            3 => store.unlock(&key(), fence).await.unwrap(),
            4 => assert_eq!(
                store.set_intent(&key(), fence, None).await.unwrap(),
                WriteOutcome::Applied
            ),
            _ => {
                store.load(&key()).await.unwrap();
                assert!(left() <= 100, "reading does not prolong it");
            }
        }
    }
    // An entry is not removed while its lock is held.
    let _ = lock(&store, hour * 2).await;
    assert!((7195..=7200).contains(&left()), "{}", left());
    store.delete(&key()).await.unwrap();
    assert!((7195..=7200).contains(&left()), "{}", left());

    // A write by a store without the setting keeps the entry forever.
    connect(&server).await.delete(&key()).await.unwrap();
    assert_eq!(left(), -1);

    let short = RedisStore::builder(&server.url()).time_to_live(Duration::from_millis(59_999));
    let error = text(&short.connect().await.unwrap_err());
    assert!(
        error.contains("time_to_live is shorter than a minute"),
        "{error}"
    );
}

/// P44: the error names the value but does not quote it.
#[tokio::test]
async fn a_foreign_value_is_an_error_and_is_not_overwritten() {
    let Some(server) = RedisServer::synced() else {
        return;
    };
    let store = connect(&server).await;
    let entry = |changes: &[&'static str]| {
        let fields = "version=1 revision=0 fence=0 locked_until=0";
        let fields = fields.split(' ').chain(changes.iter().copied());
        let fields: Vec<_> = fields.flat_map(|field| field.split_once('=')).collect();
        let words = fields.into_iter().flat_map(|(name, value)| [name, value]);
        ["HSET", "tower-auth:key"]
            .into_iter()
            .chain(words)
            .collect::<Vec<_>>()
    };
    for (made_by, why) in [
        (
            vec!["SET", "tower-auth:key", "hunter2"],
            "it is a string, not a hash",
        ),
        (
            vec!["LPUSH", "tower-auth:key", "hunter2"],
            "it is a list, not a hash",
        ),
        (
            vec!["HSET", "tower-auth:key", "hunter2", "hunter2"],
            "it has no version",
        ),
        (entry(&["version=2"]), "another version of this program"),
        (entry(&["revision="]), "its revision is not a number"),
        (
            entry(&["revision=1000000000000000000"]),
            "its revision is not a number",
        ),
        (entry(&["revision=-1"]), "its revision is not a number"),
        (entry(&["fence=1e3"]), "its fence is not a number"),
        (
            entry(&["fence=9999999999999999"]),
            "its fence is not a number",
        ),
        (
            entry(&["locked_until=hunter2"]),
            "its locked_until is not a number",
        ),
        (entry(&["tokens=hunter2"]), "its tokens cannot be parsed"),
        (entry(&["intent={\"hunter2"]), "its intent cannot be parsed"),
        (entry(&["intent=\u{fffd}"]), "its intent cannot be parsed"),
    ] {
        command(&server, &["DEL", "tower-auth:key"]);
        command(&server, &made_by);
        let before = command(&server, &["DUMP", "tower-auth:key"]);
        for error in [
            store.load(&key()).await.unwrap_err(),
            save(&store, Fence(0), 0).await.unwrap_err(),
            store.delete(&key()).await.unwrap_err(),
            store.try_lock(&key(), "me", LONG).await.unwrap_err(),
            store.renew(&key(), Fence(0), LONG).await.unwrap_err(),
            store.unlock(&key(), Fence(0)).await.unwrap_err(),
            store.set_intent(&key(), Fence(0), None).await.unwrap_err(),
        ] {
            let text = format!("{error:#} {error:?}");
            assert!(
                text.contains(why) && text.contains("`tower-auth:key`"),
                "{text}"
            );
            assert!(text.contains("DEL") && !text.contains("hunter2"), "{text}");
        }
        assert_eq!(command(&server, &["DUMP", "tower-auth:key"]), before);
    }
    // The scripts accept any JSON; the store rejects JSON with the wrong structure.
    command(&server, &["DEL", "tower-auth:key"]);
    for tokens in ["tokens=[]", "tokens={}", "tokens={\"access_token\":5}"] {
        command(&server, &entry(&[tokens]));
        let error = text(&store.load(&key()).await.unwrap_err());
        assert!(error.contains("it cannot be parsed"), "{error}");
    }
}

/// P44.
#[tokio::test]
async fn a_server_out_of_memory_changes_nothing() {
    let Some(server) = RedisServer::synced() else {
        return;
    };
    let store = connect(&server).await;
    let fence = lock(&store, LONG).await;
    assert_eq!(save(&store, fence, 0).await.unwrap(), WriteOutcome::Applied);
    let before = command(&server, &["DUMP", "tower-auth:key"]);
    command(&server, &["CONFIG", "SET", "maxmemory", "1"]);
    for error in [
        save(&store, fence, 1).await.unwrap_err(),
        store.delete(&key()).await.unwrap_err(),
        store.unlock(&key(), fence).await.unwrap_err(),
        store.renew(&key(), fence, LONG).await.unwrap_err(),
    ] {
        let text = text(&error);
        assert!(text.contains("OOM") && !text.contains("hunter"), "{text}");
    }
    assert_eq!(store.load(&key()).await.unwrap().revision, Revision(1));
    assert_eq!(command(&server, &["DUMP", "tower-auth:key"]), before);
    command(&server, &["CONFIG", "SET", "maxmemory", "0"]);
    assert_eq!(store.delete(&key()).await.unwrap(), Revision(2));
}

/// Rule 10.
#[tokio::test]
async fn errors_contain_no_password() {
    let Some(server) = RedisServer::start(&["--requirepass", "hunter2"]) else {
        return;
    };
    let url = |user: &str| server.url().replace("//", &format!("//{user}"));
    for (user, why) in [
        (
            ":hunter3@",
            "the server rejects the user name or the password",
        ),
        (
            "unknown:hunter2@",
            "the server rejects the user name or the password",
        ),
        ("", "NOAUTH"),
    ] {
        let error = RedisStore::connect(&url(user)).await.unwrap_err();
        let text = format!("{error:#} {error:?}");
        assert!(text.contains(why), "{text}");
        assert!(
            text.contains(&format!("redis at 127.0.0.1:{}", server.port())),
            "{text}"
        );
        assert!(!text.contains("hunter"), "{text}");
    }
    let builder = RedisStore::builder(&url(":hunter2@"));
    assert!(!format!("{builder:?}").contains("hunter"));
    let store = builder.connect().await.unwrap();
    assert!(!format!("{store:?} {}", store.name()).contains("hunter"));
    assert_eq!(
        save(&store, Fence(0), 0).await.unwrap(),
        WriteOutcome::Applied
    );
}

/// Rule 10: a server without scripts quotes the command that it received.
#[tokio::test]
async fn a_server_without_scripts_is_an_error_at_connect() {
    let Some(server) = RedisServer::start(&["--rename-command", "EVALSHA", ""]) else {
        return;
    };
    let store = RedisStore::builder(&server.url())
        .prefix("hunter2")
        .connect();
    let error = text(&store.await.unwrap_err());
    assert!(error.ends_with("ERR unknown command 'EVALSHA'"), "{error}");
}

/// Uses the permissions that the docs list.
#[tokio::test]
async fn the_documented_permissions_suffice() {
    let Some(server) = RedisServer::synced() else {
        return;
    };
    let allowed = "~tower-auth:* +@hash +@keyspace +@scripting +@connection +time";
    let mut words = vec!["ACL", "SETUSER", "me", "on", ">hunter2"];
    words.extend(allowed.split(' '));
    command(&server, &words);
    let url = server.url().replace("//", "//me:hunter2@");
    let store = RedisStore::connect(&url).await.unwrap();
    assert_eq!(store.durability(), Durability::Unknown);
    conformance::run(|| store.clone()).await;

    command(&server, &["ACL", "SETUSER", "me", "+config|get"]);
    let store = RedisStore::connect(&url).await.unwrap();
    assert_eq!(store.durability(), Durability::Synced);

    let other = RedisStore::builder(&url).prefix("other:").connect().await;
    let error = text(&other.unwrap_err());
    assert!(
        error.contains("NOPERM") || error.contains("permission"),
        "{error}"
    );
}

/// Each operation ends before the store's limit of 5 s, with a specific error.
#[tokio::test]
async fn a_server_that_does_not_respond_is_an_error() {
    let Some(server) = RedisServer::synced() else {
        return;
    };
    let store = connect(&server).await;
    command(&server, &["CLIENT", "PAUSE", "2500", "ALL"]);
    let error = text(&store.load(&key()).await.unwrap_err());
    assert!(error.contains("no response within 2 s"), "{error}");
    // The next operation does not queue behind the failed one.
    assert_eq!(store.load(&key()).await.unwrap().revision, Revision(0));

    let unreachable = RedisStore::connect("redis://:hunter2@127.0.0.1:1/").await;
    let error = text(&unreachable.unwrap_err());
    assert!(
        error.contains("(redis at 127.0.0.1:1) failed to open: cannot connect: "),
        "{error}"
    );
    assert!(!error.contains("hunter2"), "{error}");
}

/// A connection belongs to the runtime that established it; the store does not.
#[test]
fn a_store_outlives_the_runtime_that_connected_it() {
    let Some(server) = RedisServer::synced() else {
        return;
    };
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().build().unwrap()
    };
    let store = runtime().block_on(connect(&server));
    for _ in 0..2 {
        let stored = runtime().block_on(store.load(&key())).unwrap();
        assert_eq!(stored.revision, Revision(0));
    }
}

/// If the response to `try_lock` is lost, a second attempt would find the lock held.
#[tokio::test]
async fn an_operation_that_is_not_idempotent_is_sent_once() {
    let Some(mut server) = RedisServer::synced() else {
        return;
    };
    let store = connect(&server).await;
    server.restart();
    let attempt = store.try_lock(&key(), "me", LONG).await;
    assert!(
        attempt.is_err(),
        "the store cannot know that it was not sent"
    );
    let fence = lock(&store, LONG).await;
    server.restart();
    assert!(save(&store, fence, 0).await.is_err());
    assert_eq!(save(&store, fence, 0).await.unwrap(), WriteOutcome::Applied);
}

/// The `redis` crate's `ConnectionManager` fails this: it returns the first refusal forever.
#[tokio::test]
async fn a_refused_reconnection_is_attempted_again() {
    let Some(server) = RedisServer::start(&["--requirepass", "hunter2"]) else {
        return;
    };
    let url = server.url().replace("//", "//:hunter2@");
    let store = RedisStore::connect(&url).await.unwrap();
    let client = redis::Client::open(&*url).unwrap();
    let mut admin = client.get_connection().unwrap();
    let mut admin = |words: &[&str]| {
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]).exec(&mut admin).unwrap();
    };
    admin(&["CONFIG", "SET", "requirepass", "changed"]);
    admin(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    for _ in 0..2 {
        let error = text(&store.load(&key()).await.unwrap_err());
        assert!(error.contains("rejects the user name"), "{error}");
    }
    admin(&["CONFIG", "SET", "requirepass", "hunter2"]);
    assert_eq!(store.load(&key()).await.unwrap().revision, Revision(0));
}

/// A failover can leave a connection that neither closes nor responds. The `redis` crate's
/// `ConnectionManager` fails this: it keeps such a connection.
#[tokio::test]
async fn a_silent_connection_is_replaced() {
    let Some(server) = RedisServer::synced() else {
        return;
    };
    let proxy = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("redis://{}", proxy.local_addr().unwrap());
    let address = format!("127.0.0.1:{}", server.port());
    let (silence, is_silent) = tokio::sync::watch::channel(false);
    tokio::spawn(async move {
        let mut connections = Vec::new();
        while let Ok((mut near, _)) = proxy.accept().await {
            // Only the first connection goes silent.
            let mut is_silent = is_silent.clone();
            let is_first = connections.is_empty();
            let mut far = tokio::net::TcpStream::connect(&address).await.unwrap();
            connections.push(tokio::spawn(async move {
                let is_silent = async {
                    let _ = is_silent.wait_for(|silent| *silent && is_first).await;
                };
                tokio::select! {
                    _ = tokio::io::copy_bidirectional(&mut near, &mut far) => return,
                    () = is_silent => {}
                }
                std::future::pending::<()>().await;
            }));
        }
    });
    let store = RedisStore::connect(&url).await.unwrap();
    silence.send_replace(true);
    let error = text(&store.load(&key()).await.unwrap_err());
    assert!(error.contains("no response within 2 s"), "{error}");
    assert_eq!(store.load(&key()).await.unwrap().revision, Revision(0));
}

/// A restarted server has no scripts.
#[tokio::test]
async fn scripts_are_loaded_again_if_the_server_lost_them() {
    let Some(server) = RedisServer::synced() else {
        return;
    };
    let store = connect(&server).await;
    let fence = lock(&store, LONG).await;
    command(&server, &["SCRIPT", "FLUSH"]);
    assert_eq!(save(&store, fence, 0).await.unwrap(), WriteOutcome::Applied);
}

/// Returns the messages of an error and its sources.
fn text(error: &StoreError) -> String {
    format!("{error:#}")
}

/// Runs a command with another client.
fn command(server: &RedisServer, words: &[&str]) -> String {
    let response = server.command(words).unwrap();
    assert!(!response.starts_with('-'), "{words:?}: {response}");
    response
}
