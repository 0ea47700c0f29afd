//! The layer.

use std::{fmt, sync::Arc};

use tower_layer::Layer;

use super::{service::Auth, setters::setters};
use crate::{
    cache::{Cache, Handle, RefreshSettings},
    flow::{Flow, Policy},
    origin::Origins,
    provider::{self, Provider},
};

/// Puts credentials from a provider on the requests of a client.
///
/// All clones of a layer, and all services made by them, share one credential and its refreshes,
/// whose settings ([`RefreshSettings`]) are given when the layer is created. The settings of
/// requests ([`retry`](Self::retry), [`overwrite_existing`](Self::overwrite_existing),
/// [`rejected_if`](Self::rejected_if), [`drain_limit`](Self::drain_limit)) act on the services that
/// this value makes from then on.
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
pub struct AuthLayer<P: Provider> {
    cache: Arc<Cache<P::Credential>>,
    policy: Policy,
}

impl<P: Provider> AuthLayer<P> {
    /// A layer that gets credentials from `provider`, and sends them to `origins` only.
    pub fn new(provider: P, origins: Origins) -> Self {
        Self::with_settings(provider, origins, RefreshSettings::default())
    }

    /// Creates a layer as [`new`](Self::new) does, with settings for the credential's refreshes.
    pub fn with_settings(provider: P, origins: Origins, settings: RefreshSettings) -> Self {
        Self {
            cache: Arc::new(Cache::new(provider::erase(provider), settings)),
            policy: Policy::new(origins),
        }
    }

    /// The way to the credential from outside of requests.
    #[must_use]
    pub fn handle(&self) -> Handle<P::Credential> {
        Handle::new(Arc::clone(&self.cache))
    }

    setters!();

    pub(crate) fn flow(&self) -> Flow<P::Credential> {
        Flow {
            cache: Arc::clone(&self.cache),
            policy: Arc::new(self.policy.clone()),
        }
    }
}

impl<S, P: Provider> Layer<S> for AuthLayer<P> {
    type Service = Auth<S, P>;

    fn layer(&self, inner: S) -> Auth<S, P> {
        Auth::new(inner, self.flow())
    }
}

impl<P: Provider> Clone for AuthLayer<P> {
    fn clone(&self) -> Self {
        Self {
            cache: Arc::clone(&self.cache),
            policy: self.policy.clone(),
        }
    }
}

impl<P: Provider> fmt::Debug for AuthLayer<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthLayer")
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}
