//! A mutable view of a request's head, for attaching the credential.

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, uri::PathAndQuery};

use super::request_head::{AnyRequestHead, has_query, is_named, parameters};
use crate::{encoding::percent_encode, error::BoxError};

/// A mutable view of a request's head, to which [`Credential::apply`](super::Credential::apply)
/// attaches the credential. It is independent of the client and of the body's type.
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

    /// Sets whether a credential that the request already carries is kept rather than overwritten.
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

    /// Sets the header that carries the credential to a single value, which is marked sensitive.
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

    /// Sets the query parameter that carries the credential, replacing all others of the same name.
    /// Both the name and the value are percent-encoded.
    ///
    /// If the query already has that parameter and the layer is set to keep it, returns `false` and
    /// changes nothing.
    ///
    /// # Errors
    /// The URI cannot have a query (`*`, or the bare authority of `CONNECT`), or would become too
    /// long.
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
