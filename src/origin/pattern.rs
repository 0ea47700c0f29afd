//! One origin, or many by a wildcard.

use std::{
    fmt,
    net::{Ipv4Addr, Ipv6Addr},
};

use http::{
    Uri,
    uri::{Authority, Scheme},
};

use crate::error::ConfigError;

/// Origins of one scheme and port.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    scheme: Scheme,
    host: HostPattern,
    port: u16,
}

#[derive(Clone, PartialEq, Eq)]
enum HostPattern {
    /// In lower case.
    Name(Box<str>),
    /// `start*end.rest`: the rest with its dot.
    Wildcard {
        start: Box<str>,
        end: Box<str>,
        rest: Box<str>,
    },
    V4(Ipv4Addr),
    V6(Ipv6Addr),
}

/// Where a request goes.
pub(super) struct Place<'a> {
    scheme: &'a Scheme,
    host: Host<'a>,
    port: u16,
}

#[derive(Clone, Copy)]
enum Host<'a> {
    /// In any case, without a trailing dot.
    Name(&'a str),
    V4(Ipv4Addr),
    V6(Ipv6Addr),
}

impl Pattern {
    /// An origin to which a credential can go safely.
    pub(super) fn parse(text: &str) -> Result<Self, ConfigError> {
        let pattern = Self::parse_with_plain_http(text)?;
        if pattern.scheme == Scheme::HTTP && !pattern.host.is_loopback() {
            return Err(refuse(
                text,
                "is plain http, which everybody on the way can read: use https, or name it with \
                 Origins::danger_plain_http if you must (plain http to loopback is fine)",
            ));
        }
        Ok(pattern)
    }

    /// Any origin.
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
                "has more than scheme, host and port: leave the rest away",
            ));
        }
        if authority.contains('@') {
            // It may hold a password, so it is not repeated.
            let problem = "user information is no part of an origin: leave it away";
            return Err(ConfigError::new("origin", problem));
        }
        // A `*` is no character of a host for the parser.
        let Ok(plain) = authority.replacen('*', "x", 1).parse::<Authority>() else {
            return Err(refuse(text, "has no valid host and port"));
        };
        let Some(place) = Place::of(&scheme, &plain) else {
            return Err(refuse(text, "has no valid host and port"));
        };
        let port = place.port;
        let host = match (place.host, authority.contains('*')) {
            (Host::Name(_), true) => wildcard(text, authority)?,
            (_, true) => return Err(refuse(text, "has a wildcard in an address")),
            (Host::Name(name), false) => HostPattern::Name(name.to_ascii_lowercase().into()),
            (Host::V4(address), false) => HostPattern::V4(address),
            (Host::V6(address), false) => HostPattern::V6(address),
        };
        Ok(Self { scheme, host, port })
    }

    pub(super) fn has_wildcard(&self) -> bool {
        matches!(self.host, HostPattern::Wildcard { .. })
    }

    /// Scheme and authority as most requests write them, if there is one way to.
    pub(super) fn as_written(&self) -> Option<(Scheme, Box<str>)> {
        if self.has_wildcard() {
            return None;
        }
        let text = self.to_string();
        let uri: Uri = text.parse().ok()?;
        Some((uri.scheme()?.clone(), uri.authority()?.as_str().into()))
    }

    pub(super) fn matches(&self, place: &Place<'_>) -> bool {
        self.scheme == *place.scheme && self.port == place.port && self.host.matches(place.host)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://", self.scheme)?;
        match &self.host {
            HostPattern::Name(name) => f.write_str(name)?,
            HostPattern::Wildcard { start, end, rest } => write!(f, "{start}*{end}{rest}")?,
            HostPattern::V4(address) => write!(f, "{address}")?,
            HostPattern::V6(address) => write!(f, "[{address}]")?,
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
        match self {
            Self::Name(name) => Host::Name(name),
            Self::V4(address) => Host::V4(*address),
            Self::V6(address) => Host::V6(*address),
            Self::Wildcard { .. } => return false,
        }
        .is_loopback()
    }

    fn matches(&self, host: Host<'_>) -> bool {
        match (self, host) {
            (Self::Name(name), Host::Name(other)) => name.eq_ignore_ascii_case(other),
            (Self::V4(address), Host::V4(other)) => *address == other,
            (Self::V6(address), Host::V6(other)) => *address == other,
            (Self::Wildcard { start, end, rest }, Host::Name(name)) => {
                let Some(dot) = name.find('.') else {
                    return false;
                };
                let (label, after) = name.split_at(dot);
                // The star stands for one character at least.
                after.eq_ignore_ascii_case(rest)
                    && label.len() > start.len() + end.len()
                    && is_start(start, label)
                    && is_end(end, label)
            }
            _ => false,
        }
    }
}

impl<'a> Place<'a> {
    /// `None` if it is no place that a credential could go to.
    pub(super) fn of(scheme: &'a Scheme, authority: &'a Authority) -> Option<Self> {
        let host = authority.host();
        let (_, place) = authority
            .as_str()
            .rsplit_once('@')
            .unwrap_or(("", authority.as_str()));
        // `Authority::port` gives nothing for a port that is too large, as if it were not there.
        // And anything may follow the bracket of an address.
        let port = match place.strip_prefix(host)? {
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

/// Returns whether a URI's host is this machine: `localhost`, 127.0.0.0/8 or `[::1]`.
#[cfg(feature = "oauth2")]
pub(crate) fn is_loopback(host: &str) -> bool {
    Host::parse(host).is_some_and(Host::is_loopback)
}

impl<'a> Host<'a> {
    fn is_loopback(self) -> bool {
        match self {
            Self::Name(name) => name.eq_ignore_ascii_case("localhost"),
            Self::V4(address) => address.is_loopback(),
            Self::V6(address) => address.is_loopback(),
        }
    }

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

/// `start*end.rest` of an authority with a star.
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
            "would match hosts of strangers: two fixed labels at least must follow the wildcard, \
             as in `https://*.example.com`",
        ));
    }
    Ok(HostPattern::Wildcard {
        start: start.into(),
        end: end.into(),
        rest: rest.into(),
    })
}

fn is_start(start: &str, text: &str) -> bool {
    text.get(..start.len())
        .is_some_and(|part| part.eq_ignore_ascii_case(start))
}

fn is_end(end: &str, text: &str) -> bool {
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
