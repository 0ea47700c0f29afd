//! The layer.

use std::{fmt, sync::Arc, time::Duration};

use http::{HeaderMap, StatusCode};
use tower_layer::Layer;

use super::service::Auth;
use crate::{
    cache::{Backoff, Cache, Handle},
    flow::{DrainLimit, Flow, Policy},
    origin::Origins,
    provider::{self, Provider},
};

/// Puts credentials from a provider on the requests of a client.
///
/// All clones of a layer, and all services made by them, share one credential and its refreshes.
/// Two kinds of settings follow from that: those of the credential
/// ([`early_refresh`](Self::early_refresh), [`default_lifetime`](Self::default_lifetime),
/// [`refresh_timeout`](Self::refresh_timeout), [`backoff`](Self::backoff)) act on all clones, those
/// of requests ([`no_retry`](Self::no_retry), [`keep_existing_header`](Self::keep_existing_header),
/// [`rejected_if`](Self::rejected_if), [`max_drain`](Self::max_drain)) on the services that this
/// value makes from then on.
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
        let cache = Arc::new(Cache::new(provider::erase(provider)));
        Self {
            cache,
            policy: Policy::new(origins),
        }
    }

    /// The way to the credential from outside of requests.
    #[must_use]
    pub fn handle(&self) -> Handle<P::Credential> {
        Handle::new(Arc::clone(&self.cache))
    }

    /// How long before its expiry a credential is refreshed at most, while requests go on with it.
    /// It is also at most 40 % of the lifetime, and shortened at random by up to a quarter, so
    /// that many processes do not refresh at once. Default: 5 min.
    #[must_use]
    pub fn early_refresh(self, margin: Duration) -> Self {
        self.cache
            .configure(|settings| settings.early_refresh = Some(margin));
        self
    }

    /// Refreshes only when callers have to wait for it: in the last 5 % of the lifetime, at most
    /// 10 s, before the expiry. Default: off.
    #[must_use]
    pub fn no_early_refresh(self) -> Self {
        self.cache
            .configure(|settings| settings.early_refresh = None);
        self
    }

    /// The lifetime of credentials that came without one. Default: none, they are used until they
    /// are rejected.
    #[must_use]
    pub fn default_lifetime(self, lifetime: Duration) -> Self {
        self.cache
            .configure(|settings| settings.default_lifetime = Some(lifetime));
        self
    }

    /// How long callers wait for a refresh, and how long a provider may take (see
    /// [`RefreshContext::deadline`](crate::RefreshContext::deadline)). Default: 10 s.
    #[must_use]
    pub fn refresh_timeout(self, timeout: Duration) -> Self {
        self.cache
            .configure(|settings| settings.refresh_timeout = timeout);
        self
    }

    /// When the next attempt is made after a failed one. Default: [`Backoff::default`].
    #[must_use]
    pub fn backoff(self, backoff: Backoff) -> Self {
        self.cache.configure(|settings| settings.backoff = backoff);
        self
    }

    /// Sends no request a second time. A rejection still has the credential refreshed for the
    /// requests that follow, and costs no copy of the request. Default: off.
    #[must_use]
    pub fn no_retry(mut self) -> Self {
        self.policy.retry = false;
        self
    }

    /// Whether a request that has something in the credential's place already goes out as it is
    /// (`true`), or has it replaced. Default: `true`.
    #[must_use]
    pub fn keep_existing_header(mut self, keep: bool) -> Self {
        self.policy.keep_existing = keep;
        self
    }

    /// Which responses say that the credential was not accepted. Default: status 401.
    ///
    /// A request that got one is sent again. Status 401 promises that the request was not applied
    /// (RFC 9110 section 15.5.2); whoever names other responses must know that this holds for them
    /// too, or a request that is not idempotent may be applied twice.
    #[must_use]
    pub fn rejected_if(
        mut self,
        rejected: impl Fn(StatusCode, &HeaderMap) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.policy.rejected_if = Some(Arc::new(rejected));
        self
    }

    /// How much of a rejection's body is read before the retry, and for how long, so that an
    /// HTTP/1.1 connection can be used again. Default: 64 KiB and 100 ms.
    #[must_use]
    pub fn max_drain(mut self, bytes: u64, time: Duration) -> Self {
        self.policy.drain = DrainLimit { bytes, time };
        self
    }
}

impl<S, P: Provider> Layer<S> for AuthLayer<P> {
    type Service = Auth<S, P>;

    fn layer(&self, inner: S) -> Auth<S, P> {
        let flow = Flow {
            cache: Arc::clone(&self.cache),
            policy: self.policy.clone(),
        };
        Auth::new(inner, Arc::new(flow))
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
