//! P44: the effect of a failing store, at each point where it can fail.

use std::{error::Error, time::Duration};

use tokio::time::Instant;
use tower_auth::store::{LockAttempt, Revision, SaveRequest, TokenSet, TokenStore, WriteOutcome};

use crate::{
    clients::{key, refresh_token, store_error, with_initial_token},
    faulty::{ALL, Faulty, Load, Lock, Operation, Saving},
    server::{Server, auth_error, call, call_all, pass},
};

const NOTHING: [&str; 0] = [];

/// P44: the error names the store, and no token request is sent.
#[tokio::test(start_paused = true)]
async fn a_failure_at_startup_is_a_temporary_error() {
    for operation in [Load, Lock, Operation::Intent] {
        let (server, store) = (Server::new(), Faulty::default());
        let provider = with_initial_token(&server).store(store.clone(), key());
        let (api, _) = server.layer(provider.build().unwrap());
        store.fail([operation]);
        let error = auth_error(call(&api).await.unwrap_err());
        assert_eq!(store_error(&error).get_ref().to_string(), "disk full");
        let doing = match operation {
            Load => "to load the tokens",
            Lock => "to take the lock",
            _ => "to record that the refresh token is about to be spent",
        };
        assert_eq!(
            format!("{error:#}"),
            format!(
                "failed to get a credential: temporary provider error: the token store (faulty) failed {doing}: disk full"
            )
        );
        assert!(error.retry_after().is_some() && error.source().is_some());
        assert_eq!(server.trace().len(), 0, "nothing is spent");

        store.fail([]);
        pass(1).await;
        assert_eq!(call_all(&api, 10).await, 0);
        assert_eq!(server.trace(), ["refresh r0 200"]);
    }
}

/// P44: the process keeps its valid token, and nothing is overwritten.
#[tokio::test(start_paused = true)]
async fn a_failure_during_a_refresh_keeps_the_valid_token() {
    let (server, store) = (Server::new(), Faulty::default());
    let provider = with_initial_token(&server).store(store.clone(), key());
    let (api, handle) = server.layer(provider.build().unwrap());
    call(&api).await.unwrap();
    store.fail(ALL);
    pass(3400).await;
    assert_eq!(call_all(&api, 100).await, 0);
    pass(60).await;
    assert_eq!(call_all(&api, 100).await, 0);
    let status = handle.status().to_string();
    assert!(
        status.contains("the token store (faulty) failed to load the tokens: disk full"),
        "{status}"
    );
    let stored = store.inner().load(&key()).await.unwrap();
    assert_eq!((stored.revision, stored.intent), (Revision(1), None));

    pass(200).await;
    assert_eq!(call_all(&api, 10).await, 10, "it has expired");
    store.fail([]);
    pass(30).await;
    assert_eq!(call_all(&api, 10).await, 0);
    assert_eq!(server.trace(), ["refresh r0 200", "refresh r1 200"]);
}

/// P44: an operation of a hanging store fails after 5 s.
#[tokio::test(start_paused = true)]
async fn a_hanging_store_fails() {
    let (server, store) = (Server::new(), Faulty::default());
    let provider = with_initial_token(&server).store(store.clone(), key());
    let (api, _) = server.layer(provider.build().unwrap());
    store.hang([Load]);
    let error = auth_error(call(&api).await.unwrap_err());
    assert_eq!(
        format!("{error:#}"),
        "failed to get a credential: temporary provider error: the token store (faulty) failed to load the tokens: no response within 5 s"
    );
}

/// Rule 8, P44: after the server has rotated the token, the process uses the new one, keeps the
/// lock, reports the failure, and saves the token as soon as possible.
#[tokio::test(start_paused = true)]
async fn after_a_failed_save_the_token_is_used_and_saved_later() {
    for operations in [vec![Saving], ALL.to_vec()] {
        let (server, store) = (Server::new(), Faulty::default());
        let provider = || {
            with_initial_token(&server)
                .store(store.clone(), key())
                .build()
                .unwrap()
        };
        let one = provider();
        let (api, handle) = server.layer(one.clone());
        let (other, handle_of_other) = server.layer(provider());
        call(&api).await.unwrap();
        call(&other).await.unwrap();
        assert!(one.save_error().is_none());

        // The store fails between the request and the response.
        server.state().takes = Duration::from_millis(500);
        handle.invalidate();
        let calls = call_all(&api, 100);
        let failure = async {
            tokio::time::sleep(Duration::from_millis(250)).await;
            store.fail(operations);
        };
        assert_eq!(tokio::join!(calls, failure).0, 0);
        assert_eq!(server.take_trace(), ["refresh r0 200", "refresh r1 200"]);
        server.state().takes = Duration::ZERO;
        assert_eq!(
            format!("{:#}", one.save_error().unwrap()),
            "the token store (faulty) failed to save the tokens: disk full"
        );
        // No other process spends the old refresh token in the meantime.
        handle_of_other.invalidate();
        let error = auth_error(call(&other).await.unwrap_err());
        assert!(format!("{:#}", store_error(&error)).contains("(faulty) failed"));

        pass(300).await;
        assert!(
            one.save_error().is_some(),
            "it is tried again, and fails again"
        );
        assert_eq!(call_all(&api, 100).await, 0);

        store.fail([]);
        pass(45).await;
        assert!(one.save_error().is_none());
        assert_eq!(call_all(&other, 100).await, 0);
        assert_eq!(
            server.take_trace(),
            NOTHING,
            "the other has it from the store"
        );
        handle.invalidate();
        assert_eq!(call_all(&api, 100).await, 0);
        assert_eq!(server.take_trace(), ["refresh r2 200"]);
    }
}

/// The same applies if the store hangs instead of returning an error.
#[tokio::test(start_paused = true)]
async fn a_hanging_save_fails_and_releases_the_waiters() {
    let (server, store) = (Server::new(), Faulty::default());
    let provider = with_initial_token(&server)
        .store(store.clone(), key())
        .build()
        .unwrap();
    let (api, handle) = server.layer(provider.clone());
    store.hang([Saving]);
    let start = Instant::now();
    assert_eq!(call_all(&api, 100).await, 0);
    assert_eq!(start.elapsed(), Duration::from_secs(5));
    assert_eq!(
        format!("{:#}", provider.save_error().unwrap()),
        "the token store (faulty) failed to save the tokens: no response within 5 s"
    );
    store.hang([]);
    pass(10).await;
    assert!(provider.save_error().is_none());
    handle.invalidate();
    assert_eq!(call_all(&api, 100).await, 0);
    assert_eq!(server.trace(), ["refresh r0 200", "refresh r1 200"]);
}

/// The same applies if the next refresh starts while the store still fails: no refresh token is
/// spent without a record of it.
#[tokio::test(start_paused = true)]
async fn unsaved_tokens_are_saved_before_the_next_refresh() {
    let (server, store) = (Server::new(), Faulty::default());
    let provider = with_initial_token(&server)
        .store(store.clone(), key())
        .build()
        .unwrap();
    let (api, _) = server.layer(provider.clone());
    store.fail([Saving]);
    call(&api).await.unwrap();
    pass(3600).await;
    let error = auth_error(call(&api).await.unwrap_err());
    assert!(
        store_error(&error)
            .to_string()
            .contains("to save the tokens")
    );
    assert_eq!(server.trace(), ["refresh r0 200"]);

    store.fail([]);
    pass(31).await;
    assert_eq!(call_all(&api, 100).await, 0);
    assert_eq!(server.trace(), ["refresh r0 200", "refresh r1 200"]);
    assert!(provider.save_error().is_none());
    let stored = store.inner().load(&key()).await.unwrap();
    assert_eq!(stored.revision, Revision(2));
}

/// P7: attempts to save end when the provider is dropped.
#[tokio::test(start_paused = true)]
async fn saving_ends_with_the_provider() {
    let (server, store) = (Server::new(), Faulty::default());
    let provider = with_initial_token(&server)
        .store(store.clone(), key())
        .build()
        .unwrap();
    let (api, handle) = server.layer(provider.clone());
    store.fail([Saving]);
    call(&api).await.unwrap();
    drop((api, handle, provider));
    pass(100).await;
    store.fail([]);
    pass(100).await;
    let stored = store.inner().load(&key()).await.unwrap();
    assert_eq!(stored.revision, Revision(0));
    let tasks = tokio::runtime::Handle::current()
        .metrics()
        .num_alive_tasks();
    assert_eq!(tasks, 0);
}

/// P44: unusable tokens in the store are ignored.
#[tokio::test(start_paused = true)]
async fn a_corrupt_access_token_is_refreshed() {
    let (server, store) = (Server::new(), Faulty::default());
    let LockAttempt::Acquired(fence) = store
        .try_lock(&key(), "test", Duration::from_secs(1))
        .await
        .unwrap()
    else {
        panic!("it is free");
    };
    let tokens = TokenSet::new("not a token").with_refresh_token("r0");
    let save = SaveRequest::new(fence, Revision(0), Revision(1), &tokens);
    assert_eq!(
        store.save(&key(), save).await.unwrap(),
        WriteOutcome::Applied
    );
    let provider = refresh_token(&server).store(store.clone(), key());
    let (api, _) = server.layer(provider.build().unwrap());
    assert_eq!(call_all(&api, 10).await, 0);
    assert_eq!(server.trace(), ["refresh r0 200"]);
}
