//! The [`Auth`] service.

use std::{
    mem,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use arc_swap::ArcSwapOption;
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use super::{
    auth_layer::AuthLayer,
    copy::RequestCopy,
    future::ResponseFuture,
    select::{Select, Single},
};
use crate::{
    body::CloneBody,
    cache::{Acquired, Handle, Wait},
    credential::{AnyRequestHead, Credential},
    error::{BoxError, Error},
    flow::{Flow, NotAttached, Policy, Prepared},
    origin::Origins,
    provider::Provider,
};

/// Attaches a credential to each request before it goes to the inner service. Created by
/// [`AuthLayer`].
///
/// `S` is the inner service, `C` the type of the credential. `K` selects the credential of a
/// request: [`Single`], or [`PerKey`](crate::PerKey) for many users. The type does not depend on
/// the provider, so a struct can name it:
///
/// ```
/// # use std::time::Duration;
/// use tower::Layer;
/// use tower_auth::{Auth, AuthLayer, Issued, Origins, credential::Bearer, provider_fn};
///
/// # type Client = tower::util::BoxCloneSyncService<(), (), ()>;
/// struct Api {
///     client: Auth<Client, Bearer>,
/// }
///
/// # fn example(client: Client) -> Result<(), Box<dyn std::error::Error>> {
/// let provider = provider_fn(|_| async { Ok(Issued::new(Bearer::new("token").unwrap())) });
/// let layer = AuthLayer::new(provider, Origins::only("https://api.example.com")?);
/// let api = Api { client: layer.layer(client) };
/// # let _ = api.client; Ok(()) }
/// ```
///
/// Requests and responses keep their types. The inner service's errors pass through, boxed. The
/// layer's own errors are boxed values of type [`Error`].
pub struct Auth<S, C, K: Select = Single> {
    inner: S,
    shared: Arc<Shared<S, C, K>>,
    /// Used only by this service, from its second call on.
    own: Option<Arc<Prepared<C, Mutex<S>>>>,
    called: bool,
}

/// The state that all clones of a service share.
struct Shared<S, C, K: Select> {
    caches: K::Caches<C>,
    policy: Arc<Policy>,
    /// Used by each clone for its first call.
    prepared: ArcSwapOption<Prepared<C, Mutex<S>>>,
}

impl<C: Credential> Auth<(), C> {
    /// Creates a layer for services of this type, like [`AuthLayer::new`] does.
    pub fn layer<P>(provider: P, origins: Origins) -> AuthLayer<P>
    where
        P: Provider<Credential = C>,
    {
        AuthLayer::new(provider, origins)
    }
}

impl<S, C: Credential> Auth<S, C> {
    /// Returns a handle to the credential, for use outside of requests.
    #[must_use]
    pub fn handle(&self) -> Handle<C> {
        Handle::new(Arc::clone(&self.shared.caches))
    }
}

impl<S, C, K: Select> Auth<S, C, K> {
    pub(super) fn new(inner: S, caches: K::Caches<C>, policy: Arc<Policy>) -> Self {
        Self {
            inner,
            shared: Shared::new(caches, policy),
            own: None,
            called: false,
        }
    }

    #[cfg(feature = "per-key")]
    pub(super) fn caches(&self) -> &K::Caches<C> {
        &self.shared.caches
    }

    /// Returns a reference to the inner service.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// Returns a mutable reference to the inner service. Retries of requests that are in progress
    /// may still use the service as it was before.
    pub fn get_mut(&mut self) -> &mut S {
        // The copies of the inner service that are kept for retries would lack the change.
        let (caches, policy) = (self.shared.caches.clone(), Arc::clone(&self.shared.policy));
        self.shared = Shared::new(caches, policy);
        self.own = None;
        &mut self.inner
    }

    /// Returns the inner service.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

/// The credential for a request, ready for use; or a wait for one, an error, or the reason to send
/// the request without one.
type Acquisition<S, C> = Result<Acquired<C, Arc<Prepared<C, Mutex<S>>>>, NotAttached>;

impl<S: Clone, C: Credential, K: Select> Auth<S, C, K> {
    #[inline(always)]
    fn acquire(&mut self, head: &dyn AnyRequestHead) -> Acquisition<S, C> {
        match &self.own {
            Some(own) if own.is_fresh() => Ok(Acquired::Use(Arc::clone(own))),
            _ => self.acquire_slowly(head),
        }
    }

    #[inline(never)]
    fn acquire_slowly(&mut self, head: &dyn AnyRequestHead) -> Acquisition<S, C> {
        let is_first = !mem::replace(&mut self.called, true);
        let prepared = if is_first {
            self.shared.prepared.load_full()
        } else {
            self.own.clone()
        };
        if let Some(prepared) = &prepared
            && prepared.is_fresh()
        {
            return Ok(Acquired::Use(Arc::clone(prepared)));
        }
        let policy = &self.shared.policy;
        let cache = match K::select(&self.shared.caches, policy, head) {
            Ok(Some(cache)) => cache,
            Ok(None) => return Err(NotAttached::AlreadyPresent),
            Err(error) => return Ok(Acquired::Fail(error)),
        };
        let flow = Flow {
            cache,
            policy: Arc::clone(policy),
        };
        let snapshot = match flow.acquire(head)? {
            Acquired::Use(snapshot) => snapshot,
            Acquired::Wait(wait) => return Ok(Acquired::Wait(wait)),
            Acquired::Fail(error) => return Ok(Acquired::Fail(error)),
        };
        match prepared {
            Some(prepared) if Arc::ptr_eq(&prepared.snapshot, &snapshot) => {
                return Ok(Acquired::Use(prepared));
            }
            _ => {}
        }
        // The lock is there because a service need not be `Sync`.
        let prepared = Prepared::new(flow, snapshot, Mutex::new(self.inner.clone()));
        if !K::IS_SINGLE {
            // The next request may need another credential.
            return Ok(Acquired::Use(Arc::new(prepared)));
        }
        let prepared = Arc::new(if is_first {
            prepared
        } else {
            prepared.unshared()
        });
        if is_first {
            self.shared.prepared.store(Some(Arc::clone(&prepared)));
        } else {
            self.own = Some(Arc::clone(&prepared));
        }
        Ok(Acquired::Use(prepared))
    }

    #[inline(never)]
    fn pass<B, R>(&mut self, why: NotAttached, request: Request<B>) -> ResponseFuture<S, C, B, R>
    where
        S: Service<Request<B>>,
    {
        ResponseFuture::passing(self.inner.call(request), why)
    }

    #[inline(never)]
    fn wait<B, R>(&mut self, wait: Wait<C>, request: Request<B>) -> ResponseFuture<S, C, B, R>
    where
        S: Service<Request<B>, Response = Response<R>>,
    {
        self.release_inner();
        let flow = Flow {
            cache: Arc::clone(wait.cache()),
            policy: Arc::clone(&self.shared.policy),
        };
        ResponseFuture::acquiring(wait, flow, self.inner.clone(), request)
    }

    #[inline(never)]
    fn fail<B, R>(&mut self, error: Error) -> ResponseFuture<S, C, B, R>
    where
        S: Service<Request<B>>,
    {
        self.release_inner();
        ResponseFuture::failed(error)
    }

    /// Replaces the inner service, which was polled ready, with a clone that has not been polled. A
    /// ready service may hold a slot in a queue or a permit, which the token request, or a request
    /// ahead of it in the queue, may need.
    fn release_inner(&mut self) {
        let unready = self.inner.clone();
        drop(mem::replace(&mut self.inner, unready));
    }
}

impl<S, C, K: Select> Shared<S, C, K> {
    fn new(caches: K::Caches<C>, policy: Arc<Policy>) -> Arc<Self> {
        Arc::new(Self {
            caches,
            policy,
            prepared: ArcSwapOption::empty(),
        })
    }
}

impl<S, C, K, B, R> Service<Request<B>> for Auth<S, C, K>
where
    S: Service<Request<B>, Response = Response<R>> + Clone,
    S::Error: Into<BoxError>,
    C: Credential,
    K: Select,
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
        match self
            .shared
            .policy
            .admit(request.uri(), request.extensions())
        {
            Ok(None) => {}
            Ok(Some(why)) => return self.pass(why, request),
            Err(error) => return self.fail(error),
        }
        let prepared = match self.acquire(&request) {
            Ok(Acquired::Use(prepared)) => prepared,
            Ok(Acquired::Wait(wait)) => return self.wait(wait, request),
            Ok(Acquired::Fail(error)) => return self.fail(error),
            Err(why) => return self.pass(why, request),
        };
        let copy = RequestCopy::if_wanted(prepared.wants_copy(), &request);
        match prepared.attach(&mut request) {
            Ok(Ok(sent)) => ResponseFuture::sending(self.inner.call(request), prepared, sent, copy),
            Ok(Err(why)) => self.pass(why, request),
            Err(error) => self.fail(error),
        }
    }
}

impl<S: Clone, C, K: Select> Clone for Auth<S, C, K> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            shared: Arc::clone(&self.shared),
            own: None,
            called: false,
        }
    }
}

partial_debug!(Auth<S: std::fmt::Debug, C, K: Select>, inner, policy = shared.policy);
