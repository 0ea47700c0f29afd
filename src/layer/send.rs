//! What a service does with a request that may carry a credential, whatever it chose that by.

use std::{mem, sync::Arc};

use http::{Request, Response};
use tower_service::Service;

use super::{future::ResponseFuture, kept::Kept, resend::copy_of};
use crate::{
    body::CloneBody,
    cache::Wait,
    credential::Credential,
    error::Error,
    flow::{Flow, NotAttached},
};

/// Why a request cannot be sent at once.
pub(super) enum Missing<C> {
    Wait(Wait<C>),
    Failed(Error),
}

/// Sends a request with the credential that is kept, through the service that was polled ready.
#[inline(always)]
pub(super) fn send<S, C, B, R>(
    inner: &mut S,
    kept: Arc<Kept<S, C>>,
    mut request: Request<B>,
) -> ResponseFuture<S, C, B, R>
where
    S: Service<Request<B>, Response = Response<R>> + Clone,
    C: Credential,
    B: CloneBody,
{
    let copy = if kept.flow.wants_copy(&kept.snapshot) {
        copy_of(&request)
    } else {
        None
    };
    match kept.flow.attach(kept.credential(), &mut request) {
        Ok(None) => ResponseFuture::sending(inner.call(request), kept, copy),
        Ok(Some(why)) => ResponseFuture::passing(inner.call(request), why),
        Err(error) => ResponseFuture::failed(error),
    }
}

/// Sends a request as soon as there is a credential for it.
#[inline(never)]
pub(super) fn send_later<S, C, B, R>(
    inner: &mut S,
    flow: &Flow<C>,
    missing: Missing<C>,
    mut request: Request<B>,
) -> ResponseFuture<S, C, B, R>
where
    S: Service<Request<B>, Response = Response<R>> + Clone,
    C: Credential,
{
    if flow.carries_its_own(&mut request) {
        return ResponseFuture::passing(inner.call(request), NotAttached::AlreadyPresent);
    }
    // The ready service gives way to a clone that is not ready. Holding it would be holding its
    // place in a queue or its permit, which the token request, or whoever comes before it, may
    // need.
    let unready = inner.clone();
    drop(mem::replace(inner, unready));
    match missing {
        Missing::Wait(wait) => ResponseFuture::waiting(wait, inner.clone(), flow.clone(), request),
        Missing::Failed(error) => ResponseFuture::failed(error),
    }
}
