//! Tests of the `TokenStore` contract, run against each store.

use std::time::Duration;

use super::{
    Fence, Intent, LockAttempt, Revision, SaveRequest, StoreKey, Stored, TokenSet, TokenStore,
    WriteOutcome,
};

/// The lease of locks that expire during a test.
const SHORT: Duration = Duration::from_millis(300);
/// The lease of locks that outlast the test.
const LONG: Duration = Duration::from_secs(60);

/// Runs all tests, each with separate keys. `new` opens the same store again, as another process
/// would, or opens a separate one.
pub(crate) async fn run<S: TokenStore>(new: impl Fn() -> S) {
    an_unwritten_entry_is_empty(&new()).await;
    a_token_set_is_loaded_as_it_was_saved(&new()).await;
    a_save_replaces_only_the_revision_it_names(&new()).await;
    a_save_after_a_delete_is_a_conflict(&new()).await;
    deletes_increase_the_revision(&new()).await;
    only_one_holder_has_the_lock(&new()).await;
    an_expired_lock_fences_off_its_holder_once_retaken(&new()).await;
    an_expired_lock_that_was_not_retaken_still_writes(&new()).await;
    only_the_holder_releases_the_lock(&new()).await;
    a_lock_can_be_renewed(&new()).await;
    an_intent_lasts_until_the_next_save(&new()).await;
    an_intent_must_name_the_stored_revision(&new()).await;
    entries_are_independent(&new()).await;
    concurrent_attempts_acquire_one_lock(&new()).await;
}

async fn an_unwritten_entry_is_empty<S: TokenStore>(store: &S) {
    let key = key();
    let stored = load(store, &key).await;
    assert_eq!(
        (stored.revision, stored.tokens, stored.intent),
        (Revision(0), None, None)
    );
    store.unlock(&key, Fence(3)).await.unwrap();
    assert_eq!(
        save(store, &key, Fence(1), (0, 1), "a").await,
        WriteOutcome::Conflict
    );
}

async fn a_token_set_is_loaded_as_it_was_saved<S: TokenStore>(store: &S) {
    let tomorrow = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(4_000_000_000);
    let all = TokenSet::new("a/b=|\"'\\{}")
        .with_refresh_token("ü\n\0")
        .with_expires_at(tomorrow)
        .with_lifetime(Duration::from_secs(3600))
        .with_scope("a b");
    let key = key();
    let fence = lock(store, &key, LONG).await;
    for (number, tokens) in [
        all.clone(),
        TokenSet::new("a"),
        TokenSet::from_refresh_token("r"),
        all.without_refresh_token(),
        TokenSet::from_refresh_token("r").without_refresh_token(),
    ]
    .iter()
    .enumerate()
    {
        let (old, new) = (Revision(number as u64), Revision(number as u64 + 1));
        let change = SaveRequest::new(fence, old, new, tokens);
        assert_eq!(
            store.save(&key, change).await.unwrap(),
            WriteOutcome::Applied
        );
        assert_eq!(load(store, &key).await.tokens.as_ref(), Some(tokens));
    }
}

async fn a_save_replaces_only_the_revision_it_names<S: TokenStore>(store: &S) {
    let key = key();
    let fence = lock(store, &key, LONG).await;
    assert_eq!(
        save(store, &key, fence, (0, 1), "first").await,
        WriteOutcome::Applied
    );
    for replaces in [0, 2] {
        let written = save(store, &key, fence, (replaces, 9), "other").await;
        assert_eq!(written, WriteOutcome::Conflict);
    }
    let stored = load(store, &key).await;
    assert_eq!(stored.revision, Revision(1));
    assert_eq!(stored.tokens, Some(TokenSet::new("first")));
    assert_eq!(
        save(store, &key, fence, (1, 7), "second").await,
        WriteOutcome::Applied
    );
    assert_eq!(load(store, &key).await.revision, Revision(7));
}

/// P12: a logout in one process wins over an in-flight refresh in another.
async fn a_save_after_a_delete_is_a_conflict<S: TokenStore>(store: &S) {
    let key = key();
    let fence = lock(store, &key, LONG).await;
    assert_eq!(
        save(store, &key, fence, (0, 1), "a").await,
        WriteOutcome::Applied
    );
    assert_eq!(store.delete(&key).await.unwrap(), Revision(2));
    assert_eq!(
        save(store, &key, fence, (1, 2), "b").await,
        WriteOutcome::Conflict
    );
    assert_eq!(load(store, &key).await.tokens, None);
    assert!(
        !is_free(store, &key).await,
        "a delete does not touch the lock"
    );
}

async fn deletes_increase_the_revision<S: TokenStore>(store: &S) {
    let key = key();
    assert_eq!(store.delete(&key).await.unwrap(), Revision(1));
    assert_eq!(store.delete(&key).await.unwrap(), Revision(2));
    assert_eq!(load(store, &key).await.revision, Revision(2));
    let fence = lock(store, &key, LONG).await;
    assert_eq!(
        save(store, &key, fence, (2, 3), "a").await,
        WriteOutcome::Applied
    );
    assert_eq!(store.delete(&key).await.unwrap(), Revision(4));
}

async fn only_one_holder_has_the_lock<S: TokenStore>(store: &S) {
    let key = key();
    let first = lock(store, &key, LONG).await;
    let LockAttempt::HeldFor(left) = try_lock(store, &key, LONG).await else {
        panic!("locked twice");
    };
    assert!(left <= LONG && left > LONG / 2, "{left:?}");
    store.unlock(&key, first).await.unwrap();
    assert!(lock(store, &key, LONG).await > first);
}

/// P42.
async fn an_expired_lock_fences_off_its_holder_once_retaken<S: TokenStore>(store: &S) {
    let key = key();
    let dead = lock(store, &key, SHORT).await;
    let other = "late";
    tokio::time::sleep(SHORT * 2).await;
    let next = lock(store, &key, LONG).await;
    assert!(next > dead);

    assert_eq!(
        save(store, &key, dead, (0, 1), other).await,
        WriteOutcome::Conflict
    );
    let intent = Some(intent(0));
    assert_eq!(
        store.set_intent(&key, dead, intent).await.unwrap(),
        WriteOutcome::Conflict
    );
    assert_eq!(
        store.renew(&key, dead, LONG).await.unwrap(),
        WriteOutcome::Conflict
    );
    store.unlock(&key, dead).await.unwrap();
    assert!(
        !is_free(store, &key).await,
        "the lock belongs to the next holder"
    );
    assert_eq!(load(store, &key).await.intent, None);
    assert_eq!(
        save(store, &key, next, (0, 1), "new").await,
        WriteOutcome::Applied
    );
}

async fn an_expired_lock_that_was_not_retaken_still_writes<S: TokenStore>(store: &S) {
    let key = key();
    let fence = lock(store, &key, SHORT).await;
    tokio::time::sleep(SHORT * 2).await;
    assert_eq!(
        save(store, &key, fence, (0, 1), "a").await,
        WriteOutcome::Applied
    );
}

async fn only_the_holder_releases_the_lock<S: TokenStore>(store: &S) {
    let key = key();
    let fence = lock(store, &key, LONG).await;
    for other in [0, fence.0 + 1] {
        store.unlock(&key, Fence(other)).await.unwrap();
        assert!(!is_free(store, &key).await);
    }
    store.unlock(&key, fence).await.unwrap();
    store.unlock(&key, fence).await.unwrap();
    assert!(is_free(store, &key).await);
}

async fn a_lock_can_be_renewed<S: TokenStore>(store: &S) {
    let key = key();
    let fence = lock(store, &key, SHORT).await;
    assert_eq!(
        store.renew(&key, fence, LONG).await.unwrap(),
        WriteOutcome::Applied
    );
    tokio::time::sleep(SHORT * 2).await;
    assert!(!is_free(store, &key).await);

    store.unlock(&key, fence).await.unwrap();
    assert_eq!(
        store.renew(&key, fence, LONG).await.unwrap(),
        WriteOutcome::Applied
    );
    assert!(!is_free(store, &key).await, "renewing takes the lock again");
}

/// P43: the intent of a killed process remains in the store.
async fn an_intent_lasts_until_the_next_save<S: TokenStore>(store: &S) {
    let key = key();
    let fence = lock(store, &key, SHORT).await;
    let written = store.set_intent(&key, fence, Some(intent(0))).await;
    assert_eq!(written.unwrap(), WriteOutcome::Applied);
    tokio::time::sleep(SHORT * 2).await;

    let fence = lock(store, &key, LONG).await;
    assert_eq!(load(store, &key).await.intent, Some(intent(0)));
    assert_eq!(
        save(store, &key, fence, (0, 1), "a").await,
        WriteOutcome::Applied
    );
    assert_eq!(load(store, &key).await.intent, None);

    let written = store.set_intent(&key, fence, Some(intent(1))).await;
    assert_eq!(written.unwrap(), WriteOutcome::Applied);
    let written = store.set_intent(&key, fence, None).await;
    assert_eq!(written.unwrap(), WriteOutcome::Applied);
    assert_eq!(load(store, &key).await.intent, None);

    let written = store.set_intent(&key, fence, Some(intent(1))).await;
    assert_eq!(written.unwrap(), WriteOutcome::Applied);
    store.delete(&key).await.unwrap();
    assert_eq!(load(store, &key).await.intent, None);
}

async fn an_intent_must_name_the_stored_revision<S: TokenStore>(store: &S) {
    let key = key();
    let fence = lock(store, &key, LONG).await;
    store.delete(&key).await.unwrap();
    let written = store.set_intent(&key, fence, Some(intent(0))).await;
    assert_eq!(written.unwrap(), WriteOutcome::Conflict);
    assert_eq!(load(store, &key).await.intent, None);
}

/// P36.
async fn entries_are_independent<S: TokenStore>(store: &S) {
    let (one, other) = (key(), key());
    let fence = lock(store, &one, LONG).await;
    assert!(is_free(store, &other).await);
    assert_eq!(
        save(store, &one, fence, (0, 1), "a").await,
        WriteOutcome::Applied
    );
    assert_eq!(load(store, &other).await.tokens, None);
    store.delete(&other).await.unwrap();
    assert!(load(store, &one).await.tokens.is_some());
}

async fn concurrent_attempts_acquire_one_lock<S: TokenStore>(store: &S) {
    let key = key();
    let attempts = (0..20).map(|_| try_lock(store, &key, LONG));
    let attempts = futures::future::join_all(attempts).await;
    let got = |attempt: &&LockAttempt| matches!(attempt, LockAttempt::Acquired(_));
    assert_eq!(attempts.iter().filter(got).count(), 1);
}

/// Returns a key that no other test uses.
fn key() -> StoreKey {
    StoreKey::issuer("https://test").subject(&format!("{:032x}", fastrand::u128(..)))
}

fn intent(revision: u64) -> Intent {
    Intent::new(Revision(revision), "test")
}

async fn load<S: TokenStore>(store: &S, key: &StoreKey) -> Stored {
    store.load(key).await.unwrap()
}

async fn save<S: TokenStore>(
    store: &S,
    key: &StoreKey,
    fence: Fence,
    (replaces, revision): (u64, u64),
    token: &str,
) -> WriteOutcome {
    let tokens = TokenSet::new(token);
    let change = SaveRequest::new(fence, Revision(replaces), Revision(revision), &tokens);
    store.save(key, change).await.unwrap()
}

async fn try_lock<S: TokenStore>(store: &S, key: &StoreKey, ttl: Duration) -> LockAttempt {
    store.try_lock(key, "test", ttl).await.unwrap()
}

async fn lock<S: TokenStore>(store: &S, key: &StoreKey, ttl: Duration) -> Fence {
    match try_lock(store, key, ttl).await {
        LockAttempt::Acquired(fence) => fence,
        LockAttempt::HeldFor(left) => panic!("locked for {left:?}"),
    }
}

/// Returns whether the lock is free, by taking and releasing it.
async fn is_free<S: TokenStore>(store: &S, key: &StoreKey) -> bool {
    match try_lock(store, key, LONG).await {
        LockAttempt::Acquired(fence) => {
            store.unlock(key, fence).await.unwrap();
            true
        }
        LockAttempt::HeldFor(_) => false,
    }
}
