//! Step-up authentication: requirements beyond a valid credential.

use std::time::Duration;

use base64::{
    Engine,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use http::HeaderMap;

use super::{
    error_code::{ErrorCode, error_code},
    parse::Challenge,
};

/// A server's requirements beyond a valid credential: more scopes (`insufficient_scope`, RFC 6750
/// section 3.1), a newer or stronger login (`insufficient_user_authentication`, RFC 9470), or
/// certain claims (`insufficient_claims`, as Azure calls it).
///
/// The layer asks the provider for a credential that meets them, if the provider can get one
/// ([`Provider::can_step_up`](crate::Provider::can_step_up)). Otherwise the caller gets the
/// server's response, and can read from it what a new login must request:
///
/// ```
/// use http::HeaderMap;
/// use tower_auth::challenge::StepUp;
///
/// # fn log_in_again(_: Option<String>) {}
/// fn handle(headers: &HeaderMap) {
///     if let Some(required) = StepUp::from_headers(headers) {
///         // ... as a parameter of the login: .authorization_param("acr_values", ...)
///         log_in_again(Some(required.acr_values().collect::<Vec<_>>().join(" ")));
///     }
/// }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StepUp {
    scope: String,
    acr_values: String,
    max_age: Option<Duration>,
    claims: Option<String>,
}

impl StepUp {
    /// Reads a response's `WWW-Authenticate` fields. Returns `None` if they have no further
    /// requirements.
    #[must_use]
    pub fn from_headers(headers: &HeaderMap) -> Option<Self> {
        Self::from_challenges(&Challenge::from_headers(headers))
    }

    /// Reads the challenges of a response. Returns `None` if they have no further requirements.
    #[must_use]
    pub fn from_challenges(challenges: &[Challenge]) -> Option<Self> {
        if !matches!(
            error_code(challenges),
            Some(ErrorCode::InsufficientScope | ErrorCode::InsufficientAuthentication)
        ) {
            return None;
        }
        let param = |name| {
            challenges
                .iter()
                .find_map(|challenge| challenge.param(name))
        };
        let text = |name| param(name).unwrap_or_default().to_owned();
        Some(Self {
            scope: text("scope"),
            acr_values: text("acr_values"),
            max_age: param("max_age")
                .and_then(|seconds| seconds.parse().ok())
                .map(Duration::from_secs),
            claims: param("claims").map(decode_claims),
        })
    }

    /// Returns all scopes that the request needs.
    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        self.scope.split_ascii_whitespace()
    }

    /// Returns the acceptable authentication context classes, in order of preference.
    pub fn acr_values(&self) -> impl Iterator<Item = &str> {
        self.acr_values.split_ascii_whitespace()
    }

    /// Returns the maximum time since the user's login.
    #[must_use]
    pub fn max_age(&self) -> Option<Duration> {
        self.max_age
    }

    /// Returns the required claims: JSON for the `claims` parameter of a login or a token request.
    /// Claims that the server encodes in base64 are decoded.
    #[must_use]
    pub fn claims(&self) -> Option<&str> {
        self.claims.as_deref()
    }
}

fn decode_claims(claims: &str) -> String {
    let config =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    // Servers use both base64 alphabets.
    let standard = claims.replace('-', "+").replace('_', "/");
    let bytes = GeneralPurpose::new(&STANDARD, config).decode(standard);
    let text = bytes.ok().and_then(|bytes| String::from_utf8(bytes).ok());
    text.unwrap_or_else(|| claims.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(challenge: &str) -> Option<StepUp> {
        StepUp::from_challenges(&Challenge::parse(challenge))
    }

    /// RFC 6750 section 3.1.
    #[test]
    fn scopes_are_read() {
        let required = read("Bearer error=\"insufficient_scope\", scope=\"a b\"").unwrap();
        assert_eq!(required.scopes().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(required.acr_values().count(), 0);
    }

    /// R32: the example from RFC 9470 section 3.
    #[test]
    fn acr_values_and_max_age_are_read() {
        let required = read(
            "Bearer error=\"insufficient_user_authentication\", error_description=\"A different \
             authentication level is required\", acr_values=\"myACR\", max_age=\"5\"",
        )
        .unwrap();
        assert_eq!(required.acr_values().collect::<Vec<_>>(), ["myACR"]);
        assert_eq!(required.max_age(), Some(Duration::from_secs(5)));
    }

    #[test]
    fn claims_are_read_plain_and_in_base64() {
        let json = r#"{"access_token":{"nbf":{"essential":true,"value":"1702682181"}}}"#;
        let encoded = "eyJhY2Nlc3NfdG9rZW4iOnsibmJmIjp7ImVzc2VudGlhbCI6dHJ1ZSwidmFsdWUiOiIxNzAyNjgyMTgxIn19fQ";
        for encoded in [
            encoded.to_owned(),
            format!("{encoded}=="),
            json.replace('"', "\\\""),
        ] {
            let challenge = format!("Bearer error=\"insufficient_claims\", claims=\"{encoded}\"");
            assert_eq!(read(&challenge).unwrap().claims(), Some(json));
        }
    }

    #[test]
    fn other_error_codes_require_nothing_more() {
        for challenge in [
            "Bearer",
            "Bearer error=\"invalid_token\"",
            "Basic realm=\"x\", scope=\"a\"",
        ] {
            assert_eq!(read(challenge), None);
        }
    }
}
