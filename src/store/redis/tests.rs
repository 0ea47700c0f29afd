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

async fn lock(store: &RedisStore, ttl: Duration) -> Fence {
    match store.try_lock(&key(), "me", ttl).await.unwrap() {
        LockAttempt::Acquired(fence) => fence,
        LockAttempt::HeldFor(left) => panic!("held for {left:?}"),
    }
}

async fn save(store: &RedisStore, fence: Fence, replaces: u64) -> Result<WriteOutcome, StoreError> {
    let tokens = TokenSet::new("hunter2").with_refresh_token("hunter3");
    let (replaces, revision) = (Revision(replaces), Revision(replaces + 1));
    let save = SaveRequest {
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
        assert_eq!(
            save(&store, fence, revision).await.unwrap(),
            WriteOutcome::Applied
        );
    }

    server.kill();
    let error = store.load(&key()).await.unwrap_err().to_string();
    assert!(
        error.contains("no connection: Connection refused"),
        "{error:#}"
    );
    server.restart();
    let stored = store.load(&key()).await.unwrap();
    assert_eq!(stored.revision, Revision(3));
    assert_eq!(
        stored.tokens.unwrap().expose_refresh_token(),
        Some("hunter3")
    );
}

/// P60: what is lost is said beforehand.
#[tokio::test]
async fn a_server_that_forgets_says_so() {
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
    // The lock is lost too, but not its number.
    let next = lock(&store, LONG).await;
    assert!(next > fence);
    assert_eq!(
        save(&store, fence, 0).await.unwrap(),
        WriteOutcome::Conflict
    );
    // Nor is it given again when the server's clock is set back.
    store.unlock(&key(), next).await.unwrap();
    command(
        &server,
        &["HSET", "tower-auth:key", "fence", "99999999999999"],
    );
    assert_eq!(lock(&store, LONG).await, Fence(100_000_000_000_000));

    for (appends, syncs, expected) in [
        ("yes", "everysec", "once a second"),
        ("yes", "no", "leaves to the system"),
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

/// P42: neither the clock of the client nor its life ends a lock.
#[tokio::test]
async fn a_lock_runs_out_by_the_clock_of_the_server() {
    let Some(server) = RedisServer::synced() else {
        return;
    };
    let store = connect(&server).await;
    let fence = lock(&store, LONG).await;
    let server_time = || {
        let answer = command(&server, &["TIME"]);
        answer.split("\r\n").nth(2).unwrap().parse::<u64>().unwrap() * 1000
    };
    let until = command(&server, &["HGET", "tower-auth:key", "locked_until"]);
    let until: u64 = until.split("\r\n").nth(1).unwrap().parse().unwrap();
    let left = until - server_time();
    assert!((50_000..=61_000).contains(&left), "{left}");

    let end = (server_time() - 1).to_string();
    command(&server, &["HSET", "tower-auth:key", "locked_until", &end]);
    assert!(lock(&store, Duration::from_nanos(1)).await > fence);
    tokio::time::sleep(Duration::from_millis(2)).await;
    // The longest that can be said is no error.
    let fence = lock(&store, Duration::MAX).await;
    let attempt = store.try_lock(&key(), "me", LONG).await.unwrap();
    assert!(matches!(attempt, LockAttempt::HeldFor(left) if left > LONG));
    assert_eq!(
        store.renew(&key(), fence, Duration::MAX).await.unwrap(),
        WriteOutcome::Applied
    );
}

#[tokio::test]
async fn an_entry_ends_so_long_after_it_was_written_as_is_set() {
    let Some(server) = RedisServer::synced() else {
        return;
    };
    let hour = Duration::from_secs(3600);
    let builder = RedisStore::builder(&server.url()).time_to_live(hour);
    let store = builder.connect().await.unwrap();
    let left = || {
        let answer = command(&server, &["TTL", "tower-auth:key"]);
        answer
            .trim_start_matches(':')
            .trim_end()
            .parse::<i64>()
            .unwrap()
    };
    assert_eq!(store.load(&key()).await.unwrap().revision, Revision(0));
    assert_eq!(left(), -2, "reading makes no entry");
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
    // A lock is not lost with its entry.
    let _ = lock(&store, hour * 2).await;
    assert!((7195..=7200).contains(&left()), "{}", left());
    store.delete(&key()).await.unwrap();
    assert!((7195..=7200).contains(&left()), "{}", left());

    // Without the setting, whoever writes makes it stay.
    connect(&server).await.delete(&key()).await.unwrap();
    assert_eq!(left(), -1);

    let short = RedisStore::builder(&server.url()).time_to_live(Duration::from_millis(59_999));
    let error = short.connect().await.unwrap_err().to_string();
    assert!(
        error.contains("time_to_live is shorter than a minute"),
        "{error:#}"
    );
}

/// P44: what cannot be read is left as it is, and the error names it and shows nothing of it.
#[tokio::test]
async fn what_is_no_entry_is_an_error_and_is_not_overwritten() {
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
        (entry(&["revision="]), "its revision is no number"),
        (
            entry(&["revision=1000000000000000000"]),
            "its revision is no number",
        ),
        (entry(&["revision=-1"]), "its revision is no number"),
        (entry(&["fence=1e3"]), "its fence is no number"),
        (entry(&["fence=9999999999999999"]), "its fence is no number"),
        (
            entry(&["locked_until=hunter2"]),
            "its locked_until is no number",
        ),
        (entry(&["tokens=hunter2"]), "its tokens cannot be read"),
        (entry(&["intent={\"hunter2"]), "its intent cannot be read"),
        (entry(&["intent=\u{fffd}"]), "its intent cannot be read"),
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
    // JSON of another kind is found by those who read it.
    command(&server, &["DEL", "tower-auth:key"]);
    for tokens in ["tokens=[]", "tokens={}", "tokens={\"access_token\":5}"] {
        command(&server, &entry(&[tokens]));
        let error = store.load(&key()).await.unwrap_err().to_string();
        assert!(error.contains("it cannot be read"), "{error:#}");
    }
}

/// P44.
#[tokio::test]
async fn a_server_without_memory_does_nothing_by_halves() {
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
        let text = format!("{error:#}");
        assert!(text.contains("OOM") && !text.contains("hunter"), "{text}");
    }
    assert_eq!(store.load(&key()).await.unwrap().revision, Revision(1));
    assert_eq!(command(&server, &["DUMP", "tower-auth:key"]), before);
    command(&server, &["CONFIG", "SET", "maxmemory", "0"]);
    assert_eq!(store.delete(&key()).await.unwrap(), Revision(2));
}

/// Rule 10.
#[tokio::test]
async fn errors_hold_no_password() {
    let Some(server) = RedisServer::start(&["--requirepass", "hunter2"]) else {
        return;
    };
    let url = |user: &str| server.url().replace("//", &format!("//{user}"));
    for (user, why) in [
        (":hunter3@", "it refuses the user name or the password"),
        (
            "somebody:hunter2@",
            "it refuses the user name or the password",
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

/// Rule 10: such a server quotes what it was sent.
#[tokio::test]
async fn a_server_without_scripts_is_named_at_connect() {
    let Some(server) = RedisServer::start(&["--rename-command", "EVALSHA", ""]) else {
        return;
    };
    let store = RedisStore::builder(&server.url())
        .prefix("hunter2")
        .connect();
    let error = store.await.unwrap_err().to_string();
    assert!(
        error.ends_with("ERR unknown command 'EVALSHA'"),
        "{error:#}"
    );
}

/// The user that the docs describe.
#[tokio::test]
async fn a_user_needs_no_more_than_is_documented() {
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
    let error = other.unwrap_err().to_string();
    assert!(
        error.contains("NOPERM") || error.contains("permission"),
        "{error:#}"
    );
}

/// Each operation ends before the 5 s that it is given, and says why.
#[tokio::test]
async fn a_server_that_does_not_answer_is_named() {
    let Some(server) = RedisServer::synced() else {
        return;
    };
    let store = connect(&server).await;
    command(&server, &["CLIENT", "PAUSE", "2500", "ALL"]);
    let error = store.load(&key()).await.unwrap_err().to_string();
    assert!(error.contains("no answer within 2 s"), "{error:#}");
    // The next one does not wait behind it.
    assert_eq!(store.load(&key()).await.unwrap().revision, Revision(0));

    let nobody = RedisStore::connect("redis://:hunter2@127.0.0.1:1/").await;
    let error = nobody.unwrap_err().to_string();
    assert!(
        error.contains("redis at 127.0.0.1:1: no connection: "),
        "{error:#}"
    );
    assert!(!error.contains("hunter2"), "{error:#}");
}

/// The connection belongs to the runtime in which it was made; the store does not.
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

/// A lock whose answer is lost is not asked for twice: the second one would find it held.
#[tokio::test]
async fn what_must_not_be_done_twice_is_not_sent_again() {
    let Some(mut server) = RedisServer::synced() else {
        return;
    };
    let store = connect(&server).await;
    server.restart();
    let attempt = store.try_lock(&key(), "me", LONG).await;
    assert!(attempt.is_err(), "it cannot know that it was not sent");
    let fence = lock(&store, LONG).await;
    server.restart();
    assert!(save(&store, fence, 0).await.is_err());
    assert_eq!(save(&store, fence, 0).await.unwrap(), WriteOutcome::Applied);
}

/// A server that was emptied of its scripts, as a restarted one is.
#[tokio::test]
async fn scripts_are_sent_again_when_the_server_has_lost_them() {
    let Some(server) = RedisServer::synced() else {
        return;
    };
    let store = connect(&server).await;
    let fence = lock(&store, LONG).await;
    command(&server, &["SCRIPT", "FLUSH"]);
    assert_eq!(save(&store, fence, 0).await.unwrap(), WriteOutcome::Applied);
}

fn command(server: &RedisServer, words: &[&str]) -> String {
    let answer = server.command(words).unwrap();
    assert!(!answer.starts_with('-'), "{words:?}: {answer}");
    answer
}
