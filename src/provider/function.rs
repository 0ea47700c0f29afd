//! Providers from closures.

use std::{future::Future, marker::PhantomData};

use super::{Issued, Provider, RefreshContext};
use crate::{credential::Credential, error::ProviderError};

/// Creates a [`Provider`] from a closure that returns a future.
///
/// See the [module's example](super).
pub fn provider_fn<F, Fut, C>(issue: F) -> ProviderFn<F, C>
where
    F: Fn(RefreshContext<C>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Issued<C>, ProviderError>> + Send,
    C: Credential,
{
    ProviderFn {
        issue,
        credential: PhantomData,
    }
}

/// A provider that calls a closure, created by [`provider_fn`].
pub struct ProviderFn<F, C> {
    issue: F,
    credential: PhantomData<fn() -> C>,
}

impl<F, Fut, C> Provider for ProviderFn<F, C>
where
    F: Fn(RefreshContext<C>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Issued<C>, ProviderError>> + Send,
    C: Credential,
{
    type Credential = C;

    fn issue(
        &self,
        context: RefreshContext<C>,
    ) -> impl Future<Output = Result<Issued<C>, ProviderError>> + Send {
        (self.issue)(context)
    }
}

impl<F: Clone, C> Clone for ProviderFn<F, C> {
    fn clone(&self) -> Self {
        Self {
            issue: self.issue.clone(),
            credential: PhantomData,
        }
    }
}

partial_debug!(ProviderFn<F, C>);
