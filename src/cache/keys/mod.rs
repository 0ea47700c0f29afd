//! One credential cache per key: per user, tenant or account.

#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, Weak},
};

use moka::{notification::RemovalCause, policy::EvictionPolicy, sync::Cache as Recent};

use super::{
    cache::Cache,
    settings::{PerKeySettings, RefreshSettings},
};
use crate::{
    credential::Credential,
    error::{Error, ErrorKind},
    provider::ErasedProvider,
    sync::lock,
};

/// Minimum number of entries at which dead entries are removed.
const MIN_SWEEP: usize = 1024;

type MakeProvider<K, C> = dyn Fn(&K) -> Option<Arc<dyn ErasedProvider<C>>> + Send + Sync;

/// The caches of all keys.
///
/// `moka` keeps the recently used caches, bounded in number and idle time. That alone is not
/// sufficient, for two reasons. A cache that moka drops while a refresh or a request still uses it
/// must not be created a second time. And a cache must not be dropped if it holds state that the
/// provider cannot restore. So `known` tracks every live cache, and holds those whose state would
/// be lost.
pub(crate) struct Keys<K, C> {
    make: Box<MakeProvider<K, C>>,
    max_keys: usize,
    refresh: RefreshSettings,
    recent: Recent<K, Arc<Cache<C>>>,
    known: Arc<Mutex<Known<K, C>>>,
}

struct Known<K, C> {
    alive: HashMap<K, Weak<Cache<C>>>,
    /// Caches that were not used recently, but must not be dropped.
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
        settings: PerKeySettings,
    ) -> Self {
        let known = Known {
            alive: HashMap::new(),
            held: HashMap::new(),
            sweep_at: MIN_SWEEP,
        };
        let known = Arc::new(Mutex::new(known));
        Self {
            make: Box::new(make),
            max_keys: settings.max_keys,
            recent: recently_used(&settings, Arc::clone(&known)),
            refresh: settings.refresh,
            known,
        }
    }

    /// Returns the cache of a key. Creates it if necessary.
    ///
    /// # Errors
    /// The key has no provider, or there is no room for another key.
    pub(crate) fn find(&self, key: &K) -> Result<Arc<Cache<C>>, Error> {
        match self.recent.get(key) {
            Some(cache) => Ok(cache),
            None => self.find_slowly(key),
        }
    }

    #[inline(never)]
    fn find_slowly(&self, key: &K) -> Result<Arc<Cache<C>>, Error> {
        let alive = lock(&self.known).alive(key);
        let cache = match alive {
            Some(cache) => cache,
            None => {
                // User code must not be called under the lock.
                let provider = (self.make)(key).ok_or_else(|| Error::new(ErrorKind::UnknownKey))?;
                let made = Arc::new(Cache::new(provider, self.refresh.clone()));
                lock(&self.known).insert(key, made, self.max_keys)?
            }
        };
        // Must not be called under the lock, because evicting other keys calls back into this
        // module. If another thread was faster, this inserts the same cache again.
        self.recent.insert(key.clone(), Arc::clone(&cache));
        lock(&self.known).held.remove(key);
        Ok(cache)
    }

    #[cfg(test)]
    pub(super) fn settle(&self) {
        self.recent.run_pending_tasks();
    }
}

fn recently_used<K, C>(
    settings: &PerKeySettings,
    known: Arc<Mutex<Known<K, C>>>,
) -> Recent<K, Arc<Cache<C>>>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    C: Credential,
{
    Recent::builder()
        .max_capacity(settings.max_keys as u64)
        .time_to_idle(settings.max_idle)
        // Any other policy may refuse a new key in favor of an old one.
        .eviction_policy(EvictionPolicy::lru())
        .eviction_listener(move |key: Arc<K>, cache, cause: RemovalCause| {
            if cause.was_evicted() {
                lock(&known).evicted(&key, cache);
            }
        })
        .build()
}

impl<K, C> Known<K, C>
where
    K: Clone + Eq + Hash,
    C: Credential,
{
    fn alive(&self, key: &K) -> Option<Arc<Cache<C>>> {
        self.alive.get(key).and_then(Weak::upgrade)
    }

    /// Adds a cache, unless another thread has added one.
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
                return Err(Error::new(ErrorKind::TooManyKeys));
            }
        }
        if self.alive.len() >= self.sweep_at {
            self.alive.retain(|_, cache| cache.strong_count() > 0);
            self.sweep_at = (self.alive.len() * 2).max(MIN_SWEEP);
        }
        self.alive.insert(key.clone(), Arc::downgrade(&cache));
        Ok(cache)
    }

    /// Keeps an evicted cache if dropping it would lose state.
    fn evicted(&mut self, key: &K, cache: Arc<Cache<C>>) {
        if !cache.is_disposable() {
            self.held.insert(key.clone(), cache);
        }
    }
}
