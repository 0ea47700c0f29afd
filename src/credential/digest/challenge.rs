//! A server's Digest challenge.

use super::algorithm::Algorithm;
use crate::challenge::Challenge;

/// A Digest challenge that this implementation supports.
#[derive(Clone)]
pub(super) struct DigestChallenge {
    pub(super) realm: String,
    pub(super) nonce: String,
    pub(super) opaque: Option<String>,
    pub(super) algorithm: Algorithm,
    /// Whether the server supports `qop=auth`. If not, it follows RFC 2069.
    pub(super) has_qop: bool,
    pub(super) userhash: bool,
    pub(super) stale: bool,
}

impl DigestChallenge {
    pub(super) fn new(challenge: &Challenge) -> Option<Self> {
        if !challenge.is_scheme("digest") {
            return None;
        }
        let is_true = |name| {
            challenge
                .param(name)
                .is_some_and(|value| value.eq_ignore_ascii_case("true"))
        };
        let has_qop = match challenge.param("qop") {
            None => false,
            // `auth-int` would need the request's body.
            Some(offered) => {
                let mut offered = offered.split(',').map(str::trim);
                offered.find(|qop| qop.eq_ignore_ascii_case("auth"))?;
                true
            }
        };
        Some(Self {
            realm: challenge.param("realm").unwrap_or_default().to_owned(),
            nonce: challenge.param("nonce")?.to_owned(),
            opaque: challenge.param("opaque").map(str::to_owned),
            algorithm: Algorithm::from_name(challenge.param("algorithm"))?,
            has_qop,
            userhash: is_true("userhash"),
            stale: is_true("stale"),
        })
    }

    pub(super) fn with_nonce(&self, nonce: String) -> Self {
        Self {
            nonce,
            ..self.clone()
        }
    }
}
