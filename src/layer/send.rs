//! What a service does with a request that may carry a credential, whatever it chose that by.

use std::{mem, sync::Arc};

use http::{Request, Response};
use tower_service::Service;

use super::{copy::RequestCopy, future::ResponseFuture, kept::Kept};
use crate::{
    body::CloneBody,
    cache::{Acquired, Snapshot, Wait},
    credential::{AnyRequestHead, Credential, SentHead},
    error::Error,
    flow::{Flow, NotAttached},
};

/// Why a request cannot be sent at once.
pub(super) enum Missing<C> {
    /// The request has a credential of its own.
    Own(NotAttached),
    Wait(Wait<C>, Flow<C>),
    Failed(Error),
}

/// The credential for a request, if there is one.
pub(super) fn acquire<C: Credential>(
    flow: &Flow<C>,
    head: &mut dyn AnyRequestHead,
) -> Result<Arc<Snapshot<C>>, Missing<C>> {
    match flow.acquire(head) {
        Ok(Acquired::Use(snapshot)) => Ok(snapshot),
        Ok(Acquired::Wait(wait)) => Err(Missing::Wait(wait, flow.clone())),
        Ok(Acquired::Fail(error)) => Err(Missing::Failed(error)),
        Err(why) => Err(Missing::Own(why)),
    }
}

/// The request as it came, if it may be sent again.
#[inline(always)]
pub(super) fn copy_of<S, C: Credential, B: CloneBody>(
    kept: &Kept<S, C>,
    request: &Request<B>,
) -> Option<RequestCopy<B>> {
    if kept.flow.wants_copy(&kept.snapshot) {
        RequestCopy::of(request)
    } else {
        None
    }
}

/// Puts the credential that is kept on a request, which the caller then sends: it stays where it is
/// until the inner service gets it, because it is large to move.
#[inline(always)]
pub(super) fn attach<S: Clone, C: Credential, B: CloneBody>(
    kept: &Kept<S, C>,
    request: &mut Request<B>,
) -> Result<Option<Box<SentHead>>, Missing<C>> {
    match kept.flow.attach(kept.credential(), request) {
        Ok(None) => Ok(Flow::<C>::sent_head(request)),
        Ok(Some(why)) => Err(Missing::Own(why)),
        Err(error) => Err(Missing::Failed(error)),
    }
}

/// Sends a request as soon as there is a credential for it.
#[inline(never)]
pub(super) fn send_later<S, C, B, R>(
    inner: &mut S,
    missing: Missing<C>,
    request: Request<B>,
) -> ResponseFuture<S, C, B, R>
where
    S: Service<Request<B>, Response = Response<R>> + Clone,
    C: Credential,
{
    match missing {
        Missing::Own(why) => ResponseFuture::passing(inner.call(request), why),
        Missing::Wait(wait, flow) => {
            give_back(inner);
            ResponseFuture::waiting(wait, inner.clone(), flow, request)
        }
        Missing::Failed(error) => fail(inner, error),
    }
}

/// Sends no request.
pub(super) fn fail<S, C, B, R>(inner: &mut S, error: Error) -> ResponseFuture<S, C, B, R>
where
    S: Service<Request<B>> + Clone,
{
    give_back(inner);
    ResponseFuture::failed(error)
}

/// Gives the service that was polled ready back, for a clone that was not. Holding it would be
/// holding its place in a queue or its permit, which the token request, or whoever comes before
/// it, may need.
fn give_back<S: Clone>(inner: &mut S) {
    let unready = inner.clone();
    drop(mem::replace(inner, unready));
}
