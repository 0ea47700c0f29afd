//! The head of a response, together with the parts of its request that are kept.

use http::{HeaderMap, HeaderValue, StatusCode, Uri};

use super::request_head::AnyRequestHead;

/// A view of a response's head and of the request it belongs to, for
/// [`Credential::on_response`](super::Credential::on_response).
pub struct ResponseHead<'a> {
    uri: &'a Uri,
    request_headers: &'a HeaderMap,
    status: StatusCode,
    headers: &'a HeaderMap,
}

/// The part of a request that is kept until its response arrives, for credentials that handle
/// challenges.
pub(crate) struct SentHead {
    uri: Uri,
    headers: HeaderMap,
}

impl SentHead {
    pub(crate) fn of(head: &dyn AnyRequestHead) -> Self {
        Self {
            uri: head.uri().clone(),
            headers: head.headers().clone(),
        }
    }
}

impl<'a> ResponseHead<'a> {
    pub(crate) fn new(request: &'a SentHead, status: StatusCode, headers: &'a HeaderMap) -> Self {
        Self {
            uri: &request.uri,
            request_headers: &request.headers,
            status,
            headers,
        }
    }

    #[cfg(feature = "test-util")]
    pub(crate) fn of<A, B>(request: &'a http::Request<A>, response: &'a http::Response<B>) -> Self {
        Self {
            uri: request.uri(),
            request_headers: request.headers(),
            status: response.status(),
            headers: response.headers(),
        }
    }

    /// Returns the URI that the request was sent to.
    #[must_use]
    pub fn uri(&self) -> &Uri {
        self.uri
    }

    /// Returns the request's headers as they were sent, including the attached credential.
    #[must_use]
    pub fn request_headers(&self) -> &HeaderMap {
        self.request_headers
    }

    /// Returns the response's status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Returns the response's headers.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap<HeaderValue> {
        self.headers
    }
}

partial_debug!(ResponseHead<'_>, status);
