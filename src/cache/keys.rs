//! Many credentials, one for each key: users, tenants, accounts.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak},
    time::Duration,
};

use moka::{notification::RemovalCause, policy::EvictionPolicy, sync::Cache as Recent};

use super::{settings::Settings, shared::Cache};
use crate::{
    credential::Credential,
    error::{Error, Kind},
    provider::ErasedProvider,
};

/// How many dead entries may gather before they are swept out.
const SWEEP: usize = 1024;

type MakeProvider<K, C> = dyn Fn(&K) -> Option<Arc<dyn ErasedProvider<C>>> + Send + Sync;

/// The caches of all keys.
///
/// A cache library keeps the recently used ones, bounded in number and idle time. It alone would
/// be wrong twice: a cache that it drops while something still uses it (a refresh, a request)
/// must not get a twin, and one that holds what cannot be had again must not be dropped. So
/// `known` finds every cache that lives, and holds those.
pub(crate) struct Keys<K, C> {
    make: Box<MakeProvider<K, C>>,
    settings: Mutex<Settings>,
    bounds: Mutex<Bounds>,
    /// Made at the first use, when the bounds are settled.
    recent: OnceLock<Recent<K, Arc<Cache<C>>>>,
    known: Arc<Mutex<Known<K, C>>>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) number: usize,
    pub(crate) idle: Duration,
}

struct Known<K, C> {
    alive: HashMap<K, Weak<Cache<C>>>,
    /// Not recently used, but not to be dropped.
    held: HashMap<K, Arc<Cache<C>>>,
    sweep_at: usize,
}

impl<K, C> Keys<K, C>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    C: Credential,
{
    pub(crate) fn new(
        make: impl Fn(&K) -> Option<Arc<dyn ErasedProvider<C>>> + Send + Sync + 'static,
    ) -> Self {
        let known = Known {
            alive: HashMap::new(),
            held: HashMap::new(),
            sweep_at: SWEEP,
        };
        Self {
            make: Box::new(make),
            settings: Mutex::default(),
            bounds: Mutex::new(Bounds {
                number: 10_000,
                idle: Duration::from_secs(3600),
            }),
            recent: OnceLock::new(),
            known: Arc::new(Mutex::new(known)),
        }
    }

    /// Changes the settings of the caches that are made from now on.
    pub(crate) fn configure(&self, change: impl FnOnce(&mut Settings)) {
        change(&mut lock(&self.settings));
    }

    /// Changes the bounds; after the first use that has no effect.
    pub(crate) fn bound(&self, change: impl FnOnce(&mut Bounds)) {
        change(&mut lock(&self.bounds));
    }

    /// The cache of a key, made if there is none.
    ///
    /// # Errors
    /// There is no provider for the key, or no room.
    pub(crate) fn find(&self, key: &K) -> Result<Arc<Cache<C>>, Error> {
        let recent = self.recent();
        match recent.get(key) {
            Some(cache) => Ok(cache),
            None => self.find_slowly(key, recent),
        }
    }

    #[inline(never)]
    fn find_slowly(
        &self,
        key: &K,
        recent: &Recent<K, Arc<Cache<C>>>,
    ) -> Result<Arc<Cache<C>>, Error> {
        let alive = lock(&self.known).alive(key);
        let cache = match alive {
            Some(cache) => cache,
            None => {
                // What users write is not called under the lock.
                let provider = (self.make)(key).ok_or_else(|| Error::new(Kind::UnknownKey))?;
                let made = Arc::new(Cache::new(provider));
                made.configure(|settings| *settings = lock(&self.settings).clone());
                let most = lock(&self.bounds).number;
                lock(&self.known).insert(key, made, most)?
            }
        };
        // Not under the lock, because it may drop others, and calls back for them. It is the same
        // cache again if somebody else was faster.
        recent.insert(key.clone(), Arc::clone(&cache));
        lock(&self.known).held.remove(key);
        Ok(cache)
    }

    fn recent(&self) -> &Recent<K, Arc<Cache<C>>> {
        self.recent.get_or_init(|| {
            let bounds = *lock(&self.bounds);
            let known = Arc::clone(&self.known);
            Recent::builder()
                .max_capacity(bounds.number as u64)
                .time_to_idle(bounds.idle)
                // Any other policy may refuse a new key in favour of an old one.
                .eviction_policy(EvictionPolicy::lru())
                .eviction_listener(move |key: Arc<K>, cache, cause: RemovalCause| {
                    if cause.was_evicted() {
                        lock(&known).dropped(&key, cache);
                    }
                })
                .build()
        })
    }

    #[cfg(test)]
    pub(super) fn settle(&self) {
        self.recent().run_pending_tasks();
    }
}

impl<K, C> Known<K, C>
where
    K: Clone + Eq + Hash,
    C: Credential,
{
    fn alive(&self, key: &K) -> Option<Arc<Cache<C>>> {
        self.alive.get(key).and_then(Weak::upgrade)
    }

    /// Adds a cache, unless there is one by now.
    fn insert(
        &mut self,
        key: &K,
        cache: Arc<Cache<C>>,
        most: usize,
    ) -> Result<Arc<Cache<C>>, Error> {
        if let Some(faster) = self.alive(key) {
            return Ok(faster);
        }
        if self.held.len() >= most {
            self.held.retain(|_, held| !held.is_disposable());
            if self.held.len() >= most {
                return Err(Error::new(Kind::TooManyKeys));
            }
        }
        if self.alive.len() >= self.sweep_at {
            self.alive.retain(|_, cache| cache.strong_count() > 0);
            self.sweep_at = (self.alive.len() * 2).max(SWEEP);
        }
        self.alive.insert(key.clone(), Arc::downgrade(&cache));
        Ok(cache)
    }

    /// The cache library has let go of a cache.
    fn dropped(&mut self, key: &K, cache: Arc<Cache<C>>) {
        if !cache.is_disposable() {
            self.held.insert(key.clone(), cache);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    use tokio::{sync::Notify, time::timeout};

    use super::*;
    use crate::{
        cache::Handle,
        credential::{Bearer, Credential},
        error::ProviderError,
        provider::{Issued, Provider, RefreshContext, erase},
    };

    /// A provider for one user, which may hold what cannot be had again.
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

    /// Room for one key.
    fn setup(restorable: bool, release: Option<Arc<Notify>>) -> Setup {
        let calls = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&calls);
        let keys = Keys::new(move |name: &&'static str| {
            (!name.starts_with("unknown")).then(|| {
                erase(User {
                    name,
                    restorable,
                    calls: Arc::clone(&counter),
                    release: release.clone(),
                })
            })
        });
        keys.bound(|bounds| bounds.number = 1);
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
    async fn a_key_that_was_dropped_is_made_anew() {
        let setup = setup(true, None);
        for key in ["a", "b", "a", "a"] {
            assert_eq!(setup.token(key).await, key);
        }
        // The library frees what it drops a little later; until then the key finds it again.
        assert!((2..=3).contains(&setup.calls.load(SeqCst)));
        assert!(lock(&setup.keys.known).held.is_empty());
    }

    /// P37.
    #[tokio::test(start_paused = true)]
    async fn a_key_that_is_dropped_while_its_refresh_is_in_flight_loses_nothing() {
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
        assert_eq!(setup.calls.load(SeqCst), 1);
        release.notify_one();
        assert_eq!(setup.token("a").await, "a");
        assert_eq!(setup.calls.load(SeqCst), 1, "the refresh of before");
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_in_use_gets_no_twin() {
        let setup = setup(true, None);
        let in_use = setup.handle("a");
        setup.handle("b");
        in_use.seed(Issued::new(Bearer::new("seeded").unwrap()));
        assert_eq!(setup.token("a").await, "seeded");
    }

    #[tokio::test(start_paused = true)]
    async fn what_cannot_be_had_again_is_not_dropped_and_at_the_bound_a_new_key_fails() {
        let setup = setup(false, None);
        assert_eq!(setup.token("a").await, "a");
        assert_eq!(setup.token("b").await, "b");
        let error = setup.keys.find(&"c").err().unwrap();
        assert!(
            error.to_string().contains("raise PerKeyLayer::max_keys"),
            "{error}"
        );
        assert_eq!(setup.token("a").await, "a");
        assert_eq!(setup.calls.load(SeqCst), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_log_out_and_a_seeded_credential_are_not_forgotten() {
        let setup = setup(true, None);
        setup.handle("a").forget().await.unwrap();
        setup.handle("b");
        assert!(
            setup
                .handle("a")
                .credential()
                .await
                .unwrap_err()
                .is_logged_out()
        );
        setup
            .handle("a")
            .seed(Issued::new(Bearer::new("seeded").unwrap()));
        setup.handle("b");
        assert_eq!(setup.token("a").await, "seeded");
        assert_eq!(setup.calls.load(SeqCst), 0);
    }

    #[test]
    fn dead_entries_do_not_gather() {
        let setup = setup(true, None);
        let names: Vec<&'static str> = (0..5000)
            .map(|n| &*Box::leak(n.to_string().into_boxed_str()))
            .collect();
        for name in names {
            setup.handle(name);
        }
        assert!(lock(&setup.keys.known).alive.len() <= SWEEP);
    }

    #[test]
    fn an_unknown_key_is_an_error() {
        let error = setup(true, None).keys.find(&"unknown").err().unwrap();
        assert!(error.is_unknown_key(), "{error}");
    }

    /// The bounds of type parameters, as users meet them.
    #[test]
    fn keys_can_be_shared() {
        fn shared<T: Send + Sync>() {}
        fn check<C: Credential>() {
            shared::<Keys<String, C>>();
        }
        check::<Bearer>();
    }
}
