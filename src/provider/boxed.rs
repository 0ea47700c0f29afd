//! Type-erased providers.

use std::{future::Future, sync::Arc};

use futures_util::future::BoxFuture;

use super::{Issued, Provider, RefreshContext, RevokeContext};
use crate::{challenge::StepUp, credential::Credential, error::ProviderError};

/// A type-erased provider of credentials `C`, created by [`Provider::boxed`]. Clones share the
/// provider.
///
/// ```
/// use tower_auth::{Issued, Provider, credential::Bearer, provider_fn};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let personal_token = std::env::var("API_TOKEN").ok();
/// let provider = match personal_token {
///     Some(token) => Bearer::new(token)?.boxed(),
///     None => provider_fn(|_| async { Ok(Issued::new(Bearer::new("t").unwrap())) }).boxed(),
/// };
/// # let _ = provider; Ok(()) }
/// ```
pub struct BoxProvider<C> {
    inner: Arc<dyn ErasedProvider<C>>,
}

impl<C: Credential> BoxProvider<C> {
    pub(super) fn new(provider: impl Provider<Credential = C>) -> Self {
        Self {
            inner: erase(provider),
        }
    }
}

impl<C: Credential> Provider for BoxProvider<C> {
    type Credential = C;

    fn issue(
        &self,
        context: RefreshContext<C>,
    ) -> impl Future<Output = Result<Issued<C>, ProviderError>> + Send {
        self.inner.issue(context)
    }

    fn initial(&self) -> Option<Issued<C>> {
        self.inner.initial()
    }

    fn is_restorable(&self) -> bool {
        self.inner.is_restorable()
    }

    fn can_step_up(&self, wanted: &StepUp) -> bool {
        self.inner.can_step_up(wanted)
    }

    fn revoke(
        &self,
        context: RevokeContext<C>,
    ) -> impl Future<Output = Result<(), ProviderError>> + Send {
        self.inner.revoke(context)
    }

    fn boxed(self) -> BoxProvider<C> {
        self
    }
}

impl<C> Clone for BoxProvider<C> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
        }
    }
}

partial_debug!(BoxProvider<C>);

/// The dyn-compatible form of [`Provider`].
pub(crate) trait ErasedProvider<C>: Send + Sync {
    fn issue(&self, context: RefreshContext<C>) -> BoxFuture<'_, Result<Issued<C>, ProviderError>>;
    fn initial(&self) -> Option<Issued<C>>;
    fn is_restorable(&self) -> bool;
    fn can_step_up(&self, wanted: &StepUp) -> bool;
    fn revoke(&self, context: RevokeContext<C>) -> BoxFuture<'_, Result<(), ProviderError>>;
}

pub(crate) fn erase<P: Provider>(provider: P) -> Arc<dyn ErasedProvider<P::Credential>> {
    Arc::new(provider)
}

impl<P: Provider> ErasedProvider<P::Credential> for P {
    fn issue(
        &self,
        context: RefreshContext<P::Credential>,
    ) -> BoxFuture<'_, Result<Issued<P::Credential>, ProviderError>> {
        Box::pin(Provider::issue(self, context))
    }

    fn initial(&self) -> Option<Issued<P::Credential>> {
        Provider::initial(self)
    }

    fn is_restorable(&self) -> bool {
        Provider::is_restorable(self)
    }

    fn can_step_up(&self, wanted: &StepUp) -> bool {
        Provider::can_step_up(self, wanted)
    }

    fn revoke(
        &self,
        context: RevokeContext<P::Credential>,
    ) -> BoxFuture<'_, Result<(), ProviderError>> {
        Box::pin(Provider::revoke(self, context))
    }
}
