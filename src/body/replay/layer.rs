//! The layer that makes request bodies replayable.

use std::task::{Context, Poll};

use http::Request;
use http_body::Body;
use tower_layer::Layer;
use tower_service::Service;

use super::{DEFAULT_CAP, ReplayBody};

/// Wraps the body of every request in a [`ReplayBody`].
///
/// Put it above every layer that retries requests, so that all of them share one recording.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct ReplayLayer {
    cap: usize,
}

impl ReplayLayer {
    /// Creates a layer that records up to 64 KiB of each body.
    pub fn new() -> Self {
        Self { cap: DEFAULT_CAP }
    }

    /// Sets the maximum number of bytes to record from each body. A larger body is sent only once.
    /// Default: 64 KiB.
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

/// A service that wraps the body of every request in a [`ReplayBody`]. See [`ReplayLayer`].
#[derive(Clone, Copy, Debug)]
pub struct Replay<S> {
    inner: S,
    cap: usize,
}

impl<S> Replay<S> {
    /// Creates a service that records up to 64 KiB of each body. For another cap, use the layer.
    pub fn new(inner: S) -> Self {
        Self::layer().layer(inner)
    }

    /// Returns the layer that creates this service.
    pub fn layer() -> ReplayLayer {
        ReplayLayer::new()
    }

    /// Returns a reference to the inner service.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// Returns a mutable reference to the inner service.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// Returns the inner service.
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
