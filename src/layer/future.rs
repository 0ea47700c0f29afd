//! The future of a response.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::{Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_service::Service;

use super::{
    copy::RequestCopy,
    kept::Kept,
    resend::{Cold, Sent, Step},
};
use crate::{
    body::CloneBody,
    cache::Wait,
    credential::{Credential, SentHead},
    error::{BoxError, Error},
    flow::{Flow, NotAttached, Verdict},
};

pin_project! {
    /// The response of an [`Auth`](super::Auth) service.
    ///
    /// It is `Send` if the inner service, its future and the bodies are.
    pub struct ResponseFuture<S, C, B, R>
    where
        S: Service<Request<B>>,
    {
        #[pin]
        state: State<S, C, B, R, S::Future>,
        // The request as it came, for another sending. It is here and not with what else is known
        // of a sending because it is large: each thing around it costs moving it once more.
        copy: Option<RequestCopy<B>>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<S, C, B, R, F> {
        /// Sent as it came.
        Passing {
            #[pin]
            future: F,
            why: NotAttached,
        },
        /// Sent with a credential.
        Sending {
            #[pin]
            future: F,
            sent: Option<Sent<S, C>>,
        },
        /// Everything else. Boxed, as it would make the future large for states it rarely has.
        Cold { cold: Pin<Box<Cold<S, C, B, R>>> },
        Failed { error: Option<Error> },
    }
}

impl<S, C, B, R> ResponseFuture<S, C, B, R>
where
    S: Service<Request<B>>,
{
    #[inline(always)]
    pub(super) fn sending(
        future: S::Future,
        kept: Arc<Kept<S, C>>,
        head: Option<Box<SentHead>>,
        copy: Option<RequestCopy<B>>,
    ) -> Self {
        Self {
            state: State::Sending {
                future,
                sent: Some(Sent::first(kept, head)),
            },
            copy,
        }
    }

    pub(super) fn passing(future: S::Future, why: NotAttached) -> Self {
        Self::of(State::Passing { future, why })
    }

    pub(super) fn failed(error: Error) -> Self {
        Self::of(State::Failed { error: Some(error) })
    }

    fn of(state: State<S, C, B, R, S::Future>) -> Self {
        Self { state, copy: None }
    }
}

impl<S, C, B, R> ResponseFuture<S, C, B, R>
where
    S: Service<Request<B>, Response = Response<R>> + Clone,
    C: Credential,
{
    pub(super) fn waiting(wait: Wait<C>, service: S, flow: Flow<C>, request: Request<B>) -> Self {
        let cold = Box::pin(Cold::first(wait, service, flow, request));
        Self::of(State::Cold { cold })
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
            let step = match state.as_mut().project() {
                StateProjection::Sending { future, sent } => {
                    let response = ready!(future.poll(cx)).map_err(Into::into)?;
                    let Some(sent) = sent.take() else {
                        return Poll::Pending;
                    };
                    match sent.judge(&response) {
                        Verdict::Accepted => return Poll::Ready(Ok(response)),
                        verdict => sent.follow(verdict, copy.take(), response),
                    }
                }
                StateProjection::Cold { cold } => ready!(cold.as_mut().poll(cx))?,
                StateProjection::Passing { future, why } => {
                    let mut response = ready!(future.poll(cx)).map_err(Into::into)?;
                    response.extensions_mut().insert(*why);
                    return Poll::Ready(Ok(response));
                }
                StateProjection::Failed { error } => {
                    return match error.take() {
                        Some(error) => Poll::Ready(Err(error.into())),
                        None => Poll::Pending,
                    };
                }
            };
            match step {
                Step::Return(response) => return Poll::Ready(Ok(response)),
                // Setting the state drops the future that has answered, and with it what it
                // holds of the inner service: the next sending may need that.
                Step::Go(cold) => state.set(State::Cold {
                    cold: Box::pin(cold),
                }),
                Step::Send(future, sent, next_copy) => {
                    state.set(State::Sending {
                        future,
                        sent: Some(sent),
                    });
                    *copy = next_copy;
                }
                Step::Pass(future, why) => state.set(State::Passing { future, why }),
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
