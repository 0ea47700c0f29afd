//! The settings for logins in a browser.

use super::discovery::ServerMetadata;

/// The settings that are specific to a [`BrowserGrant`](super::BrowserGrant).
#[expect(unnameable_types, reason = "used only inside a builder")]
#[derive(Clone, Debug, Default)]
pub struct AuthorizationSettings {
    pub(in crate::oauth2) url: String,
    pub(in crate::oauth2) params: Vec<(String, String)>,
    pub(in crate::oauth2) issuer: Option<ExpectedIssuer>,
}

impl AuthorizationSettings {
    pub(in crate::oauth2) fn described_by(metadata: &ServerMetadata) -> Self {
        Self {
            url: metadata.authorization_endpoint().unwrap_or_default().into(),
            params: Vec::new(),
            issuer: Some(ExpectedIssuer {
                url: metadata.issuer().to_owned(),
                is_required: metadata.names_issuer_in_responses(),
            }),
        }
    }
}

/// The issuer that an authorization response must come from (RFC 9207).
#[derive(Clone, Debug)]
pub(in crate::oauth2) struct ExpectedIssuer {
    pub(in crate::oauth2) url: String,
    /// Whether a response that does not name an issuer is also refused.
    pub(in crate::oauth2) is_required: bool,
}
