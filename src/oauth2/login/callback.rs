//! Authorization responses (RFC 6749 sections 4.1.2 and 4.2.2): parsing and validation.

use percent_encoding::percent_decode_str;
#[cfg(feature = "implicit")]
use serde_json::{Map, Value};

use super::{
    error::{LoginError, Problem},
    pending::PendingLogin,
    request::AuthorizationRequest,
};
use crate::{
    oauth2::{
        error::Refusal,
        response::{MAX_CODE_LENGTH, MAX_TEXT_LENGTH},
        sanitize::Sanitizer,
    },
    secret::Secret,
};

/// Maximum length of a parameter name in an error message.
const MAX_NAME_LENGTH: usize = 32;

/// The part of the callback URL that holds the authorization response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(unnameable_types, reason = "only the sealed trait uses it")]
pub enum ResponseMode {
    /// The query, which browsers send to servers.
    Query,
    /// The fragment, which only the browser can see.
    Fragment,
}

/// The decoded parameters of an authorization response.
pub(super) struct AuthorizationResponse(Vec<(String, Secret)>);

impl AuthorizationResponse {
    /// Parses a URL, or only the part of it that holds the response. Duplicate parameters are an
    /// error (RFC 6749 section 3.1).
    pub(super) fn parse(callback: &str, mode: ResponseMode) -> Result<Self, LoginError> {
        let (before, fragment) = match callback.split_once('#') {
            Some((before, fragment)) => (before, Some(fragment)),
            None => (callback, None),
        };
        let text = match mode {
            ResponseMode::Fragment => match fragment {
                Some(fragment) => fragment,
                // Without a `#`, the text is a URL without a fragment, or only a fragment.
                None if is_url(callback) => "",
                None => callback,
            },
            ResponseMode::Query => match before.split_once('?') {
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
                return Err(Problem::Duplicate(Some(name).filter(|name| is_name(name))).into());
            }
            params.push((name, Secret::new(decode(value))));
        }
        Ok(Self(params))
    }

    /// Returns a parameter, unless it is absent or empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let (_, value) = self.0.iter().find(|(other, _)| other == name)?;
        Some(value.expose()).filter(|value| !value.is_empty())
    }

    /// Checks that the response belongs to the login, comes from the expected issuer, and is not an
    /// error. The order matters: an error is reported only if the response passes the first two
    /// checks.
    pub(super) fn check(
        &self,
        request: &AuthorizationRequest,
        pending: &PendingLogin,
    ) -> Result<(), LoginError> {
        if pending.client != request.client() {
            return Err(Problem::OtherClient.into());
        }
        let state = self.get("state").ok_or(Problem::NoState)?;
        if !pending.has_state(state) {
            return Err(Problem::WrongState.into());
        }
        let shown = self.sanitizer(pending);
        if let Some(expected) = &request.issuer {
            match self.get("iss") {
                Some(issuer) if issuer == expected.url => {}
                None if !expected.is_required => {}
                issuer => {
                    return Err(LoginError::from(Problem::Issuer {
                        expected: expected.url.clone(),
                        received: issuer.map(|issuer| shown.clean(issuer, MAX_TEXT_LENGTH)),
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
                code: shown.clean(code, MAX_CODE_LENGTH),
                description: clean("error_description", MAX_TEXT_LENGTH),
                uri: clean("error_uri", MAX_TEXT_LENGTH),
                unread: None,
            },
        }
        .into())
    }

    /// Returns a sanitizer that keeps the secrets of this login out of messages.
    pub(super) fn sanitizer(&self, pending: &PendingLogin) -> Sanitizer {
        let of_login = [Some(&pending.state), pending.verifier.as_ref()];
        let mut secrets: Vec<_> = of_login.into_iter().flatten().cloned().collect();
        for name in ["code", "access_token", "id_token"] {
            secrets.extend(self.get(name).map(Secret::new));
        }
        Sanitizer::without(secrets)
    }

    /// Returns the parameters as the fields of a token response.
    #[cfg(feature = "implicit")]
    pub(super) fn fields(&self) -> Map<String, Value> {
        let field = |(name, value): &(String, Secret)| (name.clone(), value.expose().into());
        self.0.iter().map(field).collect()
    }
}

/// Returns whether the text looks like a parameter name. A malformed response may have a secret
/// where a name belongs.
fn is_name(text: &str) -> bool {
    let is_expected = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
    (1..=MAX_NAME_LENGTH).contains(&text.len()) && text.bytes().all(is_expected)
}

fn is_url(text: &str) -> bool {
    text.starts_with('/') || text.contains("://") || !text.contains('=')
}

/// Decodes form encoding, in which a plus sign stands for a space.
fn decode(text: &str) -> String {
    let spaced = text.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
}
