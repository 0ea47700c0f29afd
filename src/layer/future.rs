//! The future of a response.

use std::{
    fmt,
    future::Future,
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
    cache::{Snapshot, Wait},
    credential::Credential,
    error::{BoxError, Error},
    flow::{Classification, Decision, Exchange, Flow, NotAttached, NotRetried, Prepared},
    sync::lock,
};

/// An exchange that keeps a service for retries.
type ServiceExchange<S, C> = Exchange<C, Mutex<S>>;

type Refresh<C> = BoxFuture<'static, Result<Arc<Snapshot<C>>, Error>>;

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
        // value around it costs moving it once more.
        copy: Option<RequestCopy<B>>,
    }
}

pin_project! {
    /// States that few requests reach keep their data in a box, so that the future stays small.
    #[project = StateProjection]
    #[project_replace = StateOwned]
    enum State<S, C, B, R, F> {
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
        /// Reading the rejection's body, and then waiting for the inner service.
        Readying {
            drain: Option<Pin<Box<Drain<R>>>>,
            attempt: Box<Attempt<S, C, B>>,
        },
        Failed { error: Error },
        Done,
    }
}

struct Unsent<S, C, B> {
    service: S,
    flow: Flow<C>,
    request: Request<B>,
}

/// Keeps the response unread, because the caller gets it if the refresh fails.
struct Rejected<S, C, B, R> {
    exchange: ServiceExchange<S, C>,
    request: Request<B>,
    response: Response<R>,
}

struct Attempt<S, C, B> {
    service: S,
    exchange: ServiceExchange<S, C>,
    request: Request<B>,
}

impl<S, C, B, R> ResponseFuture<S, C, B, R>
where
    S: Service<Request<B>>,
{
    #[inline(always)]
    pub(super) fn sending(
        future: S::Future,
        exchange: ServiceExchange<S, C>,
        copy: Option<RequestCopy<B>>,
    ) -> Self {
        let state = State::Sending { future, exchange };
        Self { state, copy }
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

/// The next state, or the response that the caller gets.
type Next<S, C, B, R, F> = Result<State<S, C, B, R, F>, Response<R>>;

type Polled<S, C, B, R, F> = Poll<Result<Next<S, C, B, R, F>, BoxError>>;

impl<S, C, B, R> State<S, C, B, R, S::Future>
where
    S: Service<Request<B>, Response = Response<R>> + Clone,
    S::Error: Into<BoxError>,
    C: Credential,
    B: CloneBody,
    R: Body,
{
    /// Returns the next state after a response that is not simply accepted.
    #[cold]
    #[inline(never)]
    fn decide(
        self: Pin<&mut Self>,
        class: Classification,
        copy: Option<RequestCopy<B>>,
        response: Response<R>,
    ) -> Next<S, C, B, R, S::Future> {
        // This drops the future, and with it what it holds of the inner service: the next attempt
        // may need that.
        let StateOwned::Sending { exchange, .. } = self.project_replace(Self::Done) else {
            return Err(response);
        };
        Rejected::decide(exchange, class, copy, response)
    }

    /// Polls a state other than sending with a credential.
    #[inline(never)]
    fn poll_other(
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
    /// Sends the request through the service, which is ready.
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
        let kept = RequestCopy::if_wanted(&exchange, &request);
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
                exchange: Exchange::new(Arc::new(prepared)),
                request: self.request,
            }),
        }
    }
}

impl<S: Clone, C: Credential, B: CloneBody, R: Body> Rejected<S, C, B, R> {
    /// Returns the next state after a response that is not simply accepted.
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
        // The first attempt may still be sending. From here on it cannot disturb this one; until
        // now it may have read more than can be replayed.
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

impl<S, C, B, R> fmt::Debug for ResponseFuture<S, C, B, R>
where
    S: Service<Request<B>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}

#[cold]
#[inline(never)]
#[allow(clippy::panic, reason = "the caller broke the contract of `Future`")]
fn completed() -> ! {
    panic!("ResponseFuture polled after completion")
}
