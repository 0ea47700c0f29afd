//! A credential for each key: many users, tenants or accounts behind one client.

use std::{hash::Hash, marker::PhantomData, sync::Arc};

use super::{
    auth_layer::AuthLayer,
    select::{Select, SelectCache},
    service::Auth,
};
use crate::{
    cache::{Cache, Handle, Keys, PerKeySettings},
    credential::{AnyRequestHead, Credential, RequestHead},
    error::{Error, ErrorKind},
    flow::Policy,
    origin::Origins,
    provider::{self, Provider},
};

/// Selects the credential by key: each request names a key, and each key has its own credential.
/// See [`AuthLayer::per_key`].
///
/// The number of keys is bounded. A key that was not used for a while is dropped, and re-created by
/// its next request. A key is never dropped while it holds state that cannot be restored: a
/// credential set through its handle, a logout, a rejected login, or a provider whose state is not
/// restorable ([`Provider::is_restorable`]). If such keys fill the layer, a request with a new key
/// fails.
pub struct PerKey<Key> {
    _key: PhantomData<fn(&Key)>,
}

type KeyOf<Key> = dyn Fn(&RequestHead<'_>) -> Option<Key> + Send + Sync;

/// The credential caches of all keys.
pub(crate) struct KeyedCaches<Key, C> {
    keys: Arc<Keys<Key, C>>,
    key_of: Arc<KeyOf<Key>>,
}

impl<P: Provider> AuthLayer<P> {
    /// Creates a layer for many users (tenants, accounts) behind one client. Each request names a
    /// key, and each key has its own provider, credential and refresh.
    ///
    /// `providers` creates the provider of a key when a request first names the key, or names it
    /// again after the key was dropped. Return `None` for an unknown key. The key must contain
    /// everything that distinguishes one credential from another: issuer, client, user, scopes. The
    /// key of a request is in its extensions, or where [`key_from`](AuthLayer::key_from) finds it.
    /// A request without a key, or with an unknown one, fails with an [`Error`].
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
    pub fn per_key<Key>(
        providers: impl Fn(&Key) -> Option<P> + Send + Sync + 'static,
        origins: Origins,
    ) -> AuthLayer<P, PerKey<Key>>
    where
        Key: Clone + Eq + Hash + Send + Sync + 'static,
    {
        Self::per_key_with(providers, origins, PerKeySettings::default())
    }

    /// Creates a layer like [`per_key`](Self::per_key) does, with settings for the keys and their
    /// refreshes.
    pub fn per_key_with<Key>(
        providers: impl Fn(&Key) -> Option<P> + Send + Sync + 'static,
        origins: Origins,
        settings: PerKeySettings,
    ) -> AuthLayer<P, PerKey<Key>>
    where
        Key: Clone + Eq + Hash + Send + Sync + 'static,
    {
        let make = move |key: &Key| providers(key).map(provider::erase);
        AuthLayer {
            caches: KeyedCaches {
                keys: Arc::new(Keys::new(make, settings)),
                key_of: Arc::new(|head| head.extensions().get().cloned()),
            },
            policy: Policy::new(origins),
        }
    }
}

impl<P, Key> AuthLayer<P, PerKey<Key>>
where
    P: Provider,
    Key: Clone + Eq + Hash + Send + Sync + 'static,
{
    /// Sets how the key of a request is found. Default: in its extensions, as a value of type
    /// `Key`.
    pub fn key_from(
        mut self,
        key_of: impl Fn(&RequestHead<'_>) -> Option<Key> + Send + Sync + 'static,
    ) -> Self {
        self.caches.key_of = Arc::new(key_of);
        self
    }

    /// Returns a handle to the credentials, for use outside of requests.
    #[must_use]
    pub fn handle(&self) -> PerKeyHandle<Key, P::Credential> {
        self.caches.handle()
    }
}

impl<S, C, Key> Auth<S, C, PerKey<Key>>
where
    Key: Clone + Eq + Hash + Send + Sync + 'static,
{
    /// Returns a handle to the credentials, for use outside of requests.
    #[must_use]
    pub fn handle(&self) -> PerKeyHandle<Key, C> {
        self.caches().handle()
    }
}

impl<Key> Select for PerKey<Key> where Key: Clone + Eq + Hash + Send + Sync + 'static {}

impl<Key> SelectCache for PerKey<Key>
where
    Key: Clone + Eq + Hash + Send + Sync + 'static,
{
    type Caches<C> = KeyedCaches<Key, C>;

    const IS_SINGLE: bool = false;

    fn select<C: Credential>(
        caches: &KeyedCaches<Key, C>,
        policy: &Policy,
        head: &dyn AnyRequestHead,
    ) -> Result<Option<Arc<Cache<C>>>, Error> {
        match (caches.key_of)(&RequestHead::of(head)) {
            Some(key) => caches.keys.find(&key).map(Some),
            None if policy.is_attached::<C>(None, head) => Ok(None),
            None => Err(Error::new(ErrorKind::NoKey)),
        }
    }
}

impl<Key, C> KeyedCaches<Key, C> {
    fn handle(&self) -> PerKeyHandle<Key, C> {
        PerKeyHandle {
            keys: Arc::clone(&self.keys),
        }
    }
}

impl<Key, C> Clone for KeyedCaches<Key, C> {
    fn clone(&self) -> Self {
        Self {
            keys: Arc::clone(&self.keys),
            key_of: Arc::clone(&self.key_of),
        }
    }
}

partial_debug!(PerKey<Key>);

/// A handle to the credentials of all keys, for use outside of requests.
pub struct PerKeyHandle<Key, C> {
    keys: Arc<Keys<Key, C>>,
}

impl<Key, C> PerKeyHandle<Key, C>
where
    Key: Clone + Eq + Hash + Send + Sync + 'static,
    C: Credential,
{
    /// Returns a handle to the credential of one key.
    ///
    /// # Errors
    /// The key has no provider, or the layer has no room for another key.
    pub fn for_key(&self, key: &Key) -> Result<Handle<C>, Error> {
        self.keys.find(key).map(Handle::new)
    }
}

impl<Key, C> Clone for PerKeyHandle<Key, C> {
    fn clone(&self) -> Self {
        Self {
            keys: Arc::clone(&self.keys),
        }
    }
}

partial_debug!(PerKeyHandle<Key, C>);
