//! What a token endpoint answers (RFC 6749 5.1 and 5.2), read tolerantly: servers differ.

use std::{borrow::Cow, time::Duration};

use http::{HeaderMap, StatusCode, header::CONTENT_TYPE};
use serde_json::{Map, Value};

use super::{
    error::{Problem, Refusal},
    sanitize::Sanitizer,
};
use crate::{credential::Bearer, secret::Secret};

/// Ten years: a lifetime beyond it is as good as it, and can be counted with safely.
const LONGEST: Duration = crate::time::MAX_LIFETIME;

/// How many characters of the server's texts are shown.
pub(super) const MOST_OF_NAMES: usize = 60;
pub(super) const MOST_OF_TEXTS: usize = 200;

/// The words of the specifications that decisions hang on. They give nothing away, even if a short
/// secret is a part of one.
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

/// A token, and what is known of it.
#[expect(unnameable_types, reason = "only sealed traits use it")]
#[derive(Debug)]
pub struct TokenResponse {
    pub(super) token: Bearer,
    /// `None` is unknown; zero is expired.
    pub(super) expires_in: Option<Duration>,
    /// As granted, if the server said so.
    pub(super) scope: Option<String>,
    /// `None` also for an empty one.
    pub(super) refresh_token: Option<Secret>,
    /// Whether there is an `issued_token_type` (RFC 8693 2.2.1).
    pub(super) has_issued_type: bool,
}

impl TokenResponse {
    /// Reads a complete answer. A token of another type is not used (RFC 6749 7.1).
    pub(super) fn parse(
        status: StatusCode,
        headers: &HeaderMap,
        body: &[u8],
        shown: Sanitizer,
        token_type: &str,
    ) -> Result<Self, Problem> {
        let fields = object(status, headers, body, &shown)?;
        Self::from_fields(&fields, !status.is_success(), shown, token_type)
    }

    /// Reads the fields of an answer, wherever they stood.
    pub(super) fn from_fields(
        fields: &Map<String, Value>,
        is_error: bool,
        mut shown: Sanitizer,
        token_type: &str,
    ) -> Result<Self, Problem> {
        let text = |name: &str| fields.get(name).and_then(Value::as_str);
        for name in ["access_token", "refresh_token", "id_token"] {
            shown.hide(text(name).unwrap_or_default());
        }
        refuse_error(fields, is_error, &shown)?;
        let token = text("access_token").ok_or_else(|| unusable("it has no access_token"))?;
        match text("token_type") {
            Some(kind) if kind.eq_ignore_ascii_case(token_type) => {}
            Some(kind) => {
                let kind = shown.clean(kind, MOST_OF_NAMES).unwrap_or_default();
                return Err(unusable(format!(
                    "its token_type is `{kind}`, and only {token_type} can be used here"
                )));
            }
            None => return Err(unusable("it has no token_type")),
        }
        let token = Bearer::new(token).map_err(|_| {
            unusable("its access_token is empty or has characters that no bearer token has")
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

/// The fields of a complete answer.
pub(super) fn object(
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
    shown: &Sanitizer,
) -> Result<Map<String, Value>, Problem> {
    // The parser's own message can quote the body.
    serde_json::from_slice(body).map_err(|_| unreadable(status, no_json(headers, body, shown)))
}

/// Fails if the fields are those of an error.
pub(super) fn refuse_error(
    fields: &Map<String, Value>,
    is_error: bool,
    shown: &Sanitizer,
) -> Result<(), Problem> {
    if !is_error && !has_error(fields) {
        return Ok(());
    }
    let clean = |name, most| shown.clean(fields.get(name)?.as_str()?, most);
    let known = |code: &&str| fields.get("error").is_some_and(|said| said == code);
    let known = KNOWN_CODES.into_iter().find(known).map(str::to_owned);
    Err(Problem::Refused(Refusal {
        code: known.or_else(|| clean("error", MOST_OF_NAMES)),
        description: clean("error_description", MOST_OF_TEXTS),
        uri: clean("error_uri", MOST_OF_TEXTS),
        unread: None,
    }))
}

/// What an answer is that can't be read, whatever the reason.
pub(super) fn unreadable(status: StatusCode, why: impl Into<Cow<'static, str>>) -> Problem {
    if status.is_success() {
        return Problem::Unusable(why.into());
    }
    Problem::Refused(Refusal {
        unread: Some(why.into()),
        ..Refusal::default()
    })
}

fn unusable(why: impl Into<Cow<'static, str>>) -> Problem {
    Problem::Unusable(why.into())
}

fn no_json(headers: &HeaderMap, body: &[u8], shown: &Sanitizer) -> String {
    if body.is_empty() {
        return "its body is empty".to_owned();
    }
    let content_type = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .and_then(|value| shown.clean(value, MOST_OF_NAMES))
        .unwrap_or_else(|| "unknown".to_owned());
    format!("its body is no JSON object; content type: {content_type}")
}

/// Whether there is an error. Some servers send the field on success too, without one in it.
fn has_error(fields: &Map<String, Value>) -> bool {
    match fields.get("error") {
        None | Some(Value::Null | Value::Bool(false)) => false,
        Some(Value::String(code)) => !code.is_empty(),
        Some(_) => true,
    }
}

/// Seconds as a number or as a string of one, in whatever range; `None` for all else.
pub(super) fn lifetime(value: &Value) -> Option<Duration> {
    let seconds = match value {
        Value::Number(number) => number.as_f64()?,
        Value::String(text) => text.trim().parse().ok()?,
        _ => return None,
    };
    // `inf` and `NaN` are numbers for the parser.
    seconds
        .is_finite()
        .then(|| Duration::from_secs_f64(seconds.clamp(0.0, LONGEST.as_secs_f64())))
}
