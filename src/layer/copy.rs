//! A request that is kept for another sending.

use http::{Extensions, HeaderMap, Method, Request, Uri, Version};

use crate::body::CloneBody;

/// A request as it came.
///
/// A [`Request`] is not made of its parts but made empty, and filled. That is left for the few
/// copies that are sent: every request pays for what is done here.
pub(super) struct RequestCopy<B> {
    method: Method,
    uri: Uri,
    version: Version,
    headers: HeaderMap,
    extensions: Extensions,
    body: B,
}

impl<B: CloneBody> RequestCopy<B> {
    /// A copy of this request, if its body can be copied.
    #[inline]
    pub(super) fn of(request: &Request<B>) -> Option<Self> {
        Some(Self {
            body: request.body().try_clone_body()?,
            method: request.method().clone(),
            uri: request.uri().clone(),
            version: request.version(),
            headers: request.headers().clone(),
            extensions: request.extensions().clone(),
        })
    }

    /// Whether its body can be sent from its start.
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
