//! The head of a request: a view to read it, and a view to attach a credential to it.

use http::{
    Extensions, HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, uri::PathAndQuery,
};
use percent_encoding::percent_decode_str;

use crate::{encoding::percent_encode, error::BoxError};

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

    /// Returns whether the query has a parameter of that name.
    pub(crate) fn has_query(&self, name: &str) -> bool {
        has_query(self.uri, name)
    }
}

// The URI, the headers and the extensions can hold secrets.
partial_debug!(RequestHead<'_>, method);

/// A view of a request's head that [`Credential::apply`](super::Credential::apply) attaches the
/// credential to, independent of the client and of the body's type.
pub struct RequestHeadMut<'a> {
    head: &'a mut dyn AnyRequestHead,
    keep_existing: bool,
    found_existing: bool,
}

impl<'a> RequestHeadMut<'a> {
    /// Creates a view of this request's head, for testing a [`Credential`](super::Credential).
    /// A credential that the request already carries is kept.
    pub fn new<B>(request: &'a mut Request<B>) -> Self {
        Self::over(request)
    }

    pub(crate) fn over(head: &'a mut dyn AnyRequestHead) -> Self {
        Self {
            head,
            keep_existing: true,
            found_existing: false,
        }
    }

    /// Sets whether a credential that the request already carries is kept or overwritten.
    /// Default: `true`.
    pub(crate) fn keep_existing(mut self, keep: bool) -> Self {
        self.keep_existing = keep;
        self
    }

    /// Returns the request's method.
    #[must_use]
    pub fn method(&self) -> &Method {
        self.head.method()
    }

    /// Returns the request's URI.
    #[must_use]
    pub fn uri(&self) -> &Uri {
        self.head.uri()
    }

    /// Returns the request's headers.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        self.head.headers()
    }

    /// Returns the request's headers, for fields that accompany the credential.
    pub fn headers_mut(&mut self) -> &mut HeaderMap {
        self.head.headers_mut()
    }

    /// Sets the header that carries the credential, as its only value, marked sensitive.
    ///
    /// If the request already carries that header and the layer is set to keep it, returns `false`
    /// and changes nothing.
    #[inline]
    pub fn insert_header(&mut self, name: &HeaderName, mut value: HeaderValue) -> bool {
        value.set_sensitive(true);
        let headers = self.head.headers_mut();
        if !self.keep_existing {
            headers.insert(name, value);
            return true;
        }
        // Appending first costs one lookup instead of two, and the header is nearly always absent.
        let exists = headers.append(name.clone(), value);
        if exists {
            remove_last(headers, name);
            self.found_existing = true;
        }
        !exists
    }

    /// Sets the query parameter that carries the credential, as the only one of its name. Both name
    /// and value are percent-encoded.
    ///
    /// If the query already has that parameter and the layer is set to keep it, returns `false` and
    /// changes nothing.
    ///
    /// # Errors
    /// The URI cannot have a query (`*`, or the bare authority of `CONNECT`), or becomes too long.
    pub fn insert_query(&mut self, name: &str, value: &str) -> Result<bool, BoxError> {
        let path = match self.uri().path_and_query() {
            Some(path) if path.as_str() != "*" => path.path(),
            _ => {
                return Err(
                    "the request's URI is `*` or a bare authority, so it has no query \
                            that could carry the key: use a path, or send the key in a header"
                        .into(),
                );
            }
        };
        if self.keep_existing && has_query(self.uri(), name) {
            self.found_existing = true;
            return Ok(false);
        }
        let mut target = format!("{path}?");
        for parameter in parameters(self.uri()).filter(|parameter| !is_named(parameter, name)) {
            target.push_str(parameter);
            target.push('&');
        }
        target.extend(percent_encode(name));
        target.push('=');
        target.extend(percent_encode(value));

        let mut parts = self.uri().clone().into_parts();
        parts.path_and_query = Some(PathAndQuery::try_from(target)?);
        *self.head.uri_mut() = Uri::from_parts(parts)?;
        Ok(true)
    }

    /// Returns whether the request already carried a credential, which was kept.
    pub(crate) fn found_existing(&self) -> bool {
        self.found_existing
    }
}

partial_debug!(RequestHeadMut<'_>, method = method());

/// The head of a request from any client.
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

/// Removes the last value of a header that has several.
#[cold]
fn remove_last(headers: &mut HeaderMap, name: &HeaderName) {
    let mut values: Vec<_> = headers.get_all(name).iter().cloned().collect();
    values.pop();
    let mut values = values.into_iter();
    if let Some(first) = values.next() {
        headers.insert(name, first);
    }
    for value in values {
        headers.append(name, value);
    }
}

fn has_query(uri: &Uri, name: &str) -> bool {
    parameters(uri).any(|parameter| is_named(parameter, name))
}

/// Returns the parameters of a query, still encoded.
fn parameters(uri: &Uri) -> impl Iterator<Item = &str> {
    uri.query()
        .filter(|query| !query.is_empty())
        .into_iter()
        .flat_map(|query| query.split('&'))
}

fn is_named(parameter: &str, name: &str) -> bool {
    let (written, _) = parameter.split_once('=').unwrap_or((parameter, ""));
    percent_decode_str(written).eq(name.bytes())
}
