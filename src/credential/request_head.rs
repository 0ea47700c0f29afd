//! A read-only view of a request's head.

use http::{Extensions, HeaderMap, Method, Request, Uri};
use percent_encoding::percent_decode_str;

/// A read-only view of a request's head, independent of the client and of the body's type.
#[derive(Clone, Copy)]
pub struct RequestHead<'a> {
    method: &'a Method,
    uri: &'a Uri,
    headers: &'a HeaderMap,
    extensions: &'a Extensions,
}

impl<'a> RequestHead<'a> {
    /// Creates a view of this request's head.
    pub fn new<B>(request: &'a Request<B>) -> Self {
        Self::of(request)
    }

    pub(crate) fn of(head: &'a dyn AnyRequestHead) -> Self {
        Self {
            method: head.method(),
            uri: head.uri(),
            headers: head.headers(),
            extensions: head.extensions(),
        }
    }

    /// Returns the request's method.
    #[must_use]
    pub fn method(&self) -> &'a Method {
        self.method
    }

    /// Returns the request's URI.
    #[must_use]
    pub fn uri(&self) -> &'a Uri {
        self.uri
    }

    /// Returns the request's headers.
    #[must_use]
    pub fn headers(&self) -> &'a HeaderMap {
        self.headers
    }

    /// Returns the request's extensions.
    #[must_use]
    pub fn extensions(&self) -> &'a Extensions {
        self.extensions
    }

    /// Returns whether the query has a parameter with this name.
    pub(crate) fn has_query(&self, name: &str) -> bool {
        has_query(self.uri, name)
    }
}

// The URI, the headers and the extensions can hold secrets.
partial_debug!(RequestHead<'_>, method);

/// A request head from any client.
pub(crate) trait AnyRequestHead {
    fn method(&self) -> &Method;
    fn uri(&self) -> &Uri;
    fn uri_mut(&mut self) -> &mut Uri;
    fn headers(&self) -> &HeaderMap;
    fn headers_mut(&mut self) -> &mut HeaderMap;
    fn extensions(&self) -> &Extensions;
}

impl<B> AnyRequestHead for Request<B> {
    fn method(&self) -> &Method {
        self.method()
    }

    fn uri(&self) -> &Uri {
        self.uri()
    }

    fn uri_mut(&mut self) -> &mut Uri {
        self.uri_mut()
    }

    fn headers(&self) -> &HeaderMap {
        self.headers()
    }

    fn headers_mut(&mut self) -> &mut HeaderMap {
        self.headers_mut()
    }

    fn extensions(&self) -> &Extensions {
        self.extensions()
    }
}

pub(super) fn has_query(uri: &Uri, name: &str) -> bool {
    parameters(uri).any(|parameter| is_named(parameter, name))
}

/// Returns the parameters of a query, still encoded.
pub(super) fn parameters(uri: &Uri) -> impl Iterator<Item = &str> {
    uri.query()
        .filter(|query| !query.is_empty())
        .into_iter()
        .flat_map(|query| query.split('&'))
}

pub(super) fn is_named(parameter: &str, name: &str) -> bool {
    let (written, _) = parameter.split_once('=').unwrap_or((parameter, ""));
    percent_decode_str(written).eq(name.bytes())
}
