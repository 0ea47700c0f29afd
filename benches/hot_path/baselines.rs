//! The baseline services.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use http::{HeaderValue, Request, header::AUTHORIZATION};
use pin_project_lite::pin_project;
use tower::Service;

/// A service that inserts a ready-made header value into each request.
#[derive(Clone)]
pub(crate) struct Insert<S> {
    pub(crate) inner: S,
    pub(crate) value: HeaderValue,
}

impl<S, B> Service<Request<B>> for Insert<S>
where
    S: Service<Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> S::Future {
        request
            .headers_mut()
            .insert(AUTHORIZATION, self.value.clone());
        self.inner.call(request)
    }
}

/// Like [`Insert`], but also keeps a clone of the original request until the response arrives.
#[derive(Clone)]
pub(crate) struct CloneInsert<S> {
    pub(crate) inner: S,
    pub(crate) value: HeaderValue,
}

impl<S, B> Service<Request<B>> for CloneInsert<S>
where
    S: Service<Request<B>>,
    B: Clone,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Keeping<S::Future, Request<B>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let kept = request.clone();
        request
            .headers_mut()
            .insert(AUTHORIZATION, self.value.clone());
        Keeping {
            future: self.inner.call(request),
            kept,
        }
    }
}

pin_project! {
    /// A future, and a value that lives as long as it does.
    pub(crate) struct Keeping<F, T> {
        #[pin]
        future: F,
        kept: T,
    }
}

impl<F: Future, T> Future for Keeping<F, T> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.project().future.poll(cx)
    }
}
