//! Many users behind one client: a layer with a credential for each key.

use std::{
    fmt,
    hash::Hash,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use http_body::Body;
use tower_layer::Layer;
use tower_service::Service;

use super::{
    auth_layer::AuthLayer,
    future::ResponseFuture,
    kept::Kept,
    send::{acquire, attach, copy_of, fail, send_later},
    setters::setters,
};
use crate::{
    body::CloneBody,
    cache::{Handle, Keys, PerKeySettings},
    credential::{Credential, RequestHead},
    error::{BoxError, Error, ErrorKind},
    flow::{Flow, NotAttached, Policy},
    origin::Origins,
    provider::{self, Provider},
};

impl<P: Provider> AuthLayer<P> {
    /// A layer for many users (tenants, accounts) behind one client: each request names a key, and
    /// each key has a provider, a credential and a refresh of its own.
    ///
    /// `providers` makes the provider of a key, when a request names it for the first time or
    /// again after a while; `None` says that there is no such key. What tells one credential from
    /// another must be in the key: issuer, client, user, scopes. The key of a request is in its
    /// extensions, or where [`PerKeyLayer::key_from`] finds it.
    pub fn per_key<K>(
        providers: impl Fn(&K) -> Option<P> + Send + Sync + 'static,
        origins: Origins,
    ) -> PerKeyLayer<K, P::Credential>
    where
        K: Clone + Eq + Hash + Send + Sync + 'static,
    {
        Self::per_key_with(providers, origins, PerKeySettings::default())
    }

    /// Creates a layer as [`per_key`](Self::per_key) does, with settings for the keys and their
    /// refreshes.
    pub fn per_key_with<K>(
        providers: impl Fn(&K) -> Option<P> + Send + Sync + 'static,
        origins: Origins,
        settings: PerKeySettings,
    ) -> PerKeyLayer<K, P::Credential>
    where
        K: Clone + Eq + Hash + Send + Sync + 'static,
    {
        let make = move |key: &K| providers(key).map(provider::erase);
        let keys = Keys::new(make, settings);
        PerKeyLayer {
            keys: Arc::new(keys),
            key_of: Arc::new(|head: &RequestHead<'_>| head.extensions().get().cloned()),
            policy: Policy::new(origins),
        }
    }
}

type KeyOf<K> = dyn Fn(&RequestHead<'_>) -> Option<K> + Send + Sync;

/// Puts the credential of its key on each request; made by [`AuthLayer::per_key`].
///
/// All clones, and all services made by them, share the keys. The settings are those of
/// [`AuthLayer`].
///
/// The number of keys is bounded. A key that was not used for a while is dropped, and made anew by
/// its next request; but never one that holds what cannot be had again: a credential that was
/// seeded, a log-out, a rejected login, or a provider that says so
/// ([`Provider::is_restorable`]). Once all room is taken by those, a new key is an error.
///
/// ```
/// use bytes::Bytes;
/// use http_body_util::Full;
/// use tower::{ServiceBuilder, ServiceExt};
/// use tower_auth::{AuthLayer, Origins, credential::Bearer};
///
/// #[derive(Clone, PartialEq, Eq, Hash)]
/// struct UserId(u64);
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), tower_auth::BoxError> {
/// # let client = tower::service_fn(|request: http::Request<Full<Bytes>>| async move {
/// #     assert_eq!(request.headers()["authorization"], "Bearer token-of-7");
/// #     Ok::<_, tower_auth::BoxError>(http::Response::new(Full::<Bytes>::default()))
/// # });
/// let layer = AuthLayer::per_key(
///     |user: &UserId| Bearer::new(format!("token-of-{}", user.0)).ok(),
///     Origins::only("https://api.example.com")?,
/// );
/// let service = ServiceBuilder::new().layer(layer.clone()).service(client);
///
/// let request = http::Request::get("https://api.example.com/me")
///     .extension(UserId(7))
///     .body(Full::default())?;
/// service.oneshot(request).await?;
///
/// layer.handle().for_key(&UserId(7))?.log_out().await?;
/// # Ok(()) }
/// ```
pub struct PerKeyLayer<K, C: Credential> {
    keys: Arc<Keys<K, C>>,
    key_of: Arc<KeyOf<K>>,
    policy: Policy,
}

impl<K, C> PerKeyLayer<K, C>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    C: Credential,
{
    /// The way to the credentials from outside of requests.
    #[must_use]
    pub fn handle(&self) -> PerKeyHandle<K, C> {
        PerKeyHandle {
            keys: Arc::clone(&self.keys),
        }
    }

    /// Where the key of a request is. Default: among its extensions, as a value of type `K`.
    #[must_use]
    pub fn key_from(
        mut self,
        key_of: impl Fn(&RequestHead<'_>) -> Option<K> + Send + Sync + 'static,
    ) -> Self {
        self.key_of = Arc::new(key_of);
        self
    }

    setters!();
}

impl<S, K, C: Credential> Layer<S> for PerKeyLayer<K, C> {
    type Service = PerKeyAuth<S, K, C>;

    fn layer(&self, inner: S) -> PerKeyAuth<S, K, C> {
        PerKeyAuth {
            inner,
            keys: Arc::clone(&self.keys),
            key_of: Arc::clone(&self.key_of),
            policy: Arc::new(self.policy.clone()),
        }
    }
}

impl<K, C: Credential> Clone for PerKeyLayer<K, C> {
    fn clone(&self) -> Self {
        Self {
            keys: Arc::clone(&self.keys),
            key_of: Arc::clone(&self.key_of),
            policy: self.policy.clone(),
        }
    }
}

impl<K, C: Credential> fmt::Debug for PerKeyLayer<K, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PerKeyLayer")
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

/// Puts the credential of its key on each request before it goes to the inner service; made by
/// [`PerKeyLayer`].
///
/// A request without a key, or with one that is not known, fails with an [`Error`] in the box.
pub struct PerKeyAuth<S, K, C: Credential> {
    inner: S,
    keys: Arc<Keys<K, C>>,
    key_of: Arc<KeyOf<K>>,
    policy: Arc<Policy>,
}

impl<S, K, C: Credential> PerKeyAuth<S, K, C> {
    /// The way to the credentials from outside of requests.
    #[must_use]
    pub fn handle(&self) -> PerKeyHandle<K, C> {
        PerKeyHandle {
            keys: Arc::clone(&self.keys),
        }
    }

    /// The inner service.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The inner service. Retries of requests that are under way may still use the one before.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// The inner service.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S, K, C, B, R> Service<Request<B>> for PerKeyAuth<S, K, C>
where
    S: Service<Request<B>, Response = Response<R>> + Clone,
    S::Error: Into<BoxError>,
    K: Clone + Eq + Hash + Send + Sync + 'static,
    C: Credential,
    B: CloneBody,
    R: Body,
{
    type Response = Response<R>;
    type Error = BoxError;
    type Future = ResponseFuture<S, C, B, R>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        match self.policy.admit(request.uri(), request.extensions()) {
            Ok(None) => {}
            Ok(Some(why)) => return ResponseFuture::passing(self.inner.call(request), why),
            Err(error) => return fail(&mut self.inner, error),
        }
        let cache = match (self.key_of)(&RequestHead::new(&request)) {
            Some(key) => self.keys.find(&key),
            None if self.policy.carries_its_own::<C>(None, &request) => {
                let why = NotAttached::AlreadyPresent;
                return ResponseFuture::passing(self.inner.call(request), why);
            }
            None => Err(Error::new(ErrorKind::NoKey)),
        };
        let flow = match cache {
            Ok(cache) => Flow {
                cache,
                policy: Arc::clone(&self.policy),
            },
            Err(error) => return fail(&mut self.inner, error),
        };
        let kept = match acquire(&flow, &mut request) {
            Ok(snapshot) => Arc::new(Kept::new(self.inner.clone(), flow, snapshot)),
            Err(missing) => return send_later(&mut self.inner, missing, request),
        };
        let copy = copy_of(&kept, &request);
        match attach(&kept, &mut request) {
            Ok(head) => ResponseFuture::sending(self.inner.call(request), kept, head, copy),
            Err(missing) => send_later(&mut self.inner, missing, request),
        }
    }
}

impl<S: Clone, K, C: Credential> Clone for PerKeyAuth<S, K, C> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            keys: Arc::clone(&self.keys),
            key_of: Arc::clone(&self.key_of),
            policy: Arc::clone(&self.policy),
        }
    }
}

impl<S: fmt::Debug, K, C: Credential> fmt::Debug for PerKeyAuth<S, K, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PerKeyAuth")
            .field("inner", &self.inner)
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

/// The way to the credentials of many users from outside of requests.
pub struct PerKeyHandle<K, C: Credential> {
    keys: Arc<Keys<K, C>>,
}

impl<K, C> PerKeyHandle<K, C>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    C: Credential,
{
    /// The handle of one key: for its credential, its status, its log-out.
    ///
    /// # Errors
    /// There is no provider for the key, or no room for it.
    pub fn for_key(&self, key: &K) -> Result<Handle<C>, Error> {
        self.keys.find(key).map(Handle::new)
    }
}

impl<K, C: Credential> Clone for PerKeyHandle<K, C> {
    fn clone(&self) -> Self {
        Self {
            keys: Arc::clone(&self.keys),
        }
    }
}

impl<K, C: Credential> fmt::Debug for PerKeyHandle<K, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PerKeyHandle").finish_non_exhaustive()
    }
}
