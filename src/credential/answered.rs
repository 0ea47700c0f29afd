//! A request that was sent, and the response to it, as a credential sees them.

use std::fmt;

use http::{HeaderMap, HeaderValue, StatusCode, Uri};

use super::AnyRequestHead;

/// The head of a response, and what is known of the request that it answers: what
/// [`Credential::answer`](super::Credential::answer) looks at.
pub struct ResponseHead<'a> {
    uri: &'a Uri,
    request_headers: &'a HeaderMap,
    status: StatusCode,
    headers: &'a HeaderMap,
}

/// What is kept of a request until its response is there, for credentials that answer.
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

    /// Where the request went.
    #[must_use]
    pub fn uri(&self) -> &Uri {
        self.uri
    }

    /// The request's headers as they were sent, with what the credential has put there.
    #[must_use]
    pub fn request_headers(&self) -> &HeaderMap {
        self.request_headers
    }

    /// The response's status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The response's headers.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap<HeaderValue> {
        self.headers
    }
}

impl fmt::Debug for ResponseHead<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseHead")
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}
