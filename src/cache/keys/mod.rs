//! Many credentials, one for each key: users, tenants, accounts.

#[cfg(test)]
mod tests;

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
