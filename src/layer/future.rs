//! The response future.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, ready},
};

use http::{Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_service::Service;

use super::{
    copy::RequestCopy,
    state::{State, StateProjection, Unsent, completed},
};
use crate::{
    body::CloneBody,
    cache::Wait,
    credential::{Credential, SentHead},
    error::{BoxError, Error},
    flow::{Classification, Exchange, Flow, NotAttached, Prepared},
};

pin_project! {
    /// The future returned by an [`Auth`](super::Auth) service.
    ///
    /// It is `Send` if the inner service, its future and the bodies are.
    pub struct ResponseFuture<S, C, B, R>
    where
        S: Service<Request<B>>,
    {
        #[pin]
        state: State<S, C, B, R, S::Future>,
        // The request for another attempt. It is not part of the state, because it is large: every
        // enclosing value costs another move.
        copy: Option<RequestCopy<B>>,
    }
}

impl<S, C, B, R> ResponseFuture<S, C, B, R>
where
    S: Service<Request<B>>,
{
    // The parts of the exchange are passed separately, because moving it as a whole costs a copy.
    #[inline(always)]
    pub(super) fn sending(
        future: S::Future,
        prepared: Arc<Prepared<C, Mutex<S>>>,
        sent: Option<Box<SentHead>>,
        copy: Option<RequestCopy<B>>,
    ) -> Self
    where
        C: Credential,
    {
        Self {
            state: State::Sending {
                future,
                exchange: Exchange::new(prepared, sent),
            },
            copy,
        }
    }

    pub(super) fn passing(future: S::Future, why: NotAttached) -> Self {
        Self::of(State::Passing { future, why })
    }

    pub(super) fn failed(error: Error) -> Self {
        Self::of(State::Failed { error })
    }

    fn of(state: State<S, C, B, R, S::Future>) -> Self {
        Self { state, copy: None }
    }
}

impl<S, C, B, R> ResponseFuture<S, C, B, R>
where
    S: Service<Request<B>>,
    C: Credential,
{
    pub(super) fn acquiring(wait: Wait<C>, flow: Flow<C>, service: S, request: Request<B>) -> Self {
        Self::of(State::Acquiring {
            refresh: Box::pin(wait.outcome()),
            unsent: Box::new(Unsent {
                service,
                flow,
                request,
            }),
        })
    }
}

impl<S, C, B, R> Future for ResponseFuture<S, C, B, R>
where
    S: Service<Request<B>, Response = Response<R>> + Clone,
    S::Error: Into<BoxError>,
    C: Credential,
    B: CloneBody,
    R: Body,
{
    type Output = Result<Response<R>, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let (mut state, copy) = (this.state, this.copy);
        loop {
            let next = match state.as_mut().project() {
                StateProjection::Sending { future, exchange } => {
                    if exchange.is_complete() {
                        completed();
                    }
                    let response = ready!(future.poll(cx)).map_err(|error| {
                        exchange.complete();
                        error.into()
                    })?;
                    exchange.complete();
                    let class = exchange.classify(response.status(), response.headers());
                    if class == Classification::Accepted {
                        return Poll::Ready(Ok(response));
                    }
                    state.as_mut().decide(class, copy.take(), response)
                }
                _ => ready!(state.as_mut().poll_other(copy, cx))?,
            };
            match next {
                Ok(next) => state.set(next),
                Err(response) => return Poll::Ready(Ok(response)),
            }
        }
    }
}

impl<S, C, B, R> fmt::Debug for ResponseFuture<S, C, B, R>
where
    S: Service<Request<B>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
