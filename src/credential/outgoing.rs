//! The head of a request, as a credential sees it.

use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, uri::PathAndQuery};
use percent_encoding::percent_decode_str;

use crate::{encoding::percent_encode, error::BoxError};

/// The head of a request on its way out, of whatever client and body: what
/// [`Credential::apply`](super::Credential::apply) works on.
pub struct RequestHeadMut<'a> {
    head: &'a mut dyn AnyRequestHead,
    keep_existing: bool,
    taken: bool,
}

impl<'a> RequestHeadMut<'a> {
    /// The head of this request, for testing a credential of one's own. A credential that is
    /// already there is kept.
    pub fn new<B>(request: &'a mut Request<B>) -> Self {
        Self::over(request)
    }

    pub(crate) fn over(head: &'a mut dyn AnyRequestHead) -> Self {
        Self {
            head,
            keep_existing: true,
            taken: false,
        }
    }

    /// Whether a credential that is already there is kept (`true`, the default) or replaced.
    pub(crate) fn keep_existing(mut self, keep: bool) -> Self {
        self.keep_existing = keep;
        self
    }

    /// The request's method.
    #[must_use]
    pub fn method(&self) -> &Method {
        self.head.method()
    }

    /// The request's URI.
    #[must_use]
    pub fn uri(&self) -> &Uri {
        self.head.uri()
    }

    /// The request's headers.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        self.head.headers()
    }

    /// The request's headers, for what a credential sends beside itself.
    pub fn headers_mut(&mut self) -> &mut HeaderMap {
        self.head.headers_mut()
    }

    /// Sets the header that carries the credential, exactly once, marked sensitive. Gives `false`
    /// and changes nothing if the request carries that header already and the layer keeps those.
    #[inline]
    pub fn insert_header(&mut self, name: &HeaderName, mut value: HeaderValue) -> bool {
        value.set_sensitive(true);
        let headers = self.head.headers_mut();
        if !self.keep_existing {
            headers.insert(name, value);
            return true;
        }
        // One look for the place instead of two, as it is nearly always free.
        let taken = headers.append(name.clone(), value);
        if taken {
            remove_last(headers, name);
            self.taken = true;
        }
        !taken
    }

    /// Adds a parameter that carries the credential to the query, exactly once; name and value are
    /// percent-encoded. Gives `false` and changes nothing if the query has that parameter already
    /// and the layer keeps those.
    ///
    /// # Errors
    /// The URI is of a form that has no query (`*`, or the bare authority of `CONNECT`), or gets
    /// too long.
    pub fn insert_query(&mut self, name: &str, value: &str) -> Result<bool, BoxError> {
        let path = match self.uri().path_and_query() {
            Some(path) if path.as_str() != "*" => path.path(),
            _ => {
                return Err(
                    "a URI that is `*` or a bare authority has no query for the key".into(),
                );
            }
        };
        if self.has_query(name) && self.keep_existing {
            self.taken = true;
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

    /// Whether the query has a parameter of that name.
    pub(crate) fn has_query(&self, name: &str) -> bool {
        parameters(self.uri()).any(|parameter| is_named(parameter, name))
    }

    /// Whether a credential of the caller's own was found in the place, and kept.
    pub(crate) fn is_taken(&self) -> bool {
        self.taken
    }
}

impl fmt::Debug for RequestHeadMut<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestHeadMut")
            .field("method", self.method())
            .finish_non_exhaustive()
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

/// The head of a request of any client.
pub(crate) trait AnyRequestHead {
    fn method(&self) -> &Method;
    fn uri(&self) -> &Uri;
    fn uri_mut(&mut self) -> &mut Uri;
    fn headers(&self) -> &HeaderMap;
    fn headers_mut(&mut self) -> &mut HeaderMap;
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
}

/// The parameters of a query, as they stand there.
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
