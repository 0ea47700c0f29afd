//! The way of a request that is not simply sent: waiting for a credential, and sending again.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use futures_util::future::BoxFuture;
use http::{Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_service::Service;

use super::{copy::RequestCopy, kept::Kept};
use crate::{
    body::{CloneBody, Drain},
    cache::{Snapshot, Wait},
    credential::{Credential, SentHead},
    error::{BoxError, Error},
    flow::{Attempt, Flow, Next, NotAttached, NotRetried, Verdict},
};

/// A request that was sent with a credential.
pub(super) struct Sent<S, C> {
    kept: Arc<Kept<S, C>>,
    /// The credential of a retry; the first sending used the one that is kept.
    renewed: Option<Arc<Snapshot<C>>>,
    /// As it was sent, for a credential that answers.
    head: Option<Box<SentHead>>,
    /// Whether it was sent again because this credential answered a challenge.
    answered: bool,
}

/// A request to be sent, as it came, and the credential for it: the fields are as in [`Sent`].
pub(super) struct Again<S, C, B> {
    kept: Arc<Kept<S, C>>,
    renewed: Option<Arc<Snapshot<C>>>,
    request: Request<B>,
    answered: bool,
}

/// What to do next.
pub(super) enum Step<S, C, B, R, F> {
    Return(Response<R>),
    Go(Cold<S, C, B, R>),
    Send(F, Sent<S, C>, Option<RequestCopy<B>>),
    Pass(F, NotAttached),
}

type Polled<S, C, B, R, F> = Result<Step<S, C, B, R, F>, BoxError>;

type Waiting<C> = BoxFuture<'static, Result<Arc<Snapshot<C>>, Error>>;

pin_project! {
    /// A request that waits for something else than its response.
    #[project = ColdProjection]
    pub(super) enum Cold<S, C, B, R> {
        /// There is no credential, so nothing was sent yet.
        First {
            wait: Waiting<C>,
            request: Option<(S, Flow<C>, Request<B>)>,
        },
        /// The credential was rejected. The response is kept unread: it goes to the caller if
        /// there is no other credential.
        Renewing {
            wait: Waiting<C>,
            rejected: Option<(Response<R>, Again<S, C, B>)>,
        },
        Draining {
            #[pin]
            drain: Drain<R>,
            again: Option<Again<S, C, B>>,
        },
        Readying {
            service: S,
            again: Option<Again<S, C, B>>,
        },
    }
}

impl<S, C> Sent<S, C> {
    #[inline(always)]
    pub(super) fn first(kept: Arc<Kept<S, C>>, head: Option<Box<SentHead>>) -> Self {
        Self {
            kept,
            renewed: None,
            head,
            answered: false,
        }
    }
}

impl<S: Clone, C: Credential, B: CloneBody, R: Body, F> Step<S, C, B, R, F> {
    /// Sends a request again, after making the connection of the response before it free.
    fn again(mut response: Response<R>, mut again: Again<S, C, B>) -> Self {
        // The first sending may still be under way. From here on it cannot spoil this one; up to
        // here it may have read more than can be sent again.
        if !again.request.body_mut().take_over() {
            let why = NotRetried::BodyNotReplayable;
            again.kept.flow.not_retried(why, response.extensions_mut());
            return Self::Return(response);
        }
        let limit = again.kept.flow.policy.drain;
        Self::Go(
            match Drain::new(response.into_body(), limit.bytes, limit.time) {
                Some(drain) => Cold::Draining {
                    drain,
                    again: Some(again),
                },
                None => Cold::Readying {
                    service: again.kept.service(),
                    again: Some(again),
                },
            },
        )
    }
}

impl<S: Clone, C: Credential> Sent<S, C> {
    #[inline]
    pub(super) fn judge<R>(&self, response: &Response<R>) -> Verdict {
        let snapshot = self.renewed.as_ref().unwrap_or(&self.kept.snapshot);
        let (head, status) = (self.head.as_deref(), response.status());
        self.kept
            .flow
            .judge(snapshot, head, status, response.headers())
    }

    /// What follows from a response that was not simply accepted.
    pub(super) fn follow<B: CloneBody, R: Body, F>(
        self,
        verdict: Verdict,
        copy: Option<RequestCopy<B>>,
        mut response: Response<R>,
    ) -> Step<S, C, B, R, F> {
        let Self {
            kept,
            renewed,
            head: _,
            answered,
        } = self;
        let copy = copy.filter(RequestCopy::can_replay);
        let snapshot = renewed.as_ref().unwrap_or(&kept.snapshot);
        let attempt = Attempt {
            retried: renewed.is_some(),
            answered,
            replayable: copy.is_some(),
        };
        let next = kept
            .flow
            .follow(snapshot, verdict, response.headers(), attempt);
        let (next, request) = match (next, copy) {
            (Next::Return(Some(why)), _) => {
                kept.flow.not_retried(why, response.extensions_mut());
                return Step::Return(response);
            }
            // Nothing else is asked of a request that cannot be replayed.
            (Next::Return(None), _) | (_, None) => return Step::Return(response),
            (next, Some(copy)) => (next, copy.into_request()),
        };
        let mut again = Again {
            kept,
            renewed,
            request,
            answered: false,
        };
        match next {
            Next::Wait(wait) => {
                let wait = Box::pin(wait.outcome());
                return Step::Go(Cold::Renewing {
                    wait,
                    rejected: Some((response, again)),
                });
            }
            Next::Retry(newer) => again.renewed = Some(newer),
            Next::Answer | Next::Return(_) => again.answered = true,
        }
        Step::again(response, again)
    }
}

impl<S, C, B, R> Cold<S, C, B, R>
where
    S: Clone,
    C: Credential,
{
    pub(super) fn first(wait: Wait<C>, service: S, flow: Flow<C>, request: Request<B>) -> Self {
        Self::First {
            wait: Box::pin(wait.outcome()),
            request: Some((service, flow, request)),
        }
    }
}

impl<S, C, B, R> Cold<S, C, B, R>
where
    S: Clone,
    C: Credential,
    R: Body,
{
    pub(super) fn poll(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Polled<S, C, B, R, S::Future>>
    where
        S: Service<Request<B>, Response = Response<R>>,
        S::Error: Into<BoxError>,
        B: CloneBody,
    {
        loop {
            let next = match self.as_mut().project() {
                ColdProjection::First { wait, request } => {
                    let outcome = ready!(wait.as_mut().poll(cx));
                    let Some((service, flow, request)) = request.take() else {
                        return Poll::Pending;
                    };
                    let kept = Arc::new(Kept::new(service.clone(), flow, outcome?));
                    let again = Again {
                        kept,
                        renewed: None,
                        request,
                        answered: false,
                    };
                    Self::Readying {
                        service,
                        again: Some(again),
                    }
                }
                ColdProjection::Renewing { wait, rejected } => {
                    let outcome = ready!(wait.as_mut().poll(cx));
                    let Some((mut response, mut again)) = rejected.take() else {
                        return Poll::Pending;
                    };
                    match again.kept.flow.renewed(&again.kept.snapshot, outcome) {
                        Ok(newer) => again.renewed = Some(newer),
                        Err(why) => {
                            again.kept.flow.not_retried(why, response.extensions_mut());
                            return Poll::Ready(Ok(Step::Return(response)));
                        }
                    }
                    return Poll::Ready(Ok(Step::again(response, again)));
                }
                ColdProjection::Draining { drain, again } => {
                    ready!(drain.poll(cx));
                    let Some(again) = again.take() else {
                        return Poll::Pending;
                    };
                    Self::Readying {
                        service: again.kept.service(),
                        again: Some(again),
                    }
                }
                ColdProjection::Readying { service, again } => {
                    ready!(service.poll_ready(cx)).map_err(Into::into)?;
                    let Some(again) = again.take() else {
                        return Poll::Pending;
                    };
                    return Poll::Ready(again.send(service).map_err(Into::into));
                }
            };
            self.set(next);
        }
    }
}

impl<S, C: Credential, B: CloneBody> Again<S, C, B> {
    /// Sends the request through a service that is ready.
    fn send<R>(self, service: &mut S) -> Result<Step<S, C, B, R, S::Future>, Error>
    where
        S: Service<Request<B>, Response = Response<R>>,
    {
        let Self {
            kept,
            renewed,
            mut request,
            answered,
        } = self;
        let snapshot = renewed.as_ref().unwrap_or(&kept.snapshot);
        if renewed.is_some() || answered {
            kept.flow.resent(snapshot, answered);
        }
        let wants_copy = match &renewed {
            None => kept.flow.wants_copy(snapshot),
            // Only an answer to a challenge could have a retry sent again.
            Some(_) => C::HANDLES_CHALLENGES,
        };
        let copy = if wants_copy {
            RequestCopy::of(&request)
        } else {
            None
        };
        if let Some(why) = kept.flow.attach(&snapshot.credential, &mut request)? {
            return Ok(Step::Pass(service.call(request), why));
        }
        let head = Flow::<C>::sent_head(&request);
        let sent = Sent {
            kept,
            renewed,
            head,
            answered,
        };
        Ok(Step::Send(service.call(request), sent, copy))
    }
}
