//! What the browser comes back with (RFC 6749 4.1.2, 4.2.2), and whether it may be believed.

use percent_encoding::percent_decode_str;
#[cfg(feature = "implicit")]
use serde_json::{Map, Value};

use super::{
    attempt::PendingLogin,
    error::{LoginError, Problem},
    request::AuthorizationRequest,
};
use crate::{
    oauth2::{
        error::Refusal,
        response::{MOST_OF_NAMES, MOST_OF_TEXTS},
        sanitize::Sanitizer,
    },
    secret::Secret,
};

/// Of the parameters that have a meaning here.
const LONGEST_NAME: usize = 32;

/// Where in its URL the browser brings the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(unnameable_types, reason = "only the sealed trait speaks of it")]
pub enum AnsweredIn {
    /// What servers get.
    Query,
    /// What only the browser sees.
    Fragment,
}

/// The parameters of an answer, decoded.
pub(super) struct Answer(Vec<(String, Secret)>);

impl Answer {
    /// Reads a URL, or only the part of it that the answer is in. RFC 6749 3.1: no parameter is
    /// there twice.
    pub(super) fn parse(callback: &str, place: AnsweredIn) -> Result<Self, LoginError> {
        let (before, fragment) = match callback.split_once('#') {
            Some((before, fragment)) => (before, Some(fragment)),
            None => (callback, None),
        };
        let text = match place {
            AnsweredIn::Fragment => match fragment {
                Some(fragment) => fragment,
                // Only the fragment was given, or there is none.
                None if is_url(callback) => "",
                None => callback,
            },
            AnsweredIn::Query => match before.split_once('?') {
                Some((address, query)) if !address.contains('=') => query,
                _ if is_url(before) => "",
                _ => before,
            },
        };
        let mut params: Vec<(String, Secret)> = Vec::new();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decode(name);
            if params.iter().any(|(other, _)| *other == name) {
                return Err(Problem::Repeated(Some(name).filter(|name| is_name(name))).into());
            }
            params.push((name, Secret::new(decode(value))));
        }
        Ok(Self(params))
    }

    /// A parameter that is there and not empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let (_, value) = self.0.iter().find(|(other, _)| other == name)?;
        Some(value.expose()).filter(|value| !value.is_empty())
    }

    /// Whether the answer belongs to the attempt, comes from the server, and is no error: in this
    /// order, so that nobody else's error is believed either.
    pub(super) fn check(
        &self,
        request: &AuthorizationRequest,
        attempt: &PendingLogin,
    ) -> Result<(), LoginError> {
        if attempt.whose() != request.whose() {
            return Err(Problem::OtherServer.into());
        }
        let state = self.get("state").ok_or(Problem::NoState)?;
        if !attempt.has_state(state) {
            return Err(Problem::WrongState.into());
        }
        let shown = self.shown(attempt);
        if let Some(expected) = &request.issuer {
            match self.get("iss") {
                Some(issuer) if issuer == expected.url => {}
                None if !expected.is_required => {}
                issuer => {
                    return Err(LoginError::from(Problem::Issuer {
                        expected: expected.url.clone(),
                        said: issuer.map(|said| shown.clean(said, MOST_OF_TEXTS)),
                    }));
                }
            }
        }
        let Some(code) = self.get("error") else {
            return Ok(());
        };
        let clean = |name, most| self.get(name).and_then(|text| shown.clean(text, most));
        Err(Problem::Refused {
            is_denied: code == "access_denied",
            refusal: Refusal {
                code: shown.clean(code, MOST_OF_NAMES),
                description: clean("error_description", MOST_OF_TEXTS),
                uri: clean("error_uri", MOST_OF_TEXTS),
                unread: None,
            },
        }
        .into())
    }

    /// What of the server's texts may stand in messages.
    pub(super) fn shown(&self, attempt: &PendingLogin) -> Sanitizer {
        let of_attempt = [Some(attempt.state()), attempt.verifier()];
        let mut secrets: Vec<_> = of_attempt.into_iter().flatten().cloned().collect();
        for name in ["code", "access_token", "id_token"] {
            secrets.extend(self.get(name).map(Secret::new));
        }
        Sanitizer::without(secrets)
    }

    /// The parameters as a token endpoint would have answered them.
    #[cfg(feature = "implicit")]
    pub(super) fn fields(&self) -> Map<String, Value> {
        let field = |(name, value): &(String, Secret)| (name.clone(), value.expose().into());
        self.0.iter().map(field).collect()
    }
}

/// Whether it is the name of a parameter. In its place there may be anything, a secret too.
fn is_name(text: &str) -> bool {
    let is_usual = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
    (1..=LONGEST_NAME).contains(&text.len()) && text.bytes().all(is_usual)
}

fn is_url(text: &str) -> bool {
    text.starts_with('/') || text.contains("://") || !text.contains('=')
}

/// A form's encoding, in which a plus is a space.
fn decode(text: &str) -> String {
    let spaced = text.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
}
