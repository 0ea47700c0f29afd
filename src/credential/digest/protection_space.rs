//! Authorization of requests with one nonce.

use std::{
    fmt::Write,
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use http::{HeaderValue, Method};

use super::challenge::DigestChallenge;
use crate::{encoding::percent_encode, error::BoxError, secret::Secret};

/// The part of a server that a challenge covers, and the values that authorize requests to it.
pub(super) struct ProtectionSpace {
    pub(super) challenge: DigestChallenge,
    /// The client nonce. It is the same for all requests with this nonce, because `-sess` requires
    /// that. The count makes each authorization unique.
    cnonce: String,
    /// H(A1) of RFC 7616 section 3.4.2: equivalent to the password within this realm.
    key: Secret,
    /// The number of requests authorized with this nonce.
    count: AtomicU32,
    accepted: AtomicBool,
}

impl ProtectionSpace {
    /// Creates a space with a random client nonce.
    ///
    /// # Errors
    /// The system cannot supply random numbers.
    pub(super) fn new(
        challenge: DigestChallenge,
        user: &str,
        password: &str,
    ) -> Result<Self, BoxError> {
        let mut random = [0; 18];
        getrandom::fill(&mut random)?;
        let cnonce = BASE64_URL_SAFE_NO_PAD.encode(random);
        Ok(Self::with_cnonce(challenge, user, password, cnonce))
    }

    pub(super) fn with_cnonce(
        challenge: DigestChallenge,
        user: &str,
        password: &str,
        cnonce: String,
    ) -> Self {
        let algorithm = challenge.algorithm;
        let mut key = Secret::new(algorithm.hash(&[user, &challenge.realm, password]));
        if algorithm.is_session {
            key = Secret::new(algorithm.hash(&[key.expose(), &challenge.nonce, &cnonce]));
        }
        Self {
            challenge,
            cnonce,
            key,
            count: AtomicU32::new(0),
            accepted: AtomicBool::new(false),
        }
    }

    pub(super) fn nonce(&self) -> &str {
        &self.challenge.nonce
    }

    /// Records that the server accepted a request with this nonce.
    pub(super) fn set_accepted(&self) {
        self.accepted.store(true, Ordering::Relaxed);
    }

    pub(super) fn was_accepted(&self) -> bool {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Returns the value of `Authorization` for a request (RFC 7616 section 3.4).
    ///
    /// # Errors
    /// The server's parameters contain characters that a header value cannot have.
    pub(super) fn authorize(
        &self,
        user: &str,
        method: &Method,
        uri: &str,
    ) -> Result<HeaderValue, BoxError> {
        let challenge = &self.challenge;
        let algorithm = challenge.algorithm;
        let request = algorithm.hash(&[method.as_str(), uri]);
        let count = self.count.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        let count = format!("{count:08x}");
        let key = self.key.expose();
        let response = if challenge.has_qop {
            algorithm.hash(&[
                key,
                &challenge.nonce,
                &count,
                &self.cnonce,
                "auth",
                &request,
            ])
        } else {
            algorithm.hash(&[key, &challenge.nonce, &request])
        };

        let mut value = String::from("Digest ");
        if challenge.userhash {
            let hashed = algorithm.hash(&[user, &challenge.realm]);
            write!(value, "username=\"{hashed}\", userhash=true")?;
        } else if user.is_ascii() {
            write!(value, "username={}", Quoted(user))?;
        } else {
            let encoded: String = percent_encode(user).collect();
            write!(value, "username*=UTF-8''{encoded}")?;
        }
        write!(
            value,
            ", realm={}, nonce={}, uri={}, response=\"{response}\"",
            Quoted(&challenge.realm),
            Quoted(&challenge.nonce),
            Quoted(uri)
        )?;
        if let Some(name) = algorithm.name {
            write!(value, ", algorithm={name}")?;
        }
        if let Some(opaque) = &challenge.opaque {
            write!(value, ", opaque={}", Quoted(opaque))?;
        }
        if challenge.has_qop {
            write!(value, ", qop=auth, nc={count}")?;
        }
        if challenge.has_qop || algorithm.is_session {
            write!(value, ", cnonce=\"{}\"", self.cnonce)?;
        }
        Ok(HeaderValue::from_bytes(value.as_bytes())?)
    }
}

/// A quoted-string (RFC 9110 section 5.6.4).
struct Quoted<'a>(&'a str);

impl std::fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_char('"')?;
        for character in self.0.chars() {
            if matches!(character, '"' | '\\') {
                f.write_char('\\')?;
            }
            f.write_char(character)?;
        }
        f.write_char('"')
    }
}
