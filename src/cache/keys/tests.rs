use std::{
    sync::atomic::{AtomicUsize, Ordering::SeqCst},
    time::Duration,
};

use tokio::{sync::Notify, time::timeout};

use super::*;
use crate::{
    cache::Handle,
    credential::{Bearer, Credential},
    error::ProviderError,
    provider::{Issued, Provider, RefreshContext, erase},
};

/// A provider for one user, which may hold state that cannot be restored.
struct User {
    name: &'static str,
    restorable: bool,
    calls: Arc<AtomicUsize>,
    release: Option<Arc<Notify>>,
}

impl Provider for User {
    type Credential = Bearer;

    async fn issue(&self, _: RefreshContext<Bearer>) -> Result<Issued<Bearer>, ProviderError> {
        self.calls.fetch_add(1, SeqCst);
        if self.name.starts_with("gone") {
            return Err(ProviderError::login_required("log in"));
        }
        if let Some(release) = &self.release {
            release.notified().await;
        }
        Ok(Issued::new(Bearer::new(self.name).unwrap()))
    }

    fn is_restorable(&self) -> bool {
        self.restorable
    }
}

struct Setup {
    keys: Keys<&'static str, Bearer>,
    calls: Arc<AtomicUsize>,
}

/// Creates a cache with room for one key.
fn setup(restorable: bool, release: Option<Arc<Notify>>) -> Setup {
    setup_with(restorable, release, RefreshSettings::default())
}

fn setup_with(restorable: bool, release: Option<Arc<Notify>>, refresh: RefreshSettings) -> Setup {
    let calls = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&calls);
    let make = move |name: &&'static str| {
        (!name.starts_with("unknown")).then(|| {
            erase(User {
                name,
                restorable,
                calls: Arc::clone(&counter),
                release: release.clone(),
            })
        })
    };
    let settings = PerKeySettings::default().max_keys(1).refresh(refresh);
    let keys = Keys::new(make, settings);
    Setup { keys, calls }
}

impl Setup {
    fn handle(&self, key: &'static str) -> Handle<Bearer> {
        let handle = Handle::new(self.keys.find(&key).unwrap());
        self.keys.settle();
        handle
    }

    async fn token(&self, key: &'static str) -> String {
        let current = self.handle(key).credential().await.unwrap();
        current.expose().to_owned()
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_key_is_re_created() {
    let setup = setup(true, None);
    for key in ["a", "b", "a", "a"] {
        assert_eq!(setup.token(key).await, key);
    }
    // moka frees an evicted entry after a short delay. Until then, a lookup still finds it.
    assert!((2..=3).contains(&setup.calls.load(SeqCst)));
    assert!(lock(&setup.keys.known).held.is_empty());
}

#[tokio::test(start_paused = true)]
async fn settings_apply_to_every_key() {
    let time = Duration::from_secs(3);
    let settings = RefreshSettings::default().refresh_timeout(time);
    let setup = setup_with(true, Some(Arc::default()), settings);
    for key in ["a", "b"] {
        let start = tokio::time::Instant::now();
        let error = setup.handle(key).credential().await.unwrap_err();
        assert!(error.is_timeout(), "{error:#}");
        assert_eq!(start.elapsed(), time);
    }
}

/// P37.
#[tokio::test(start_paused = true)]
async fn an_evicted_key_keeps_its_refresh_in_flight() {
    let release = Arc::new(Notify::new());
    let setup = setup(true, Some(Arc::clone(&release)));
    let first = setup.handle("a");
    assert!(
        timeout(Duration::from_secs(1), first.credential())
            .await
            .is_err()
    );
    drop(first);
    setup.handle("b");
    assert!(lock(&setup.keys.known).held.contains_key("a"));
    assert_eq!(setup.calls.load(SeqCst), 1);
    release.notify_one();
    assert_eq!(setup.token("a").await, "a");
    assert_eq!(
        setup.calls.load(SeqCst),
        1,
        "the second caller joins the in-flight refresh"
    );
}

#[tokio::test(start_paused = true)]
async fn a_key_in_use_is_not_created_twice() {
    let setup = setup(true, None);
    let in_use = setup.handle("a");
    setup.handle("b");
    in_use.set_credential(Issued::new(Bearer::new("external").unwrap()));
    assert_eq!(setup.token("a").await, "external");
}

#[tokio::test(start_paused = true)]
async fn a_new_key_fails_when_no_key_can_be_dropped() {
    let setup = setup(false, None);
    assert_eq!(setup.token("a").await, "a");
    assert_eq!(setup.token("b").await, "b");
    let error = setup.keys.find(&"c").err().unwrap();
    assert!(
        error.to_string().contains("raise PerKeySettings::max_keys"),
        "{error}"
    );
    assert_eq!(setup.token("a").await, "a");
    assert_eq!(setup.calls.load(SeqCst), 2);
}

/// State that the provider cannot restore is kept beyond moka's bound.
#[tokio::test(start_paused = true)]
async fn a_key_whose_state_would_be_lost_is_not_dropped() {
    let is_held = |setup: &Setup, key: &'static str| {
        setup.handle("b");
        lock(&setup.keys.known).held.contains_key(key)
    };
    let one = setup(true, None);
    assert_eq!(one.token("a").await, "a");
    assert!(!is_held(&one, "a"), "the provider can restore its state");
    one.handle("a").log_out().await.unwrap();
    assert!(is_held(&one, "a"));
    let outcome = one.handle("a").credential().await;
    assert!(outcome.unwrap_err().is_logged_out());
    let external = Issued::new(Bearer::new("external").unwrap());
    one.handle("a").set_credential(external);
    assert!(is_held(&one, "a"));
    assert_eq!(one.token("a").await, "external");
    // Rule 3: the server is not asked again.
    let other = setup(true, None);
    for _ in 0..2 {
        let outcome = other.handle("gone").credential().await;
        assert!(outcome.unwrap_err().is_login_required());
        assert!(is_held(&other, "gone"));
    }
    assert_eq!(other.calls.load(SeqCst), 1);
}

#[test]
fn dead_entries_do_not_accumulate() {
    let setup = setup(true, None);
    let in_use = setup.handle("in use");
    let names: Vec<&'static str> = (0..5000)
        .map(|n| &*Box::leak(n.to_string().into_boxed_str()))
        .collect();
    for name in names {
        setup.handle(name);
    }
    assert!(lock(&setup.keys.known).alive.len() <= MIN_SWEEP);
    let found = setup.handle("in use");
    assert!(Arc::ptr_eq(&in_use.cache, &found.cache));
}

#[test]
fn an_unknown_key_is_an_error() {
    let error = setup(true, None).keys.find(&"unknown").err().unwrap();
    assert!(error.is_unknown_key(), "{error:#}");
}

/// Compiles only if the bounds of the public API are sufficient.
#[test]
fn is_send_and_sync() {
    fn shared<T: Send + Sync>() {}
    fn check<C: Credential>() {
        shared::<Keys<String, C>>();
    }
    check::<Bearer>();
}
