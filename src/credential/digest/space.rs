//! The answers to one nonce.

use std::{
    fmt::Write,
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use http::{HeaderValue, Method};

use super::challenge::Asked;
use crate::{encoding::percent_encode, error::BoxError, secret::Secret};

pub(super) struct Space {
    asked: Asked,
    /// One for all answers to this nonce, as `-sess` wants it; the count makes each another one.
    cnonce: String,
    /// H(A1) of RFC 7616 section 3.4.2: as good as the password, for this realm.
    key: Secret,
    /// How many answers were given.
    count: AtomicU32,
    accepted: AtomicBool,
}

impl Space {
    /// # Errors
    /// The system has no random numbers.
    pub(super) fn new(asked: Asked, user: &str, password: &str) -> Result<Self, BoxError> {
        let mut random = [0; 18];
        getrandom::fill(&mut random)?;
        let cnonce = BASE64_URL_SAFE_NO_PAD.encode(random);
        Ok(Self::with_cnonce(asked, user, password, cnonce))
    }

    pub(super) fn with_cnonce(asked: Asked, user: &str, password: &str, cnonce: String) -> Self {
        let algorithm = asked.algorithm;
        let mut key = Secret::new(algorithm.hash(&[user, &asked.realm, password]));
        if algorithm.is_session {
            key = Secret::new(algorithm.hash(&[key.expose(), &asked.nonce, &cnonce]));
        }
        Self {
            asked,
            cnonce,
            key,
            count: AtomicU32::new(0),
            accepted: AtomicBool::new(false),
        }
    }

    pub(super) fn asked(&self) -> &Asked {
        &self.asked
    }

    pub(super) fn nonce(&self) -> &str {
        &self.asked.nonce
    }

    /// The server has taken an answer to this nonce.
    pub(super) fn accept(&self) {
        self.accepted.store(true, Ordering::Relaxed);
    }

    pub(super) fn was_accepted(&self) -> bool {
        self.accepted.load(Ordering::Relaxed)
    }

    /// The value of `Authorization` for a request (RFC 7616 section 3.4).
    ///
    /// # Errors
    /// The server's parameters have characters that cannot stand in a header.
    pub(super) fn answer(
        &self,
        user: &str,
        method: &Method,
        uri: &str,
    ) -> Result<HeaderValue, BoxError> {
        let asked = &self.asked;
        let algorithm = asked.algorithm;
        let what = algorithm.hash(&[method.as_str(), uri]);
        let count = self.count.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        let count = format!("{count:08x}");
        let key = self.key.expose();
        let response = if asked.has_qop {
            algorithm.hash(&[key, &asked.nonce, &count, &self.cnonce, "auth", &what])
        } else {
            algorithm.hash(&[key, &asked.nonce, &what])
        };

        let mut value = String::from("Digest ");
        if asked.userhash {
            let hashed = algorithm.hash(&[user, &asked.realm]);
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
            Quoted(&asked.realm),
            Quoted(&asked.nonce),
            Quoted(uri)
        )?;
        if let Some(name) = algorithm.name {
            write!(value, ", algorithm={name}")?;
        }
        if let Some(opaque) = &asked.opaque {
            write!(value, ", opaque={}", Quoted(opaque))?;
        }
        if asked.has_qop {
            write!(value, ", qop=auth, nc={count}")?;
        }
        if asked.has_qop || algorithm.is_session {
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
