//! Where credentials may go.

mod pattern;
#[cfg(test)]
mod tests;

use std::{fmt, sync::Arc};

use http::{Uri, uri::Scheme};

#[cfg(feature = "oauth2")]
pub(crate) use self::pattern::is_loopback;
use self::pattern::{Pattern, Place};
use crate::error::ConfigError;

/// The origins (scheme, host and port) to which a credential may go.
///
/// Every layer is built with one, because a credential that reaches the wrong host is lost. What
/// may be named:
///
/// - `https://api.example.com`, `https://api.example.com:8443`, `https://[2001:db8::1]`
/// - `http://localhost:8080`: plain http only to loopback (`localhost`, 127.0.0.0/8, `[::1]`)
/// - `https://*.services.example.com`, `https://api-*.example.com`: one `*` in the leftmost label
///   stands for one or more characters of that label. Two fixed labels at least must follow.
///
/// A request's origin is compared with its default port filled in, without case, and without a
/// trailing dot. User information in a URI is no part of it.
///
/// Redirects that a client follows by itself, beneath the layer, never come here: put redirects
/// on top of the layer, or turn them off.
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
pub struct Origins {
    allowed: Arc<[Pattern]>,
    exceptions: Arc<[Pattern]>,
    any_https: bool,
    /// Whether a URI without an authority counts as allowed.
    relative: bool,
    /// An authority that is allowed if it is written exactly so, for the quick comparison.
    usual: Option<(Scheme, Box<str>)>,
}

/// Whether a credential may go to a URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Check {
    Allowed,
    Denied,
    NoAuthority,
}

impl Origins {
    /// One origin, or one pattern.
    ///
    /// # Errors
    /// It is not an origin, or plain http to a host that is not loopback.
    pub fn only(origin: impl AsRef<str>) -> Result<Self, ConfigError> {
        Self::any_of([origin])
    }

    /// Several origins or patterns.
    ///
    /// # Errors
    /// One of them is not an origin, or plain http to a host that is not loopback; or there is
    /// none.
    pub fn any_of<O: AsRef<str>>(
        origins: impl IntoIterator<Item = O>,
    ) -> Result<Self, ConfigError> {
        let allowed = parse_all(origins, Pattern::parse)?;
        if allowed.is_empty() {
            return Err(ConfigError::new("origin", "name at least one"));
        }
        Ok(Self::new(allowed))
    }

    /// Takes these away again, whatever else allows them. Patterns as in [`any_of`](Self::any_of);
    /// plain http may be named here.
    ///
    /// # Errors
    /// One of them is not an origin.
    pub fn except<O: AsRef<str>>(
        mut self,
        origins: impl IntoIterator<Item = O>,
    ) -> Result<Self, ConfigError> {
        let mut exceptions = self.exceptions.to_vec();
        exceptions.append(&mut parse_all(origins, Pattern::parse_with_plain_http)?);
        self.exceptions = exceptions.into();
        self.choose_usual();
        Ok(self)
    }

    /// Both what this allows and what the other allows; the exceptions of both hold for both.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.allowed = self
            .allowed
            .iter()
            .chain(&*other.allowed)
            .cloned()
            .collect();
        self.exceptions = self
            .exceptions
            .iter()
            .chain(&*other.exceptions)
            .cloned()
            .collect();
        self.any_https |= other.any_https;
        self.relative |= other.relative;
        self.choose_usual();
        self
    }

    /// One origin, which URIs without a host also count as: for clients that are bound to one
    /// host, such as a tonic channel or a client with a base URI. That the client beneath goes
    /// there is not checked.
    ///
    /// # Errors
    /// As [`only`](Self::only); also if it is a pattern.
    pub fn for_relative_uris(origin: impl AsRef<str>) -> Result<Self, ConfigError> {
        let origins = Self::only(&origin)?;
        origins.with_relative(origin.as_ref())
    }

    fn with_relative(mut self, origin: &str) -> Result<Self, ConfigError> {
        if self.allowed.iter().any(Pattern::has_wildcard) {
            let problem = format!(
                "`{origin}` is a pattern, but requests without a host go to one origin: write it \
                 out"
            );
            return Err(ConfigError::new("origin", problem));
        }
        self.relative = true;
        Ok(self)
    }

    /// The same for an origin of plain http, whatever its host, as for a gRPC server within a
    /// private network. Dangerous: everybody on the way can read the credential.
    ///
    /// # Errors
    /// It is not an origin, or is a pattern.
    pub fn danger_relative_as_plain_http(origin: impl AsRef<str>) -> Result<Self, ConfigError> {
        let origins = Self::danger_plain_http([&origin])?;
        origins.with_relative(origin.as_ref())
    }

    /// Every host, over https. Dangerous: a request to any server gives it the credential.
    #[must_use]
    pub fn danger_any_https() -> Self {
        Self {
            any_https: true,
            ..Self::new(Vec::new())
        }
    }

    /// Origins of plain http, whatever their hosts. Dangerous: everybody on the way can read the
    /// credential.
    ///
    /// # Errors
    /// One of them is not an origin; or there is none.
    pub fn danger_plain_http<O: AsRef<str>>(
        origins: impl IntoIterator<Item = O>,
    ) -> Result<Self, ConfigError> {
        let allowed = parse_all(origins, Pattern::parse_with_plain_http)?;
        if allowed.is_empty() {
            return Err(ConfigError::new("origin", "name at least one"));
        }
        Ok(Self::new(allowed))
    }

    fn new(allowed: Vec<Pattern>) -> Self {
        let mut origins = Self {
            allowed: allowed.into(),
            exceptions: Arc::default(),
            any_https: false,
            relative: false,
            usual: None,
        };
        origins.choose_usual();
        origins
    }

    fn choose_usual(&mut self) {
        let usual = self.allowed.iter().filter_map(Pattern::as_written).next();
        self.usual = usual.filter(|(scheme, authority)| {
            let uri = Uri::builder()
                .scheme(scheme.clone())
                .authority(&**authority);
            let uri = uri.path_and_query("/").build();
            uri.is_ok_and(|uri| self.check_slowly(&uri) == Check::Allowed)
        });
    }

    /// Whether a credential may go to a URI.
    #[inline]
    pub(crate) fn check(&self, uri: &Uri) -> Check {
        if let (Some((scheme, usual)), Some(authority)) = (&self.usual, uri.authority())
            && **usual == *authority.as_str()
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
                // The target of CONNECT: what goes through the tunnel is not for this layer.
                Check::Denied
            } else if self.relative {
                Check::Allowed
            } else {
                Check::NoAuthority
            };
        };
        let Some(place) = Place::of(scheme, authority) else {
            return Check::Denied;
        };
        let is_in = |patterns: &[Pattern]| patterns.iter().any(|pattern| pattern.matches(&place));
        let allowed = (self.any_https && place.is_https()) || is_in(&self.allowed);
        if allowed && !is_in(&self.exceptions) {
            Check::Allowed
        } else {
            Check::Denied
        }
    }
}

impl fmt::Debug for Origins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Origins")
            .field("allowed", &self.allowed)
            .field("exceptions", &self.exceptions)
            .field("any_https", &self.any_https)
            .field("relative", &self.relative)
            .finish()
    }
}

fn parse_all<O: AsRef<str>>(
    origins: impl IntoIterator<Item = O>,
    parse: fn(&str) -> Result<Pattern, ConfigError>,
) -> Result<Vec<Pattern>, ConfigError> {
    origins
        .into_iter()
        .map(|origin| parse(origin.as_ref()))
        .collect()
}
