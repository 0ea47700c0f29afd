//! Token endpoint responses (RFC 6749 sections 5.1 and 5.2), parsed leniently, because servers
//! differ.

use std::{borrow::Cow, time::Duration};

use http::{HeaderMap, StatusCode, header::CONTENT_TYPE};
use serde_json::{Map, Value};

use super::{
    error::{Problem, Refusal},
    sanitize::Sanitizer,
};
use crate::{credential::Bearer, secret::Secret, time::MAX_LIFETIME};

/// Maximum number of characters shown of an error code, a token type or a content type.
pub(super) const MAX_CODE_LENGTH: usize = 60;
/// Maximum number of characters shown of any other text from a server.
pub(super) const MAX_TEXT_LENGTH: usize = 200;

/// The standard error codes, which decisions depend on. Showing one reveals nothing, even if it
/// happens to contain a short secret.
const KNOWN_CODES: [&str; 13] = [
    "invalid_request",
    "invalid_client",
    "invalid_grant",
    "unauthorized_client",
    "unsupported_grant_type",
    "invalid_scope",
    "invalid_target",
    "authorization_pending",
    "slow_down",
    "access_denied",
    "expired_token",
    "invalid_dpop_proof",
    "use_dpop_nonce",
];

/// A successful response.
#[expect(unnameable_types, reason = "only sealed traits use it")]
#[derive(Debug)]
pub struct TokenResponse {
    pub(super) token: Bearer,
    /// The lifetime: `None` if it is unknown, zero if the token has already expired.
    pub(super) expires_in: Option<Duration>,
    /// The granted scope, if the response names it.
    pub(super) scope: Option<String>,
    /// `None` if the token is missing or empty.
    pub(super) refresh_token: Option<Secret>,
    /// Whether there is an `issued_token_type` (RFC 8693 section 2.2.1).
    pub(super) has_issued_type: bool,
}

impl TokenResponse {
    /// Reads a complete response. Tokens of any type other than `token_type` are refused (RFC 6749
    /// section 7.1).
    pub(super) fn parse(
        status: StatusCode,
        headers: &HeaderMap,
        body: &[u8],
        sanitizer: Sanitizer,
        token_type: &str,
    ) -> Result<Self, Problem> {
        let fields = object(status, headers, body, &sanitizer)?;
        Self::from_fields(&fields, !status.is_success(), sanitizer, token_type)
    }

    /// Reads the fields of a response, from a body or from a URL.
    pub(super) fn from_fields(
        fields: &Map<String, Value>,
        is_error: bool,
        mut sanitizer: Sanitizer,
        token_type: &str,
    ) -> Result<Self, Problem> {
        let text = |name: &str| fields.get(name).and_then(Value::as_str);
        for name in ["access_token", "refresh_token", "id_token"] {
            sanitizer.hide(text(name).unwrap_or_default());
        }
        refuse_error(fields, is_error, &sanitizer)?;
        let unusable = |why: &'static str| Problem::Unusable(why.into());
        let token = text("access_token").ok_or_else(|| unusable("it has no access_token"))?;
        let actual = text("token_type").ok_or_else(|| unusable("it has no token_type"))?;
        if !actual.eq_ignore_ascii_case(token_type) {
            let actual = sanitizer.clean(actual, MAX_CODE_LENGTH).unwrap_or_default();
            let why = format!("its token_type is `{actual}`, not {token_type}");
            return Err(Problem::Unusable(why.into()));
        }
        let token = Bearer::new(token).map_err(|_| {
            unusable("its access_token is empty or contains characters that bearer tokens cannot")
        })?;
        Ok(Self {
            token,
            expires_in: fields.get("expires_in").and_then(lifetime),
            scope: text("scope").map(str::to_owned),
            refresh_token: text("refresh_token")
                .filter(|token| !token.is_empty())
                .map(Secret::new),
            has_issued_type: text("issued_token_type").is_some(),
        })
    }
}

/// Returns the fields of a complete response.
pub(super) fn object(
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
    sanitizer: &Sanitizer,
) -> Result<Map<String, Value>, Problem> {
    // The parser's own message is not used, because it can quote the body.
    serde_json::from_slice(body).map_err(|_| {
        if body.is_empty() {
            return unreadable(status, "its body is empty");
        }
        let content_type = headers
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split(';').next())
            .and_then(|value| sanitizer.clean(value, MAX_CODE_LENGTH))
            .unwrap_or_else(|| "unknown".to_owned());
        let why = format!("its body is not a JSON object; content type: {content_type}");
        unreadable(status, why)
    })
}

/// Fails if the fields are those of an error.
pub(super) fn refuse_error(
    fields: &Map<String, Value>,
    is_error: bool,
    sanitizer: &Sanitizer,
) -> Result<(), Problem> {
    if !is_error && !has_error(fields) {
        return Ok(());
    }
    let clean = |name, max| sanitizer.clean(fields.get(name)?.as_str()?, max);
    let is_known = |code: &&str| fields.get("error").is_some_and(|error| error == code);
    let known = KNOWN_CODES.into_iter().find(is_known).map(str::to_owned);
    Err(Problem::Refused(Refusal {
        code: known.or_else(|| clean("error", MAX_CODE_LENGTH)),
        description: clean("error_description", MAX_TEXT_LENGTH),
        uri: clean("error_uri", MAX_TEXT_LENGTH),
        unread: None,
    }))
}

/// Describes the problem with a response that cannot be read.
pub(super) fn unreadable(status: StatusCode, why: impl Into<Cow<'static, str>>) -> Problem {
    if status.is_success() {
        return Problem::Unusable(why.into());
    }
    Problem::Refused(Refusal {
        unread: Some(why.into()),
        ..Refusal::default()
    })
}

/// Returns whether the fields contain an error. Some servers also send an empty `error` on success.
fn has_error(fields: &Map<String, Value>) -> bool {
    match fields.get("error") {
        None | Some(Value::Null | Value::Bool(false)) => false,
        Some(Value::String(code)) => !code.is_empty(),
        Some(_) => true,
    }
}

/// Reads a lifetime in seconds, of any size, from a number or a string. Returns `None` for anything
/// else.
pub(super) fn lifetime(value: &Value) -> Option<Duration> {
    let seconds = match value {
        Value::Number(number) => number.as_f64()?,
        Value::String(text) => text.trim().parse().ok()?,
        _ => return None,
    };
    // The parser also accepts `inf` and `NaN`.
    let is_valid = seconds.is_finite();
    is_valid.then(|| Duration::from_secs_f64(seconds.clamp(0.0, MAX_LIFETIME.as_secs_f64())))
}
