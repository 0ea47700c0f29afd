//! The expiry of a JWT, for tokens that come without a lifetime.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::Value;

/// Returns the `exp` of a JWT (RFC 7519 section 4.1.4), or `None` if the token is not a JWT with an
/// `exp`.
///
/// The signature is not verified, because only the server that receives the token relies on the
/// signature.
pub(super) fn expiry(token: &str) -> Option<SystemTime> {
    let mut parts = token.split('.');
    let (_, claims, _, None) = (parts.next()?, parts.next()?, parts.next()?, parts.next()) else {
        return None;
    };
    let claims = BASE64_URL_SAFE_NO_PAD.decode(claims).ok()?;
    let claims: Value = serde_json::from_slice(&claims).ok()?;
    moment(claims.get("exp")?.as_f64()?)
}

/// Converts seconds since the Unix epoch to a time.
pub(super) fn moment(seconds: f64) -> Option<SystemTime> {
    UNIX_EPOCH.checked_add(Duration::try_from_secs_f64(seconds).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_jwt_with_exp_has_an_expiry() {
        let jwt = |claims: &str| format!("e30.{}.c2ln", BASE64_URL_SAFE_NO_PAD.encode(claims));
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        assert_eq!(
            expiry(&jwt(r#"{"exp":1300819380}"#)),
            Some(at(1_300_819_380))
        );
        assert_eq!(expiry(&jwt(r#"{"exp":1.5e3}"#)), Some(at(1500)));
        for token in [
            "",
            "opaque",
            "a.b.c",
            "..",
            "a.b.c.d.e",
            &jwt("{}"),
            &jwt("[]"),
            &jwt(r#"{"exp":"soon"}"#),
            &jwt(r#"{"exp":-1}"#),
            &jwt(r#"{"exp":1e300}"#),
            &format!("{}.more", jwt(r#"{"exp":1}"#)),
        ] {
            assert_eq!(expiry(token), None, "{token}");
        }
    }
}
