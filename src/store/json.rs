//! The JSON form of tokens and intents, shared by the stores that write JSON.

use std::time::{Duration, UNIX_EPOCH};

use serde_json::{Map, Value, json};

use super::{Intent, Revision, TokenSet};

pub(super) fn tokens(tokens: &TokenSet) -> Value {
    let expires_at = tokens.expires_at();
    let expires_at = expires_at.and_then(|moment| moment.duration_since(UNIX_EPOCH).ok());
    json!({
        "access_token": tokens.expose_access_token(),
        "refresh_token": tokens.expose_refresh_token(),
        "expires_at": expires_at.map(millis),
        "lifetime": tokens.lifetime().map(millis),
        "scope": tokens.scope(),
    })
}

pub(super) fn intent(intent: &Intent) -> Value {
    json!({ "revision": intent.revision.0, "holder": intent.holder })
}

pub(super) fn parse_tokens(object: &Map<String, Value>) -> Option<TokenSet> {
    let text = |name: &str| object.get(name).and_then(Value::as_str);
    let time = |name: &str| number(object, name).map(Duration::from_millis);
    let mut tokens = match token(object, "access_token")? {
        Some(access) => TokenSet::new(access),
        None => TokenSet::empty(),
    };
    if let Some(refresh) = token(object, "refresh_token")? {
        tokens = tokens.with_refresh_token(refresh);
    }
    if let Some(moment) = time("expires_at").and_then(|time| UNIX_EPOCH.checked_add(time)) {
        tokens = tokens.with_expires_at(moment);
    }
    if let Some(lifetime) = time("lifetime") {
        tokens = tokens.with_lifetime(lifetime);
    }
    match text("scope") {
        Some(scope) => Some(tokens.with_scope(scope)),
        None => Some(tokens),
    }
}

pub(super) fn parse_intent(object: &Map<String, Value>) -> Option<Intent> {
    Some(Intent {
        revision: Revision(number(object, "revision")?),
        holder: object.get("holder")?.as_str()?.to_owned(),
    })
}

/// Reads a token. Returns `None` if the value is not a token, and `Some(None)` if it is null.
fn token<'a>(object: &'a Map<String, Value>, name: &str) -> Option<Option<&'a str>> {
    match object.get(name)? {
        Value::Null => Some(None),
        value => value.as_str().map(Some),
    }
}

pub(super) fn number(object: &Map<String, Value>, name: &str) -> Option<u64> {
    object.get(name)?.as_u64()
}

pub(super) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
