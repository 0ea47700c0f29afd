//! The address that the browser is sent to (RFC 6749 4.1.1).

use super::attempt::{PendingLogin, challenge};
use crate::{
    encoding::percent_encode,
    error::ConfigError,
    oauth2::{discovery::ServerMetadata, endpoint::parse_endpoint},
};

/// What can be set about it.
#[derive(Clone, Default)]
pub(in crate::oauth2) struct AuthorizationSettings {
    pub(in crate::oauth2) url: String,
    pub(in crate::oauth2) params: Vec<(String, String)>,
    pub(in crate::oauth2) issuer: Option<ExpectedIssuer>,
}

/// Who must have given an answer (RFC 9207).
#[derive(Clone)]
pub(in crate::oauth2) struct ExpectedIssuer {
    pub(super) url: String,
    /// Whether an answer that does not say it is refused too.
    pub(super) is_always_said: bool,
}

impl ExpectedIssuer {
    pub(in crate::oauth2) fn always(url: String) -> Self {
        Self {
            url,
            is_always_said: true,
        }
    }

    pub(in crate::oauth2) fn described_by(metadata: &ServerMetadata) -> Self {
        Self {
            url: metadata.issuer().to_owned(),
            is_always_said: metadata.says_issuer_in_answers(),
        }
    }
}

/// All that goes into the address and is the same each time.
pub(in crate::oauth2) struct AuthorizationRequest {
    pub(in crate::oauth2) endpoint: String,
    pub(in crate::oauth2) client_id: String,
    pub(in crate::oauth2) response_type: &'static str,
    pub(in crate::oauth2) scope: Option<String>,
    pub(in crate::oauth2) resources: Vec<String>,
    pub(in crate::oauth2) params: Vec<(String, String)>,
    pub(in crate::oauth2) issuer: Option<ExpectedIssuer>,
    pub(in crate::oauth2) plain_http: bool,
}

impl AuthorizationRequest {
    pub(super) fn start(
        &self,
        redirect_uri: &str,
        with_verifier: bool,
    ) -> Result<PendingLogin, ConfigError> {
        check_redirect_uri(redirect_uri, self.plain_http)?;
        PendingLogin::new(self.whose(), redirect_uri, with_verifier)
    }

    /// By which an attempt knows its server and client (RFC 9700 4.4).
    pub(super) fn whose(&self) -> String {
        format!("{} {}", self.client_id, self.endpoint)
    }

    pub(super) fn url(&self, attempt: &PendingLogin) -> String {
        let mut url = self.endpoint.clone();
        let mut separator = if url.contains('?') { '&' } else { '?' };
        let mut add = |name: &str, value: &str| {
            url.push(separator);
            url.extend(percent_encode(name));
            url.push('=');
            url.extend(percent_encode(value));
            separator = '&';
        };
        add("response_type", self.response_type);
        add("client_id", &self.client_id);
        add("redirect_uri", attempt.redirect_uri());
        if let Some(scope) = &self.scope {
            add("scope", scope);
        }
        for resource in &self.resources {
            add("resource", resource);
        }
        add("state", attempt.state().expose());
        if let Some(verifier) = attempt.verifier() {
            add("code_challenge", &challenge(verifier));
            add("code_challenge_method", "S256");
        }
        for (name, value) in &self.params {
            add(name, value);
        }
        url
    }
}

/// The parameters above that are no setting.
pub(super) const OWN_PARAMS: [&str; 5] = [
    "response_type",
    "redirect_uri",
    "state",
    "code_challenge",
    "code_challenge_method",
];

/// https, http to this machine, or a scheme of the program's own (RFC 8252 7); without a fragment
/// (RFC 6749 3.1.2).
fn check_redirect_uri(uri: &str, plain_http: bool) -> Result<(), ConfigError> {
    const FIELD: &str = "redirect_uri";
    let scheme = uri.split_once(':').map(|(scheme, _)| scheme);
    match scheme.map(str::to_ascii_lowercase).as_deref() {
        Some("http" | "https") => parse_endpoint(FIELD, uri, plain_http).map(drop),
        Some(scheme)
            if scheme.starts_with(|char: char| char.is_ascii_alphabetic())
                && uri.bytes().all(|byte| byte.is_ascii_graphic())
                && !uri.contains('#') =>
        {
            Ok(())
        }
        _ => Err(ConfigError::new(
            FIELD,
            "is not an absolute URI without a fragment, such as https://app.example.com/callback",
        )),
    }
}
