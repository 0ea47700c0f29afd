//! Parsing of the output of credential helpers.

use std::{
    borrow::Cow,
    time::{Duration, SystemTime},
};

use serde_json::{Map, Value};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::super::jwt;
use crate::credential::Bearer;

const TOKEN_FIELDS: [&str; 3] = ["access_token", "accessToken", "token"];
/// The unambiguous fields come first.
const EXPIRY_FIELDS: [&str; 7] = [
    "expires_on",
    "expires_at",
    "expirationTimestamp",
    "expiration_time",
    "token_expiry",
    "expiry",
    "expiresOn",
];

/// Returns the token and its expiry. The error never contains what was printed.
pub(super) fn parse(
    printed: &[u8],
    started_at: SystemTime,
) -> Result<(Bearer, Option<SystemTime>), Cow<'static, str>> {
    let text = str::from_utf8(printed).map_err(|_| "printed bytes that are not UTF-8")?;
    let text = text.trim();
    if !text.starts_with('{') {
        return match text {
            "" => Err("printed nothing".into()),
            token => Ok((bearer(token)?, jwt::expiry(token))),
        };
    }
    // The parser's own message can quote the token.
    let fields: Map<String, Value> = serde_json::from_str(text)
        .map_err(|_| "printed a `{` that does not begin a JSON object")?;
    let inner = ["status", "credential"]
        .into_iter()
        .find_map(|name| fields.get(name)?.as_object());
    let fields = inner.unwrap_or(&fields);
    let token = TOKEN_FIELDS
        .into_iter()
        .find_map(|name| fields.get(name)?.as_str());
    let token = token.ok_or("printed JSON without a token")?;
    let kind = ["token_type", "tokenType"]
        .into_iter()
        .find_map(|name| fields.get(name)?.as_str());
    if kind.is_some_and(|kind| !kind.eq_ignore_ascii_case("bearer")) {
        return Err("printed a token whose type is not Bearer".into());
    }
    let expiry = lifetime(fields)
        .and_then(|lifetime| started_at.checked_add(lifetime))
        .or_else(|| {
            EXPIRY_FIELDS
                .into_iter()
                .find_map(|name| moment(fields.get(name)?))
        })
        .or_else(|| jwt::expiry(token));
    Ok((bearer(token)?, expiry))
}

fn bearer(token: &str) -> Result<Bearer, Cow<'static, str>> {
    Bearer::new(token).map_err(|error| format!("did not print a valid token: {error}").into())
}

fn lifetime(fields: &Map<String, Value>) -> Option<Duration> {
    Duration::try_from_secs_f64(number(fields.get("expires_in")?)?).ok()
}

fn moment(value: &Value) -> Option<SystemTime> {
    if let Some(seconds) = number(value) {
        return jwt::moment(seconds);
    }
    // Some tools also print dates without a time zone. They are ignored, because the zone is
    // unknown.
    let date = OffsetDateTime::parse(value.as_str()?, &Rfc3339).ok()?;
    Some(date.into())
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}
