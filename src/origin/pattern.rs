//! Patterns that match one origin, or several through a wildcard.

use std::{
    fmt,
    net::{Ipv4Addr, Ipv6Addr},
};

use http::{
    Uri,
    uri::{Authority, Scheme},
};

use crate::error::ConfigError;

/// Matches origins of one scheme and port.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    scheme: Scheme,
    host: HostPattern,
    port: u16,
}

#[derive(Clone, PartialEq, Eq)]
enum HostPattern {
    /// An exact host. A name is in lowercase.
    Exact(Host<Box<str>>),
    /// `start*end.rest`, where `rest` includes its leading dot.
    Wildcard {
        start: Box<str>,
        end: Box<str>,
        rest: Box<str>,
    },
}

/// The origin of a request.
pub(super) struct Origin<'a> {
    scheme: &'a Scheme,
    host: Host<&'a str>,
    port: u16,
}

#[derive(Clone, PartialEq, Eq)]
enum Host<N> {
    /// A name without a trailing dot.
    Name(N),
    V4(Ipv4Addr),
    V6(Ipv6Addr),
}

impl Pattern {
    /// Parses a pattern that matches only origins that a credential can safely go to.
    pub(super) fn parse(text: &str) -> Result<Self, ConfigError> {
        let pattern = Self::parse_with_plain_http(text)?;
        if pattern.scheme == Scheme::HTTP && !pattern.host.is_loopback() {
            return Err(refuse(
                text,
                "is plain http, so everyone on the network path can read the credential: use \
                 https, or allow it with Origins::danger_plain_http (plain http to loopback is \
                 allowed)",
            ));
        }
        Ok(pattern)
    }

    /// Parses a pattern for any origins, including plain http ones.
    pub(super) fn parse_with_plain_http(text: &str) -> Result<Self, ConfigError> {
        let (scheme, after) = match text.split_once("://") {
            Some((scheme, after)) if scheme.eq_ignore_ascii_case("https") => (Scheme::HTTPS, after),
            Some((scheme, after)) if scheme.eq_ignore_ascii_case("http") => (Scheme::HTTP, after),
            _ => return Err(refuse(text, "does not start with `https://`")),
        };
        let authority = after.strip_suffix('/').unwrap_or(after);
        if authority.contains(['/', '?', '#']) {
            return Err(refuse(
                text,
                "has more than a scheme, a host and a port: remove the rest",
            ));
        }
        if authority.contains('@') {
            // The message does not repeat the user information, because it may contain a password.
            let problem = "an origin has no user information: remove everything up to the `@`";
            return Err(ConfigError::new("origin", problem));
        }
        // `Authority` does not accept a `*` in a host.
        let plain = authority.replacen('*', "x", 1).parse::<Authority>().ok();
        let origin = plain
            .as_ref()
            .and_then(|plain| Origin::of(&scheme, plain))
            .ok_or_else(|| refuse(text, "does not have a valid host and port"))?;
        let port = origin.port;
        let host = match (origin.host, authority.contains('*')) {
            (Host::Name(_), true) => wildcard(text, authority)?,
            (_, true) => return Err(refuse(text, "has a wildcard in an IP address")),
            (Host::Name(name), false) => {
                HostPattern::Exact(Host::Name(name.to_ascii_lowercase().into()))
            }
            (Host::V4(address), false) => HostPattern::Exact(Host::V4(address)),
            (Host::V6(address), false) => HostPattern::Exact(Host::V6(address)),
        };
        Ok(Self { scheme, host, port })
    }

    pub(super) fn has_wildcard(&self) -> bool {
        matches!(self.host, HostPattern::Wildcard { .. })
    }

    /// Returns the scheme and the authority as most requests spell them, unless the pattern has a
    /// wildcard.
    pub(super) fn as_written(&self) -> Option<(Scheme, Box<str>)> {
        if self.has_wildcard() {
            return None;
        }
        let uri: Uri = self.to_string().parse().ok()?;
        Some((uri.scheme()?.clone(), uri.authority()?.as_str().into()))
    }

    pub(super) fn matches(&self, origin: &Origin<'_>) -> bool {
        self.scheme == *origin.scheme && self.port == origin.port && self.host.matches(&origin.host)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://", self.scheme)?;
        match &self.host {
            HostPattern::Exact(Host::Name(name)) => f.write_str(name)?,
            HostPattern::Exact(Host::V4(address)) => write!(f, "{address}")?,
            HostPattern::Exact(Host::V6(address)) => write!(f, "[{address}]")?,
            HostPattern::Wildcard { start, end, rest } => write!(f, "{start}*{end}{rest}")?,
        }
        if Some(self.port) != default_port(&self.scheme) {
            write!(f, ":{}", self.port)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl HostPattern {
    fn is_loopback(&self) -> bool {
        matches!(self, Self::Exact(host) if host.is_loopback())
    }

    fn matches(&self, other: &Host<&str>) -> bool {
        match (self, other) {
            (Self::Exact(host), other) => host.matches(other),
            (Self::Wildcard { start, end, rest }, Host::Name(name)) => {
                let Some(dot) = name.find('.') else {
                    return false;
                };
                let (label, after) = name.split_at(dot);
                // The `*` matches at least one character.
                after.eq_ignore_ascii_case(rest)
                    && label.len() > start.len() + end.len()
                    && starts_with(label, start)
                    && ends_with(label, end)
            }
            _ => false,
        }
    }
}

impl<'a> Origin<'a> {
    /// Creates the origin of a URI. Returns `None` if a credential can never go there.
    pub(super) fn of(scheme: &'a Scheme, authority: &'a Authority) -> Option<Self> {
        let host = authority.host();
        let (_, host_and_port) = authority
            .as_str()
            .rsplit_once('@')
            .unwrap_or(("", authority.as_str()));
        // `Authority::port` returns `None` for a port that is too large, and allows any text after
        // the bracket of an IPv6 address.
        let port = match host_and_port.strip_prefix(host)? {
            "" | ":" => default_port(scheme)?,
            port => port.strip_prefix(':')?.parse().ok()?,
        };
        Some(Self {
            scheme,
            host: Host::parse(host)?,
            port,
        })
    }

    pub(super) fn is_https(&self) -> bool {
        *self.scheme == Scheme::HTTPS
    }
}

/// Returns whether a URI's host refers to this machine: `localhost`, 127.0.0.0/8 or `[::1]`.
#[cfg(feature = "oauth2")]
pub(crate) fn is_loopback(host: &str) -> bool {
    Host::parse(host).is_some_and(|host| host.is_loopback())
}

impl<'a> Host<&'a str> {
    fn parse(host: &'a str) -> Option<Self> {
        if let Some(address) = host.strip_prefix('[') {
            return address.strip_suffix(']')?.parse().ok().map(Self::V6);
        }
        let name = host.strip_suffix('.').unwrap_or(host);
        if name.is_empty() || name.starts_with('.') || name.contains("..") {
            return None;
        }
        Some(name.parse().map_or(Self::Name(name), Self::V4))
    }
}

impl<N: AsRef<str>> Host<N> {
    fn is_loopback(&self) -> bool {
        match self {
            Self::Name(name) => name.as_ref().eq_ignore_ascii_case("localhost"),
            Self::V4(address) => address.is_loopback(),
            Self::V6(address) => address.is_loopback(),
        }
    }

    fn matches(&self, other: &Host<&str>) -> bool {
        match (self, other) {
            (Self::Name(name), Host::Name(other)) => name.as_ref().eq_ignore_ascii_case(other),
            (Self::V4(address), Host::V4(other)) => address == other,
            (Self::V6(address), Host::V6(other)) => address == other,
            _ => false,
        }
    }
}

/// Parses the host of an authority with a `*` as `start*end.rest`.
fn wildcard(text: &str, authority: &str) -> Result<HostPattern, ConfigError> {
    let host = authority
        .rsplit_once(':')
        .map_or(authority, |(host, _)| host);
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    let (label, rest) = host.split_at(host.find('.').unwrap_or(host.len()));
    let Some((start, end)) = label.split_once('*') else {
        return Err(refuse(
            text,
            "has its wildcard outside of the leftmost label",
        ));
    };
    if end.contains('*') || rest.contains('*') {
        return Err(refuse(text, "has more than one wildcard"));
    }
    if rest.matches('.').count() < 2 {
        return Err(refuse(
            text,
            "could match hosts of other organizations: at least two fixed labels must follow the \
             wildcard, as in `https://*.example.com`",
        ));
    }
    Ok(HostPattern::Wildcard {
        start: start.into(),
        end: end.into(),
        rest: rest.into(),
    })
}

fn starts_with(text: &str, start: &str) -> bool {
    text.get(..start.len())
        .is_some_and(|part| part.eq_ignore_ascii_case(start))
}

fn ends_with(text: &str, end: &str) -> bool {
    let from = text.len().checked_sub(end.len());
    from.and_then(|from| text.get(from..))
        .is_some_and(|part| part.eq_ignore_ascii_case(end))
}

fn default_port(scheme: &Scheme) -> Option<u16> {
    if *scheme == Scheme::HTTPS {
        Some(443)
    } else if *scheme == Scheme::HTTP {
        Some(80)
    } else {
        None
    }
}

fn refuse(origin: &str, problem: &str) -> ConfigError {
    ConfigError::new("origin", format!("`{origin}` {problem}"))
}
