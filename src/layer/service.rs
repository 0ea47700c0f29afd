//! The service.

use std::{
    fmt, mem,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use super::{
    auth_layer::AuthLayer,
    future::ResponseFuture,
    kept::{Kept, Shared},
    send::{Missing, acquire, attach, copy_of, fail, send_later},
};
use crate::{
    body::CloneBody, cache::Handle, credential::AnyRequestHead, error::BoxError, flow::Flow,
    origin::Origins, provider::Provider,
};

/// Puts a credential on each request before it goes to the inner service; made by [`AuthLayer`].
///
/// Requests and responses keep their types. The inner service's errors pass through, boxed; errors
/// of this layer are an [`Error`](crate::Error) in the box.
pub struct Auth<S, P: Provider> {
    inner: S,
    shared: Arc<Shared<S, P::Credential>>,
    /// What this very service keeps, from its second call on.
    own: Option<Arc<Kept<S, P::Credential>>>,
    called: bool,
}

/// What a request takes along, if there is a credential for it.
type Lease<S, C> = Result<Arc<Kept<S, C>>, Missing<C>>;

impl<S, P: Provider> Auth<S, P> {
    pub(super) fn new(inner: S, flow: Flow<P::Credential>) -> Self {
        Self {
            inner,
            shared: Shared::new(flow),
            own: None,
            called: false,
        }
    }

    /// The layer that makes such services, as [`AuthLayer::new`].
    pub fn layer(provider: P, origins: Origins) -> AuthLayer<P> {
        AuthLayer::new(provider, origins)
    }

    /// The way to the credential from outside of requests.
    #[must_use]
    pub fn handle(&self) -> Handle<P::Credential> {
        Handle::new(Arc::clone(&self.shared.flow.cache))
    }

    /// The inner service.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The inner service. Retries of requests that are under way may still use the one before.
    pub fn get_mut(&mut self) -> &mut S {
        // Copies of the inner service that are kept for retries would lack the change.
        self.shared = Shared::new(self.shared.flow.clone());
        self.own = None;
        &mut self.inner
    }

    /// The inner service.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S: Clone, P: Provider> Auth<S, P> {
    #[inline]
    fn lease(&mut self, head: &mut dyn AnyRequestHead) -> Lease<S, P::Credential> {
        match &self.own {
            Some(own) if own.flow.cache.is_fresh(&own.snapshot) => Ok(Arc::clone(own)),
            _ => self.lease_slowly(head),
        }
    }

    #[inline(never)]
    fn lease_slowly(&mut self, head: &mut dyn AnyRequestHead) -> Lease<S, P::Credential> {
        let flow = &self.shared.flow;
        let first = !mem::replace(&mut self.called, true);
        let kept = if first {
            self.shared.kept.load_full()
        } else {
            self.own.clone()
        };
        if let Some(kept) = &kept
            && flow.cache.is_fresh(&kept.snapshot)
        {
            return Ok(Arc::clone(kept));
        }
        let snapshot = acquire(flow, head)?;
        match kept {
            Some(kept) if Arc::ptr_eq(&kept.snapshot, &snapshot) => return Ok(kept),
            _ => {}
        }
        let kept = Kept::new(self.inner.clone(), flow.clone(), snapshot);
        let kept = Arc::new(if first { kept } else { kept.detached() });
        if first {
            self.shared.kept.store(Some(Arc::clone(&kept)));
        } else {
            self.own = Some(Arc::clone(&kept));
        }
        Ok(kept)
    }
}

impl<S, P, B, R> Service<Request<B>> for Auth<S, P>
where
    S: Service<Request<B>, Response = Response<R>> + Clone,
    S::Error: Into<BoxError>,
    P: Provider,
    B: CloneBody,
    R: Body,
{
    type Response = Response<R>;
    type Error = BoxError;
    type Future = ResponseFuture<S, P::Credential, B, R>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        match self.shared.flow.admit(request.uri(), request.extensions()) {
            Ok(None) => {}
            Ok(Some(why)) => return ResponseFuture::passing(self.inner.call(request), why),
            Err(error) => return fail(&mut self.inner, error),
        }
        let kept = match self.lease(&mut request) {
            Ok(kept) => kept,
            Err(missing) => return send_later(&mut self.inner, missing, request),
        };
        let copy = copy_of(&kept, &request);
        match attach(&kept, &mut request) {
            Ok(head) => ResponseFuture::sending(self.inner.call(request), kept, head, copy),
            Err(missing) => send_later(&mut self.inner, missing, request),
        }
    }
}

impl<S: Clone, P: Provider> Clone for Auth<S, P> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            shared: Arc::clone(&self.shared),
            own: None,
            called: false,
        }
    }
}

impl<S: fmt::Debug, P: Provider> fmt::Debug for Auth<S, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Auth")
            .field("inner", &self.inner)
            .field("policy", &self.shared.flow.policy)
            .finish_non_exhaustive()
    }
}
