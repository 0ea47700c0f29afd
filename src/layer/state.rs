//! The states of the response future.

use std::{
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, ready},
};

use futures_util::future::BoxFuture;
use http::{Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_service::Service;

use super::copy::RequestCopy;
use crate::{
    body::{CloneBody, Drain},
    cache::Snapshot,
    credential::Credential,
    error::{BoxError, Error},
    flow::{Classification, Decision, Exchange, Flow, NotAttached, NotRetried, Prepared},
    sync::lock,
};

/// An exchange that keeps a service for retries.
pub(super) type ServiceExchange<S, C> = Exchange<C, Mutex<S>>;

pub(super) type Refresh<C> = BoxFuture<'static, Result<Arc<Snapshot<C>>, Error>>;

pin_project! {
    /// States that few requests reach keep their data boxed, so that the future stays small.
    #[project = StateProjection]
    #[project_replace = StateOwned]
    pub(super) enum State<S, C, B, R, F> {
        /// Sent unchanged.
        Passing {
            #[pin]
            future: F,
            why: NotAttached,
        },
        /// Sent with a credential.
        Sending {
            #[pin]
            future: F,
            exchange: ServiceExchange<S, C>,
        },
        /// Waiting for the first credential.
        Acquiring {
            refresh: Refresh<C>,
            unsent: Box<Unsent<S, C, B>>,
        },
        /// Waiting for another credential after a rejection.
        Refreshing {
            refresh: Refresh<C>,
            rejected: Box<Rejected<S, C, B, R>>,
        },
        /// Reading the body of the rejection, and then waiting until the inner service is ready.
        Readying {
            drain: Option<Pin<Box<Drain<R>>>>,
            attempt: Box<Attempt<S, C, B>>,
        },
        Failed { error: Error },
        Done,
    }
}

pub(super) struct Unsent<S, C, B> {
    pub(super) service: S,
    pub(super) flow: Flow<C>,
    pub(super) request: Request<B>,
}

/// A rejected attempt. Its response stays unread, because the caller gets it if the refresh fails.
pub(super) struct Rejected<S, C, B, R> {
    exchange: ServiceExchange<S, C>,
    request: Request<B>,
    response: Response<R>,
}

pub(super) struct Attempt<S, C, B> {
    service: S,
    exchange: ServiceExchange<S, C>,
    request: Request<B>,
}

/// The next state, or the response that the caller gets.
pub(super) type Next<S, C, B, R, F> = Result<State<S, C, B, R, F>, Response<R>>;

pub(super) type Polled<S, C, B, R, F> = Poll<Result<Next<S, C, B, R, F>, BoxError>>;

impl<S, C, B, R> State<S, C, B, R, S::Future>
where
    S: Service<Request<B>, Response = Response<R>> + Clone,
    S::Error: Into<BoxError>,
    C: Credential,
    B: CloneBody,
    R: Body,
{
    /// Returns the next state after a rejection, or a response that the credential can answer.
    #[cold]
    #[inline(never)]
    pub(super) fn decide(
        self: Pin<&mut Self>,
        class: Classification,
        copy: Option<RequestCopy<B>>,
        response: Response<R>,
    ) -> Next<S, C, B, R, S::Future> {
        // This drops the future and releases whatever it holds of the inner service, because the
        // next attempt may need that.
        let StateOwned::Sending { exchange, .. } = self.project_replace(Self::Done) else {
            return Err(response);
        };
        Rejected::decide(exchange, class, copy, response)
    }

    /// Polls any state other than `Sending`.
    #[inline(never)]
    pub(super) fn poll_other(
        mut self: Pin<&mut Self>,
        copy: &mut Option<RequestCopy<B>>,
        cx: &mut Context<'_>,
    ) -> Polled<S, C, B, R, S::Future> {
        match self.as_mut().project() {
            StateProjection::Passing { future, why } => {
                let (result, why) = (ready!(future.poll(cx)), *why);
                self.set(Self::Done);
                let mut response = result.map_err(Into::into)?;
                response.extensions_mut().insert(why);
                return Poll::Ready(Ok(Err(response)));
            }
            StateProjection::Acquiring { refresh, .. } => {
                let outcome = ready!(refresh.as_mut().poll(cx));
                if let StateOwned::Acquiring { unsent, .. } = self.project_replace(Self::Done) {
                    return Poll::Ready(Ok(Ok(unsent.prepare(outcome?))));
                }
            }
            StateProjection::Refreshing { refresh, .. } => {
                let outcome = ready!(refresh.as_mut().poll(cx));
                if let StateOwned::Refreshing { rejected, .. } = self.project_replace(Self::Done) {
                    return Poll::Ready(Ok(rejected.refreshed(outcome)));
                }
            }
            StateProjection::Readying { drain, attempt } => {
                if let Some(reading) = drain {
                    ready!(reading.as_mut().poll(cx));
                    *drain = None;
                }
                let ready = ready!(attempt.service.poll_ready(cx));
                if let StateOwned::Readying { attempt, .. } = self.project_replace(Self::Done) {
                    ready.map_err(Into::into)?;
                    return Poll::Ready(Ok(Ok(attempt.send(copy)?)));
                }
            }
            StateProjection::Failed { .. } => {
                if let StateOwned::Failed { error } = self.project_replace(Self::Done) {
                    return Poll::Ready(Err(error.into()));
                }
            }
            StateProjection::Sending { .. } | StateProjection::Done => {}
        }
        completed()
    }
}

impl<S, C: Credential, B: CloneBody> Attempt<S, C, B> {
    /// Sends the request through the service, which must be ready.
    fn send<R>(
        self,
        copy: &mut Option<RequestCopy<B>>,
    ) -> Result<State<S, C, B, R, S::Future>, Error>
    where
        S: Service<Request<B>>,
    {
        let Self {
            mut service,
            mut exchange,
            mut request,
        } = self;
        let kept = RequestCopy::if_wanted(exchange.wants_copy(), &request);
        Ok(match exchange.attach(&mut request)? {
            None => {
                *copy = kept;
                State::Sending {
                    future: service.call(request),
                    exchange,
                }
            }
            Some(why) => State::Passing {
                future: service.call(request),
                why,
            },
        })
    }
}

impl<S: Clone, C: Credential, B: CloneBody> Unsent<S, C, B> {
    fn prepare<R, F>(self, snapshot: Arc<Snapshot<C>>) -> State<S, C, B, R, F> {
        let driver = Mutex::new(self.service.clone());
        let prepared = Prepared::new(self.flow, snapshot, driver);
        State::Readying {
            drain: None,
            attempt: Box::new(Attempt {
                service: self.service,
                exchange: Exchange::new(Arc::new(prepared), None),
                request: self.request,
            }),
        }
    }
}

impl<S: Clone, C: Credential, B: CloneBody, R: Body> Rejected<S, C, B, R> {
    /// Returns the next state after a rejection, or a response that the credential can answer.
    fn decide<F>(
        mut exchange: ServiceExchange<S, C>,
        class: Classification,
        copy: Option<RequestCopy<B>>,
        mut response: Response<R>,
    ) -> Next<S, C, B, R, F> {
        let copy = copy.filter(RequestCopy::can_replay);
        match exchange.decide(class, response.headers(), copy) {
            Decision::Return(why) => {
                exchange.not_retried(why, response.extensions_mut());
                Err(response)
            }
            Decision::Resend(copy) => Self::new(exchange, copy, response).resend(),
            Decision::Wait(wait, copy) => Ok(State::Refreshing {
                refresh: Box::pin(wait.outcome()),
                rejected: Box::new(Self::new(exchange, copy, response)),
            }),
        }
    }

    fn new(exchange: ServiceExchange<S, C>, copy: RequestCopy<B>, response: Response<R>) -> Self {
        Self {
            exchange,
            request: copy.into_request(),
            response,
        }
    }

    fn refreshed<F>(mut self, outcome: Result<Arc<Snapshot<C>>, Error>) -> Next<S, C, B, R, F> {
        match self.exchange.refreshed(outcome) {
            Ok(()) => self.resend(),
            Err(why) => self.give_up(why),
        }
    }

    fn resend<F>(mut self) -> Next<S, C, B, R, F> {
        // The first attempt may still be sending its body. From here on, it cannot disturb this
        // attempt, but it may already have read more than can be replayed.
        if !self.request.body_mut().take_over() {
            return self.give_up(NotRetried::BodyNotReplayable);
        }
        let limit = self.exchange.drain_limit();
        let drain = Drain::new(self.response.into_body(), limit.bytes, limit.time);
        let service = lock(self.exchange.driver()).clone();
        Ok(State::Readying {
            drain: drain.map(Box::pin),
            attempt: Box::new(Attempt {
                service,
                exchange: self.exchange,
                request: self.request,
            }),
        })
    }

    fn give_up<F>(mut self, why: NotRetried) -> Next<S, C, B, R, F> {
        let extensions = self.response.extensions_mut();
        self.exchange.not_retried(Some(why), extensions);
        Err(self.response)
    }
}

#[cold]
#[inline(never)]
#[allow(clippy::panic, reason = "the caller broke the contract of `Future`")]
pub(super) fn completed() -> ! {
    panic!("ResponseFuture polled after completion")
}
