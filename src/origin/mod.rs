//! The origins that a credential may go to.

mod pattern;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use http::{Uri, uri::Scheme};

#[cfg(feature = "oauth2")]
pub(crate) use self::pattern::is_loopback;
use self::pattern::{Origin, Pattern};
use crate::error::ConfigError;

/// The origins (scheme, host and port) that a credential may go to.
///
/// Every layer needs them, because a credential that reaches the wrong host is compromised.
/// Accepted forms:
///
/// - `https://api.example.com`, `https://api.example.com:8443`, `https://[2001:db8::1]`
/// - `http://localhost:8080`: plain http to loopback only (`localhost`, 127.0.0.0/8, `[::1]`)
/// - `https://*.services.example.com`, `https://api-*.example.com`: one `*` in the leftmost label
///   matches one or more characters of that label. At least two fixed labels must follow.
///
/// The comparison fills in the default port and ignores case, a trailing dot, and user information
/// in the request's URI.
///
/// The layer does not see redirects that the client beneath it follows: follow redirects above the
/// layer, or turn them off in the client.
///
/// ```
/// use tower_auth::Origins;
///
/// # fn main() -> Result<(), tower_auth::ConfigError> {
/// let one = Origins::only("https://api.example.com")?;
/// let production = Origins::any_of(["https://*.services.example.com"])?
///     .except(["https://*-stg.services.example.com"])?;
/// # let _ = (one, production); Ok(()) }
/// ```
#[derive(Clone)]
#[must_use]
pub struct Origins {
    allowed: Arc<[Pattern]>,
    exceptions: Arc<[Pattern]>,
    any_https: bool,
    /// Whether URIs without an authority are allowed.
    relative_uris: bool,
    /// A scheme and an authority. A request with exactly these bytes is allowed without further
    /// checks.
    fast_path: Option<(Scheme, Box<str>)>,
}

/// The outcome of checking a request's URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Check {
    Allowed,
    Denied,
    NoAuthority,
}

impl Origins {
    /// Allows one origin or pattern.
    ///
    /// # Errors
    /// The origin is not valid, or uses plain http for a host other than loopback.
    pub fn only(origin: impl AsRef<str>) -> Result<Self, ConfigError> {
        Self::any_of([origin])
    }

    /// Allows several origins or patterns.
    ///
    /// # Errors
    /// The list is empty, or one of the origins is not valid or uses plain http for a host other
    /// than loopback.
    pub fn any_of<O: AsRef<str>>(
        origins: impl IntoIterator<Item = O>,
    ) -> Result<Self, ConfigError> {
        Self::of(origins, Pattern::parse)
    }

    /// Denies these origins or patterns, even if another pattern allows them. They may use plain
    /// http.
    ///
    /// # Errors
    /// One of the origins is not valid.
    pub fn except<O: AsRef<str>>(
        mut self,
        origins: impl IntoIterator<Item = O>,
    ) -> Result<Self, ConfigError> {
        let more = parse_all(origins, Pattern::parse_with_plain_http)?;
        self.exceptions = concat(&self.exceptions, &more);
        self.update_fast_path();
        Ok(self)
    }

    /// Allows a request that either of the two policies allows: the union of both.
    ///
    /// The exceptions of each also apply to the other, so an origin that one of them excludes stays
    /// denied.
    ///
    /// ```
    /// use tower_auth::Origins;
    ///
    /// # fn main() -> Result<(), tower_auth::ConfigError> {
    /// // The API, and plain http to a host on the private network.
    /// let origins = Origins::only("https://api.example.com")?
    ///     .or(Origins::danger_plain_http(["http://internal:8080"])?);
    /// # let _ = origins; Ok(()) }
    /// ```
    pub fn or(mut self, other: Self) -> Self {
        self.allowed = concat(&self.allowed, &other.allowed);
        self.exceptions = concat(&self.exceptions, &other.exceptions);
        self.any_https |= other.any_https;
        self.relative_uris |= other.relative_uris;
        self.update_fast_path();
        self
    }

    /// Allows one origin, and URIs without a host. Use this for clients that are bound to one host,
    /// such as a tonic channel or a client with a base URI. The layer cannot check that the client
    /// beneath it really sends such requests to that origin.
    ///
    /// # Errors
    /// Fails like [`only`](Self::only), and also if the origin has a wildcard.
    pub fn for_relative_uris(origin: impl AsRef<str>) -> Result<Self, ConfigError> {
        Self::only(&origin)?.with_relative_uris(origin.as_ref())
    }

    /// Allows one plain http origin and URIs without a host, for example for a gRPC server on a
    /// private network. Dangerous: anyone on the network path can read the credential.
    ///
    /// # Errors
    /// The origin is not valid, or has a wildcard.
    pub fn danger_plain_http_for_relative_uris(
        origin: impl AsRef<str>,
    ) -> Result<Self, ConfigError> {
        Self::danger_plain_http([&origin])?.with_relative_uris(origin.as_ref())
    }

    /// Allows every host over https. Dangerous: any server that a request goes to gets the
    /// credential.
    pub fn danger_any_https() -> Self {
        Self {
            any_https: true,
            ..Self::new(Vec::new())
        }
    }

    /// Allows plain http origins or patterns, regardless of their hosts. Dangerous: anyone on the
    /// network path can read the credential.
    ///
    /// # Errors
    /// The list is empty, or one of the origins is not valid.
    pub fn danger_plain_http<O: AsRef<str>>(
        origins: impl IntoIterator<Item = O>,
    ) -> Result<Self, ConfigError> {
        Self::of(origins, Pattern::parse_with_plain_http)
    }

    fn of<O: AsRef<str>>(
        origins: impl IntoIterator<Item = O>,
        parse: fn(&str) -> Result<Pattern, ConfigError>,
    ) -> Result<Self, ConfigError> {
        let allowed = parse_all(origins, parse)?;
        if allowed.is_empty() {
            return Err(ConfigError::new(
                "origin",
                "the list is empty: name at least one",
            ));
        }
        Ok(Self::new(allowed))
    }

    fn new(allowed: Vec<Pattern>) -> Self {
        let mut origins = Self {
            allowed: allowed.into(),
            exceptions: Arc::default(),
            any_https: false,
            relative_uris: false,
            fast_path: None,
        };
        origins.update_fast_path();
        origins
    }

    fn with_relative_uris(mut self, origin: &str) -> Result<Self, ConfigError> {
        if self.allowed.iter().any(Pattern::has_wildcard) {
            let problem = format!(
                "`{origin}` has a wildcard, but requests without a host go to one origin: write \
                 that origin out"
            );
            return Err(ConfigError::new("origin", problem));
        }
        self.relative_uris = true;
        Ok(self)
    }

    fn update_fast_path(&mut self) {
        let first = self.allowed.iter().find_map(Pattern::as_written);
        self.fast_path = first.filter(|(scheme, authority)| {
            let uri = Uri::builder()
                .scheme(scheme.clone())
                .authority(&**authority)
                .path_and_query("/")
                .build();
            uri.is_ok_and(|uri| self.check_slowly(&uri) == Check::Allowed)
        });
    }

    /// Checks whether a credential may go to a URI.
    #[inline]
    pub(crate) fn check(&self, uri: &Uri) -> Check {
        if let (Some((scheme, expected)), Some(authority)) = (&self.fast_path, uri.authority())
            && **expected == *authority.as_str()
            && uri.scheme() == Some(scheme)
        {
            return Check::Allowed;
        }
        self.check_slowly(uri)
    }

    #[inline(never)]
    fn check_slowly(&self, uri: &Uri) -> Check {
        let (Some(scheme), Some(authority)) = (uri.scheme(), uri.authority()) else {
            return if uri.authority().is_some() {
                // The target of CONNECT: the layer does not see the traffic inside the tunnel.
                Check::Denied
            } else if self.relative_uris {
                Check::Allowed
            } else {
                Check::NoAuthority
            };
        };
        let Some(origin) = Origin::of(scheme, authority) else {
            return Check::Denied;
        };
        let is_in = |patterns: &[Pattern]| patterns.iter().any(|pattern| pattern.matches(&origin));
        let allowed = (self.any_https && origin.is_https()) || is_in(&self.allowed);
        if allowed && !is_in(&self.exceptions) {
            Check::Allowed
        } else {
            Check::Denied
        }
    }
}

partial_debug!(Origins, allowed, exceptions, any_https, relative_uris);

fn parse_all<O: AsRef<str>>(
    origins: impl IntoIterator<Item = O>,
    parse: fn(&str) -> Result<Pattern, ConfigError>,
) -> Result<Vec<Pattern>, ConfigError> {
    let origins = origins.into_iter();
    origins.map(|origin| parse(origin.as_ref())).collect()
}

fn concat(some: &[Pattern], more: &[Pattern]) -> Arc<[Pattern]> {
    some.iter().chain(more).cloned().collect()
}
