//! A tower service for `http` types over a `reqwest::Client`.

use std::{
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

/// A tower service over a `reqwest::Client`, for the end of a stack of layers. Requests and
/// responses are `http` types. Clones share the connection pool.
///
/// Redirects, proxies, cookies and decompression happen inside reqwest, beneath every layer. See
/// the [module docs](super#redirects) about redirects.
///
/// Its errors are those of reqwest, including one for a URI without a host.
#[derive(Clone, Debug)]
pub struct ReqwestService {
    client: reqwest::Client,
}

impl ReqwestService {
    /// Creates a service over this client.
    #[must_use]
    pub fn new(client: reqwest::Client) -> Self {
        Self { client }
    }

    /// Returns a reference to the client.
    #[must_use]
    pub fn get_ref(&self) -> &reqwest::Client {
        &self.client
    }

    /// Returns a mutable reference to the client.
    pub fn get_mut(&mut self) -> &mut reqwest::Client {
        &mut self.client
    }

    /// Returns the client.
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
            // Wrapping an empty body would make reqwest send it as a stream.
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

/// The future returned by a [`ReqwestService`].
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

partial_debug!(ReqwestFuture);

/// Removes the query from the URL that an error names, because it may contain a key.
pub(super) fn without_query(mut error: reqwest::Error) -> reqwest::Error {
    if let Some(url) = error.url_mut() {
        url.set_query(None);
    }
    error
}

/// Copies a body of bytes. A stream cannot be copied, so it is sent only once.
impl CloneBody for reqwest::Body {
    fn try_clone_body(&self) -> Option<Self> {
        self.as_bytes()
            .map(|bytes| Self::from(Bytes::copy_from_slice(bytes)))
    }
}
