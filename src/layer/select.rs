//! Selects which of a layer's credentials a request gets.

use std::sync::Arc;

use crate::{
    cache::Cache,
    credential::{AnyRequestHead, Credential},
    error::Error,
    flow::Policy,
};

/// How a layer selects the credential of a request: [`Single`] or `PerKey`.
///
/// This trait is sealed.
#[allow(private_bounds, reason = "the private supertrait seals it")]
pub trait Select: SelectCache {}

/// Selects the same credential for all requests of a layer.
#[derive(Clone, Copy, Debug)]
pub struct Single {
    _private: (),
}

pub(crate) trait SelectCache {
    /// The credential caches of a layer, shared by its clones.
    type Caches<C>: Clone;

    /// Whether every request uses the same cache.
    const IS_SINGLE: bool;

    /// Returns the cache for this request, or `None` if the request carries its own credential and
    /// does not need one.
    fn select<C: Credential>(
        caches: &Self::Caches<C>,
        policy: &Policy,
        head: &dyn AnyRequestHead,
    ) -> Result<Option<Arc<Cache<C>>>, Error>;
}

impl Select for Single {}

impl SelectCache for Single {
    type Caches<C> = Arc<Cache<C>>;

    const IS_SINGLE: bool = true;

    fn select<C: Credential>(
        cache: &Arc<Cache<C>>,
        _: &Policy,
        _: &dyn AnyRequestHead,
    ) -> Result<Option<Arc<Cache<C>>>, Error> {
        Ok(Some(Arc::clone(cache)))
    }
}
