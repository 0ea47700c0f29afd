//! The [`AuthLayer`] and its request settings.

use std::{sync::Arc, time::Duration};

use http::{HeaderMap, StatusCode};
use tower_layer::Layer;

use super::{
    select::{Select, Single},
    service::Auth,
};
#[cfg(feature = "reqwest-middleware")]
use crate::flow::Flow;
use crate::{
    cache::{Cache, Handle, RefreshSettings},
    flow::{DrainLimit, Policy},
    origin::Origins,
    provider::{self, Provider},
};

/// Attaches credentials from a provider to the requests of a client.
///
/// All clones of a layer, and all services created by them, share one credential and its refreshes.
/// Pass the refresh settings ([`RefreshSettings`]) when you create the layer.
///
/// [`retry`](Self::retry), [`overwrite_existing`](Self::overwrite_existing),
/// [`rejected_if`](Self::rejected_if) and [`drain_limit`](Self::drain_limit) configure how requests
/// are handled. They affect only the services that are created from the returned value, not those
/// of other clones.
///
/// ```
/// use tower::ServiceBuilder;
/// use tower_auth::{AuthLayer, Origins, credential::Bearer};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let client = tower::service_fn(|_: http::Request<String>| async {
/// #     Ok::<_, tower_auth::BoxError>(http::Response::new(String::new()))
/// # });
/// let layer = AuthLayer::new(Bearer::new("token")?, Origins::only("https://api.example.com")?);
/// let service = ServiceBuilder::new().layer(layer.clone()).service(client);
/// let handle = layer.handle();
/// # let _ = (service, handle); Ok(()) }
/// ```
#[must_use]
pub struct AuthLayer<P: Provider, K: Select = Single> {
    pub(super) caches: K::Caches<P::Credential>,
    pub(super) policy: Policy,
}

impl<P: Provider> AuthLayer<P> {
    /// Creates a layer that gets credentials from `provider` and sends them only to `origins`.
    pub fn new(provider: P, origins: Origins) -> Self {
        Self::with_settings(provider, origins, RefreshSettings::default())
    }

    /// Creates a layer like [`new`](Self::new) does, with settings for the refreshes.
    pub fn with_settings(provider: P, origins: Origins, settings: RefreshSettings) -> Self {
        Self {
            caches: Arc::new(Cache::new(provider::erase(provider), settings)),
            policy: Policy::new(origins),
        }
    }

    /// Returns a handle to the credential, for use outside of requests.
    #[must_use]
    pub fn handle(&self) -> Handle<P::Credential> {
        Handle::new(Arc::clone(&self.caches))
    }

    #[cfg(feature = "reqwest-middleware")]
    pub(crate) fn flow(&self) -> Flow<P::Credential> {
        Flow {
            cache: Arc::clone(&self.caches),
            policy: Arc::new(self.policy.clone()),
        }
    }
}

impl<P: Provider, K: Select> AuthLayer<P, K> {
    /// Sets whether a rejected request is sent again. With `false`, a rejection still starts a
    /// refresh for later requests, and requests are not copied. Default: `true`.
    pub fn retry(mut self, retry: bool) -> Self {
        self.policy.retry = retry;
        self
    }

    /// Sets whether to replace a credential that a request already carries. With `false`, such a
    /// request is sent unchanged. Default: `false`.
    pub fn overwrite_existing(mut self, overwrite: bool) -> Self {
        self.policy.keep_existing = !overwrite;
        self
    }

    /// Sets which responses mean that the credential was not accepted. Default: status 401.
    ///
    /// A rejected request is sent again. Status 401 promises that the request was not applied (RFC
    /// 9110 section 15.5.2). Other responses may not promise that: if you treat one as a rejection,
    /// a request that is not idempotent may be applied twice.
    pub fn rejected_if(
        mut self,
        rejected: impl Fn(StatusCode, &HeaderMap) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.policy.rejected_if = Some(Arc::new(rejected));
        self
    }

    /// Sets how much of the body of a rejection is read before the retry, and for how long, so that
    /// an HTTP/1.1 connection can be reused. Default: 64 KiB and 100 ms.
    pub fn drain_limit(mut self, bytes: u64, time: Duration) -> Self {
        self.policy.drain = DrainLimit { bytes, time };
        self
    }
}

impl<S, P: Provider, K: Select> Layer<S> for AuthLayer<P, K> {
    type Service = Auth<S, P::Credential, K>;

    fn layer(&self, inner: S) -> Self::Service {
        Auth::new(inner, self.caches.clone(), Arc::new(self.policy.clone()))
    }
}

impl<P: Provider, K: Select> Clone for AuthLayer<P, K> {
    fn clone(&self) -> Self {
        Self {
            caches: self.caches.clone(),
            policy: self.policy.clone(),
        }
    }
}

partial_debug!(AuthLayer<P: Provider, K: Select>, policy);
