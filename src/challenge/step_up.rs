//! What a server wants beyond a valid credential.

use std::time::Duration;

use base64::{
    Engine,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use http::HeaderMap;

use super::{Challenge, Complaint, complaint};

/// What a server wants of a credential beyond its being valid: more scopes (`insufficient_scope`,
/// RFC 6750 section 3.1), a newer or stronger log-in (`insufficient_user_authentication`, RFC 9470), or
/// certain claims (`insufficient_claims`, as Azure says it).
///
/// Providers that can get such a credential are asked for it
/// ([`Provider::can_step_up`](crate::Provider::can_step_up)). Otherwise the caller gets the server's response,
/// and can read here what a new log-in must ask for:
///
/// ```
/// use http::HeaderMap;
/// use tower_auth::challenge::StepUp;
///
/// # fn log_in_again(_: Option<String>) {}
/// fn handle(headers: &HeaderMap) {
///     if let Some(wanted) = StepUp::from_headers(headers) {
///         // .. as the parameter of a log-in: .authorization_param("acr_values", ..)
///         log_in_again(Some(wanted.acr_values().collect::<Vec<_>>().join(" ")));
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
    /// Reads a response's `WWW-Authenticate` fields. `None` if they don't say that more is wanted.
    #[must_use]
    pub fn from_headers(headers: &HeaderMap) -> Option<Self> {
        Self::from_challenges(&Challenge::from_headers(headers))
    }

    /// Reads the challenges of a response. `None` if they don't say that more is wanted.
    #[must_use]
    pub fn from_challenges(challenges: &[Challenge]) -> Option<Self> {
        if !matches!(
            complaint(challenges),
            Some(Complaint::InsufficientScope | Complaint::InsufficientAuthentication)
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
            claims: param("claims").map(decoded),
        })
    }

    /// The scopes that are needed, all of them.
    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        self.scope.split_ascii_whitespace()
    }

    /// The authentication context classes that would do, the best first.
    pub fn acr_values(&self) -> impl Iterator<Item = &str> {
        self.acr_values.split_ascii_whitespace()
    }

    /// How long ago the person may have logged in at most.
    #[must_use]
    pub fn max_age(&self) -> Option<Duration> {
        self.max_age
    }

    /// The claims to ask for: JSON for the parameter `claims` of a log-in or a token request. Servers
    /// that send it in base64 have it decoded.
    #[must_use]
    pub fn claims(&self) -> Option<&str> {
        self.claims.as_deref()
    }
}

fn decoded(claims: &str) -> String {
    let config =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    // Both alphabets are met.
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

    /// RFC 6750 3.1.
    #[test]
    fn scopes_are_read() {
        let wanted = read("Bearer error=\"insufficient_scope\", scope=\"a b\"").unwrap();
        assert_eq!(wanted.scopes().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(wanted.acr_values().count(), 0);
    }

    /// R32: the example of RFC 9470 section 3.
    #[test]
    fn acr_values_and_max_age_are_read() {
        let wanted = read(
            "Bearer error=\"insufficient_user_authentication\", error_description=\"A different \
             authentication level is required\", acr_values=\"myACR\", max_age=\"5\"",
        )
        .unwrap();
        assert_eq!(wanted.acr_values().collect::<Vec<_>>(), ["myACR"]);
        assert_eq!(wanted.max_age(), Some(Duration::from_secs(5)));
    }

    #[test]
    fn claims_are_read_whether_they_are_encoded_or_not() {
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
    fn other_complaints_want_nothing_more() {
        for challenge in [
            "Bearer",
            "Bearer error=\"invalid_token\"",
            "Basic realm=\"x\", scope=\"a\"",
        ] {
            assert_eq!(read(challenge), None);
        }
    }
}
