//! A copy of a request, for another attempt.

use http::{Extensions, HeaderMap, Method, Request, Uri, Version};

use crate::body::CloneBody;

/// A copy of a request without its credential.
///
/// Every request pays for the copy, but few copies are sent. Creating a [`Request`] from its parts
/// costs more than keeping them, so a `Request` is created only when a copy is sent.
pub(super) struct RequestCopy<B> {
    method: Method,
    uri: Uri,
    version: Version,
    headers: HeaderMap,
    extensions: Extensions,
    body: B,
}

impl<B: CloneBody> RequestCopy<B> {
    /// Copies a request that may have to be sent again, if its body can be copied.
    #[inline(always)]
    pub(super) fn if_wanted(is_wanted: bool, request: &Request<B>) -> Option<Self> {
        if is_wanted { Self::new(request) } else { None }
    }

    #[inline]
    fn new(request: &Request<B>) -> Option<Self> {
        Some(Self {
            body: request.body().try_clone_body()?,
            method: request.method().clone(),
            uri: request.uri().clone(),
            version: request.version(),
            headers: request.headers().clone(),
            extensions: request.extensions().clone(),
        })
    }

    /// Returns whether the body can be sent again from its start.
    pub(super) fn can_replay(&self) -> bool {
        self.body.can_replay()
    }

    pub(super) fn into_request(self) -> Request<B> {
        let mut request = Request::new(self.body);
        *request.method_mut() = self.method;
        *request.uri_mut() = self.uri;
        *request.version_mut() = self.version;
        *request.headers_mut() = self.headers;
        *request.extensions_mut() = self.extensions;
        request
    }
}
