//! Several processes that share one store. Each process is a separate provider and layer here.

use std::time::{Duration, SystemTime};

use http::StatusCode;
use tower_auth::{
    Handle,
    credential::Bearer,
    oauth2::StoredAccessToken,
    store::{
        Fence, Intent, LockAttempt, MemoryStore, Revision, SaveRequest, TokenSet, TokenStore,
        WriteOutcome,
    },
};

use crate::{
    clients::{client_credentials, key, login, refresh_token, store_error, with_initial_token},
    faulty::Faulty,
    server::{Fault, Server, auth_error, call, call_all, pass},
};

const NOTHING: [&str; 0] = [];

/// P41: the server, which revokes all tokens on reuse, sees no reuse.
#[tokio::test(start_paused = true)]
async fn ten_processes_spend_each_refresh_token_once() {
    let server = Server::new();
    server.state().takes = Duration::from_millis(50);
    let store = MemoryStore::new();
    let process = || {
        let provider = with_initial_token(&server).store(store.clone(), key());
        server.layer(provider.build().unwrap())
    };
    let processes: Vec<_> = (0..10).map(|_| process()).collect();
    for round in 0..20 {
        let calls = processes.iter().map(|(api, _)| call_all(api, 100));
        let failed: usize = futures::future::join_all(calls).await.iter().sum();
        assert_eq!(failed, 0);
        assert_eq!(server.trace().len(), round + 1);
        pass(3600).await;
    }
}

/// P41, P14: the same applies to a token that is revoked before it expires.
#[tokio::test(start_paused = true)]
async fn ten_processes_that_are_rejected_refresh_once() {
    let server = Server::new();
    server.state().takes = Duration::from_millis(50);
    let store = MemoryStore::new();
    let process = || {
        let provider = with_initial_token(&server).store(store.clone(), key());
        server.layer(provider.build().unwrap())
    };
    let processes: Vec<_> = (0..10).map(|_| process()).collect();
    let all = || async {
        let calls = processes.iter().map(|(api, _)| call_all(api, 100));
        futures::future::join_all(calls).await.iter().sum::<usize>()
    };
    assert_eq!(all().await, 0);
    server.revoke_access();
    assert_eq!(all().await, 0);
    assert_eq!(server.trace(), ["refresh r0 200", "refresh r1 200"]);
}

/// Each process draws a different time for its early refresh. The first refresh serves all
/// processes.
#[tokio::test(start_paused = true)]
async fn an_early_refresh_serves_all_processes() {
    let server = Server::new();
    let store = MemoryStore::new();
    let process = || {
        let provider = with_initial_token(&server).store(store.clone(), key());
        server.layer(provider.build().unwrap()).0
    };
    let processes: Vec<_> = (0..5).map(|_| process()).collect();
    for _ in 0..36 {
        for api in &processes {
            assert_eq!(call_all(api, 10).await, 0);
        }
        pass(100).await;
    }
    assert_eq!(server.trace(), ["refresh r0 200", "refresh r1 200"]);
    assert_eq!(server.state().unauthorized, 0);
}

/// P59: a server that revokes a client's previous token.
#[tokio::test(start_paused = true)]
async fn processes_with_a_store_do_not_revoke_each_others_tokens() {
    let server = Server::new();
    server.state().revokes_previous = true;
    server.state().takes = Duration::from_millis(50);
    let store = MemoryStore::new();
    let process = || {
        let provider = client_credentials(&server).store(store.clone(), key());
        server.layer(provider.build().unwrap())
    };
    let processes: Vec<_> = (0..10).map(|_| process()).collect();
    for round in 1..=5 {
        let calls = processes.iter().map(|(api, _)| call_all(api, 100));
        let failed: usize = futures::future::join_all(calls).await.iter().sum();
        assert_eq!(failed, 0);
        assert_eq!(server.trace().len(), round);
        pass(3600).await;
    }
    let mut trace = server.trace().into_iter();
    assert!(trace.all(|line| line == "client_credentials 200"));
}

/// P59: the counterpart of the test above.
#[tokio::test(start_paused = true)]
async fn processes_without_a_store_revoke_each_others_tokens() {
    let server = Server::new();
    server.state().revokes_previous = true;
    let process = || server.layer(client_credentials(&server).build().unwrap()).0;
    let (one, other) = (process(), process());
    call(&one).await.unwrap();
    call(&other).await.unwrap();
    assert_eq!(call(&one).await.unwrap(), StatusCode::OK, "after a retry");
    assert_eq!(server.trace().len(), 3);
    assert_eq!(server.state().unauthorized, 1);
}

/// Takes the lock for a process that is then killed.
async fn locked(store: &MemoryStore, ttl: u64) -> Fence {
    let ttl = Duration::from_secs(ttl);
    match store.try_lock(&key(), "process 1 (dead)", ttl).await {
        Ok(LockAttempt::Acquired(fence)) => fence,
        other => panic!("{other:?}"),
    }
}

async fn saved(
    store: &MemoryStore,
    (replaces, revision): (u64, u64),
    tokens: TokenSet,
) -> WriteOutcome {
    let fence = locked(store, 60).await;
    let save = SaveRequest::new(fence, Revision(replaces), Revision(revision), &tokens);
    let written = store.save(&key(), save).await.unwrap();
    store.unlock(&key(), fence).await.unwrap();
    written
}

/// P42: the lock expires, and the next process takes over.
#[tokio::test(start_paused = true)]
async fn a_killed_process_blocks_others_until_its_lock_expires() {
    let server = Server::new();
    let store = MemoryStore::new();
    let (api, _) = server.layer(
        with_initial_token(&server)
            .store(store.clone(), key())
            .build()
            .unwrap(),
    );
    let dead = locked(&store, 5).await;
    assert_eq!(call_all(&api, 100).await, 0);
    assert_eq!(server.trace(), ["refresh r0 200"]);

    let tokens = TokenSet::new("late");
    let late = SaveRequest::new(dead, Revision(1), Revision(2), &tokens);
    assert_eq!(
        store.save(&key(), late).await.unwrap(),
        WriteOutcome::Conflict,
        "the dead one's late write"
    );
}

/// P42: if the lock is held for too long, the error names the cause.
#[tokio::test(start_paused = true)]
async fn a_lock_that_outlasts_the_refresh_is_a_clear_error() {
    let server = Server::new();
    let store = MemoryStore::new();
    let provider = with_initial_token(&server).store(store.clone(), key());
    let (api, _) = server.layer(provider.build().unwrap());
    locked(&store, 20).await;
    let error = auth_error(call(&api).await.unwrap_err());
    store_error(&error);
    let text = format!("{error:#}");
    assert!(
        text.starts_with(
            "failed to get a credential: temporary provider error: the token store (in memory) failed \
             to take the lock: held by another process for up to 10."
        ) && text.ends_with(" s (it is refreshing the tokens, or crashed while doing so)"),
        "{text}"
    );
    pass(11).await;
    assert_eq!(call_all(&api, 10).await, 0);
}

/// P42: a process that was suspended until others may have taken over sends no token request.
#[tokio::test(start_paused = true)]
async fn a_suspended_process_sends_no_late_token_request() {
    let (server, store) = (Server::new(), Faulty::default());
    let provider = with_initial_token(&server).store(store.clone(), key());
    let (api, _) = server.layer(provider.build().unwrap());
    store.stop(Duration::from_secs(30));
    call(&api).await.unwrap_err();
    pass(10).await;
    assert_eq!(server.state().token_requests, 0);
    assert_eq!(call_all(&api, 10).await, 0);
    assert_eq!(server.trace(), ["refresh r0 200"]);
}

/// Rule 8, P43: a process is killed between the response and the save.
#[tokio::test(start_paused = true)]
async fn a_lost_outcome_is_retried_once_and_reported() {
    let server = Server::new();
    let store = MemoryStore::new();
    let before = TokenSet::from_refresh_token("r0");
    assert_eq!(saved(&store, (0, 1), before).await, WriteOutcome::Applied);
    abandoned(&store, 1).await;
    // The dead process spent the token.
    let (thief, _) = server.layer(with_initial_token(&server).build().unwrap());
    call(&thief).await.unwrap();
    server.take_trace();

    let start = || {
        let provider = refresh_token(&server).store(store.clone(), key());
        server.layer(provider.build().unwrap())
    };
    let (api, _) = start();
    assert_eq!(call_all(&api, 100).await, 100);
    let error = auth_error(call(&api).await.unwrap_err());
    assert!(login(&error).is_outcome_lost());
    assert_eq!(
        format!("{error:#}"),
        "failed to get a credential (remembered from the last attempt): log in again: the server \
         no longer accepts the refresh token, and the outcome of an earlier refresh with it was \
         lost (by process 1 (dead)): the token endpoint refused the request: 400 invalid_grant"
    );
    pass(100_000).await;
    assert_eq!(call_all(&api, 100).await, 100);
    assert_eq!(server.take_trace(), ["refresh r0 400"]);

    // No process sends it again, even after a restart.
    let (api, _) = start();
    let error = auth_error(call(&api).await.unwrap_err());
    assert!(error.is_login_required());
    assert_eq!(server.take_trace(), NOTHING);
}

/// Rule 8, P43: a process is killed before the server gets its request.
#[tokio::test(start_paused = true)]
async fn an_orphaned_intent_without_effect_is_forgotten() {
    let server = Server::new();
    let store = MemoryStore::new();
    let before = TokenSet::from_refresh_token("r0");
    assert_eq!(saved(&store, (0, 1), before).await, WriteOutcome::Applied);
    abandoned(&store, 1).await;
    let provider = refresh_token(&server).store(store.clone(), key());
    let (api, _) = server.layer(provider.build().unwrap());
    assert_eq!(call_all(&api, 100).await, 0);
    let stored = store.load(&key()).await.unwrap();
    assert_eq!((stored.revision, stored.intent), (Revision(2), None));
}

/// Leaves the intent of a dead process, whose lock has expired.
async fn abandoned(store: &MemoryStore, revision: u64) {
    let fence = locked(store, 1).await;
    let intent = Intent::new(Revision(revision), "process 1 (dead)");
    let written = store.set_intent(&key(), fence, Some(intent)).await.unwrap();
    assert_eq!(written, WriteOutcome::Applied);
    pass(2).await;
}

/// Rule 8: a response that refuses the request means that nothing was spent. Other failures do not.
#[tokio::test(start_paused = true)]
async fn the_intent_remains_only_if_the_outcome_is_unknown() {
    for (failure, stays) in [
        (Fault::Respond(429, "", ""), false),
        (
            Fault::Respond(400, "application/json", r#"{"error":"x"}"#),
            false,
        ),
        (Fault::Respond(502, "", ""), true),
        (Fault::Respond(200, "text/html", "<p>"), true),
        (Fault::Break, true),
        (Fault::Hang, true),
    ] {
        let server = Server::new();
        let store = MemoryStore::new();
        let provider = with_initial_token(&server).store(store.clone(), key());
        let (api, _) = server.layer(provider.build().unwrap());
        server.instead([failure]);
        call(&api).await.unwrap_err();
        let stored = store.load(&key()).await.unwrap();
        assert_eq!(stored.intent.is_some(), stays, "{:?}", server.trace());
    }
}

/// "Newer" refers to the revision, so a machine with a wrong clock adopts tokens too.
#[tokio::test(start_paused = true)]
async fn a_wrong_clock_does_not_refresh_fresh_tokens() {
    let server = Server::new();
    let store = MemoryStore::new();
    let provider = with_initial_token(&server).store(store.clone(), key());
    let (api, handle) = server.layer(provider.build().unwrap());
    call(&api).await.unwrap();
    server.take_trace();

    let minutes = |count: u64| Duration::from_secs(60 * count);
    let now = SystemTime::now();
    for (revision, expires_at) in [(2, now - minutes(5)), (3, now + minutes(500))] {
        let token = format!("other{revision}");
        server.state().valid.insert(token.clone());
        let tokens = TokenSet::new(token)
            .with_refresh_token("r1")
            .with_lifetime(minutes(10))
            .with_expires_at(expires_at);
        let written = saved(&store, (revision - 1, revision), tokens).await;
        assert_eq!(written, WriteOutcome::Applied);
        handle.invalidate();
        assert_eq!(call_all(&api, 10).await, 0);
        assert_eq!(
            server.take_trace(),
            NOTHING,
            "the refresh depended on the clock"
        );
        let left = left(&handle).await;
        assert!(left > minutes(9) && left <= minutes(10), "{left:?}");
    }
}

async fn left(handle: &Handle<Bearer>) -> Duration {
    let current = handle.credential().await.unwrap();
    let until = current.expires_at().expect("its end is known");
    until.duration_since(SystemTime::now()).unwrap()
}

/// A rejected token is not adopted again under any revision.
#[tokio::test(start_paused = true)]
async fn the_rejected_token_itself_is_not_adopted() {
    let server = Server::new();
    let store = MemoryStore::new();
    let provider = with_initial_token(&server).store(store.clone(), key());
    let (api, _) = server.layer(provider.build().unwrap());
    call(&api).await.unwrap();
    let same = TokenSet::new("a1").with_refresh_token("r1");
    assert_eq!(saved(&store, (1, 2), same).await, WriteOutcome::Applied);
    server.revoke_access();
    assert_eq!(call_all(&api, 10).await, 0);
    assert_eq!(server.trace(), ["refresh r0 200", "refresh r1 200"]);
}

/// A program restarts with the tokens of a new login, and the store holds dead ones.
#[tokio::test(start_paused = true)]
async fn initial_tokens_are_used_when_the_stored_ones_are_dead() {
    let server = Server::new();
    let store = MemoryStore::new();
    let start = |token: &str| {
        let provider = refresh_token(&server).refresh_token(token);
        server.layer(provider.store(store.clone(), key()).build().unwrap())
    };
    let (first, _) = start("r0");
    let (idle, idle_handle) = start("r0");
    call(&first).await.unwrap();
    call(&idle).await.unwrap();
    server.revoke_refresh();
    server.revoke_access();
    server.state().refresh_tokens.insert("r9".to_owned());
    server.take_trace();

    let (api, handle) = start("r9");
    assert_eq!(call_all(&api, 10).await, 0);
    assert_eq!(server.take_trace(), ["refresh r1 400", "refresh r9 200"]);

    server.revoke_refresh();
    handle.invalidate();
    idle_handle.invalidate();
    let error = auth_error(call(&api).await.unwrap_err());
    assert!(error.is_login_required());
    call(&idle).await.unwrap();
    idle_handle.invalidate();
    call(&idle).await.unwrap_err();
    assert_eq!(
        server.take_trace(),
        ["refresh r2 400"],
        "no initial token is sent late"
    );
}

/// An access token without a refresh token does not replace the refresh token that another grant has
/// stored under the same key.
#[tokio::test(start_paused = true)]
async fn an_initial_access_token_keeps_a_stored_refresh_token() {
    let (server, store) = (Server::new(), MemoryStore::new());
    server.state().valid.insert("a9".to_owned());
    let tokens = TokenSet::new("a0").with_refresh_token("r0");
    let tokens = tokens.with_expires_at(SystemTime::UNIX_EPOCH);
    assert_eq!(saved(&store, (0, 1), tokens).await, WriteOutcome::Applied);

    let provider = StoredAccessToken::builder().initial_tokens(TokenSet::new("a9"));
    let (api, _) = server.layer(provider.store(store.clone(), key()).build().unwrap());
    let error = auth_error(call(&api).await.unwrap_err());
    assert!(!login(&error).is_refused(), "{error:#}");
    let stored = store.load(&key()).await.unwrap();
    assert_eq!((stored.revision, stored.intent), (Revision(1), None));
    assert_eq!(stored.tokens.unwrap().expose_refresh_token(), Some("r0"));

    let (api, _) = server.layer(refresh_token(&server).store(store, key()).build().unwrap());
    assert_eq!(call(&api).await.unwrap(), 200);
    assert_eq!(server.trace(), ["refresh r0 200"]);
}

/// P60: a process that knows newer tokens restores writes that the store acknowledged and lost.
#[tokio::test(start_paused = true)]
async fn lost_writes_are_restored() {
    let (server, store) = (Server::new(), Faulty::default());
    let provider = with_initial_token(&server).store(store.clone(), key());
    let (api, handle) = server.layer(provider.build().unwrap());
    for _ in 0..3 {
        handle.invalidate();
        call(&api).await.unwrap();
    }
    let old = MemoryStore::new();
    let tokens = TokenSet::new("a1").with_refresh_token("r1");
    assert_eq!(saved(&old, (0, 1), tokens).await, WriteOutcome::Applied);
    store.replace(old.clone());

    server.take_trace();
    handle.invalidate();
    assert_eq!(call_all(&api, 10).await, 0);
    assert_eq!(server.take_trace(), ["refresh r3 200"], "never r1 again");
    let stored = old.load(&key()).await.unwrap();
    assert!(stored.revision > Revision(3));
    assert_eq!(stored.tokens.unwrap().expose_refresh_token(), Some("r4"));
}
