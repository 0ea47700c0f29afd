//! The layer that makes request bodies replayable.

use std::task::{Context, Poll};

use http::Request;
use http_body::Body;
use tower_layer::Layer;
use tower_service::Service;

use super::{DEFAULT_CAP, ReplayBody};

/// Wraps the body of every request in a [`ReplayBody`].
///
/// It goes above every layer that sends a request again: they share what is kept.
#[derive(Clone, Copy, Debug)]
pub struct ReplayLayer {
    cap: usize,
}

impl ReplayLayer {
    /// A layer whose bodies keep up to 64 KiB.
    #[must_use]
    pub fn new() -> Self {
        Self { cap: DEFAULT_CAP }
    }

    /// How many bytes of a body are kept, at most, for a further sending. Default: 64 KiB. A
    /// larger body is sent once.
    #[must_use]
    pub fn cap(mut self, bytes: usize) -> Self {
        self.cap = bytes;
        self
    }
}

impl Default for ReplayLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> Layer<S> for ReplayLayer {
    type Service = Replay<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Replay {
            inner,
            cap: self.cap,
        }
    }
}

/// Wraps the body of every request in a [`ReplayBody`]. Made by [`ReplayLayer`].
#[derive(Clone, Copy, Debug)]
pub struct Replay<S> {
    inner: S,
    cap: usize,
}

impl<S> Replay<S> {
    /// Bodies keep up to 64 KiB. For another cap, use the layer.
    pub fn new(inner: S) -> Self {
        Self::layer().layer(inner)
    }

    /// The layer that makes this service.
    #[must_use]
    pub fn layer() -> ReplayLayer {
        ReplayLayer::new()
    }

    /// The inner service.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The inner service.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// The inner service.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S, B> Service<Request<B>> for Replay<S>
where
    S: Service<Request<ReplayBody<B>>>,
    B: Body,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let cap = self.cap;
        self.inner
            .call(request.map(|body| ReplayBody::with_cap(body, cap)))
    }
}
