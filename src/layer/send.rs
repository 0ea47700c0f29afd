//! What a service does with a request that may carry a credential, whatever it chose that by.

use std::{mem, sync::Arc};

use http::{Request, Response};
use tower_service::Service;

use super::{future::ResponseFuture, kept::Kept, resend::copy_of};
use crate::{
    body::CloneBody,
    cache::{Acquired, Snapshot, Wait},
    credential::{Credential, RequestHead},
    error::Error,
    flow::{Flow, NotAttached},
};

/// Why a request cannot be sent at once.
pub(super) enum Missing<C> {
    /// The request has a credential of its own.
    Own(NotAttached),
    Wait(Wait<C>),
    Failed(Error),
}

/// The credential for a request, if there is one.
pub(super) fn acquire<C: Credential>(
    flow: &Flow<C>,
    head: &mut dyn RequestHead,
) -> Result<Arc<Snapshot<C>>, Missing<C>> {
    match flow.acquire(head) {
        Ok(Acquired::Ready(snapshot)) => Ok(snapshot),
        Ok(Acquired::Wait(wait)) => Err(Missing::Wait(wait)),
        Ok(Acquired::Failed(error)) => Err(Missing::Failed(error)),
        Err(why) => Err(Missing::Own(why)),
    }
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
        Ok(None) => {
            let head = Flow::<C>::sent_head(&request);
            ResponseFuture::sending(inner.call(request), kept, copy, head)
        }
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
    request: Request<B>,
) -> ResponseFuture<S, C, B, R>
where
    S: Service<Request<B>, Response = Response<R>> + Clone,
    C: Credential,
{
    match missing {
        Missing::Own(why) => ResponseFuture::passing(inner.call(request), why),
        Missing::Wait(wait) => {
            give_back(inner);
            ResponseFuture::waiting(wait, inner.clone(), flow.clone(), request)
        }
        Missing::Failed(error) => {
            give_back(inner);
            ResponseFuture::failed(error)
        }
    }
}

/// Gives the service that was polled ready back, for a clone that was not. Holding it would be
/// holding its place in a queue or its permit, which the token request, or whoever comes before
/// it, may need.
fn give_back<S: Clone>(inner: &mut S) {
    let unready = inner.clone();
    drop(mem::replace(inner, unready));
}
