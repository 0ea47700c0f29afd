//! A `reqwest::Client` as a tower service of `http` types.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt, ready};
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use crate::{body::CloneBody, error::BoxError};

/// A `reqwest::Client` that takes and gives `http` types, so that a stack of tower layers can end
/// in it. Cloning shares the connection pool.
///
/// What reqwest does on its own (redirects, proxies, cookies, decompression) it does beneath
/// whatever is above: see the [module](super) about redirects.
///
/// Errors are reqwest's, among them that of a URI without a host.
#[derive(Clone, Debug)]
pub struct ReqwestService {
    client: reqwest::Client,
}

impl ReqwestService {
    /// A service over this client.
    #[must_use]
    pub fn new(client: reqwest::Client) -> Self {
        Self { client }
    }

    /// The client.
    #[must_use]
    pub fn get_ref(&self) -> &reqwest::Client {
        &self.client
    }

    /// The client.
    pub fn get_mut(&mut self) -> &mut reqwest::Client {
        &mut self.client
    }

    /// The client.
    #[must_use]
    pub fn into_inner(self) -> reqwest::Client {
        self.client
    }
}

impl From<reqwest::Client> for ReqwestService {
    fn from(client: reqwest::Client) -> Self {
        Self::new(client)
    }
}

impl<B> Service<Request<B>> for ReqwestService
where
    B: Body + Send + Sync + 'static,
    B::Data: Into<Bytes>,
    B::Error: Into<BoxError>,
{
    type Response = Response<reqwest::Body>;
    type Error = reqwest::Error;
    type Future = ReqwestFuture;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), reqwest::Error>> {
        self.client.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> ReqwestFuture {
        let request = request.map(|body| {
            // A wrapped body of no bytes would still be announced as one.
            if body.is_end_stream() {
                reqwest::Body::default()
            } else {
                reqwest::Body::wrap(body)
            }
        });
        let future = match reqwest::Request::try_from(request) {
            Ok(request) => self.client.call(request).boxed(),
            Err(error) => ready(Err(error)).boxed(),
        };
        ReqwestFuture { future }
    }
}

/// The response of a [`ReqwestService`].
pub struct ReqwestFuture {
    future: BoxFuture<'static, Result<reqwest::Response, reqwest::Error>>,
}

impl Future for ReqwestFuture {
    type Output = Result<Response<reqwest::Body>, reqwest::Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let response = self.future.poll_unpin(cx);
        response.map_ok(Into::into).map_err(without_query)
    }
}

impl fmt::Debug for ReqwestFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReqwestFuture").finish_non_exhaustive()
    }
}

/// The error, which names its URL, without the query: there may be a key in it.
pub(super) fn without_query(mut error: reqwest::Error) -> reqwest::Error {
    if let Some(url) = error.url_mut() {
        url.set_query(None);
    }
    error
}

/// A body of bytes is copied; a stream is sent once.
impl CloneBody for reqwest::Body {
    fn try_clone_body(&self) -> Option<Self> {
        self.as_bytes()
            .map(|bytes| Self::from(Bytes::copy_from_slice(bytes)))
    }
}
