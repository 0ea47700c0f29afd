//! The URL that the browser is sent to (RFC 6749 section 4.1.1).

use super::pending::{PendingLogin, challenge};
use crate::{
    encoding::percent_encode,
    error::ConfigError,
    oauth2::{
        authorization::{AuthorizationSettings, ExpectedIssuer},
        client::{ClientSettings, check_names, join},
        endpoint::parse_endpoint,
    },
};

/// The parameters that are the same for every login.
pub(super) struct AuthorizationRequest {
    pub(super) endpoint: String,
    pub(super) client_id: String,
    pub(super) response_type: &'static str,
    pub(super) scope: Option<String>,
    pub(super) resources: Vec<String>,
    pub(super) params: Vec<(String, String)>,
    pub(super) issuer: Option<ExpectedIssuer>,
    pub(super) plain_http: bool,
}

impl AuthorizationRequest {
    /// Checks the settings.
    pub(super) fn new(
        client: &ClientSettings,
        settings: &AuthorizationSettings,
        response_type: &'static str,
    ) -> Result<Self, ConfigError> {
        parse_endpoint("authorization_url", &settings.url, client.plain_http)?;
        let client_id = client.require_id()?;
        client.check_resources()?;
        let names = settings.params.iter().map(|(name, _)| name.as_str());
        check_names("authorization_param", names, &OWN_PARAMS)?;
        Ok(Self {
            endpoint: settings.url.clone(),
            client_id: client_id.to_owned(),
            response_type,
            scope: join(&client.scopes),
            resources: client.resources.clone(),
            params: settings.params.clone(),
            issuer: settings.issuer.clone(),
            plain_http: client.plain_http,
        })
    }

    pub(super) fn start(
        &self,
        redirect_uri: &str,
        with_verifier: bool,
    ) -> Result<PendingLogin, ConfigError> {
        check_redirect_uri(redirect_uri, self.plain_http)?;
        PendingLogin::new(self.client(), redirect_uri, with_verifier)
    }

    /// Identifies the server and the client, so that a response from one server is not used with
    /// another (RFC 9700 section 4.4).
    pub(super) fn client(&self) -> String {
        format!("{} {}", self.client_id, self.endpoint)
    }

    pub(super) fn url(&self, pending: &PendingLogin) -> String {
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
        add("redirect_uri", pending.redirect_uri());
        if let Some(scope) = &self.scope {
            add("scope", scope);
        }
        for resource in &self.resources {
            add("resource", resource);
        }
        add("state", pending.state.expose());
        if let Some(verifier) = &pending.verifier {
            add("code_challenge", &challenge(verifier));
            add("code_challenge_method", "S256");
        }
        for (name, value) in &self.params {
            add(name, value);
        }
        url
    }
}

/// The parameters of the URL that users cannot set.
const OWN_PARAMS: [&str; 5] = [
    "response_type",
    "redirect_uri",
    "state",
    "code_challenge",
    "code_challenge_method",
];

/// Accepts https, http to this machine, and private-use schemes (RFC 8252 section 7.1). A fragment
/// is not allowed (RFC 6749 section 3.1.2).
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
