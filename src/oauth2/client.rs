//! The settings that all grants share: the server, the client and its authentication.

use std::sync::Arc;

#[cfg(feature = "dpop")]
use super::dpop::DpopKey;
#[cfg(feature = "jwt")]
use super::jwt::ClientAssertion;
use super::{
    client_auth::{ClientAuth, ClientAuthMode, SecretPlace},
    discovery::{Aliases, ServerMetadata},
    endpoint::{TokenEndpoint, parse_endpoint},
    error::Endpoint,
    form::Form,
    http::HttpService,
};
use crate::{error::ConfigError, secret::Secret};

/// The settings of a client and its server, before validation.
#[expect(unnameable_types, reason = "used only inside a builder")]
#[derive(Clone, Default)]
pub struct ClientSettings {
    pub(super) token_url: String,
    pub(super) revocation_url: Option<String>,
    /// The alternative endpoints for clients that authenticate with a certificate.
    pub(super) mtls_aliases: Aliases,
    pub(super) plain_http: bool,
    pub(super) id: Option<String>,
    pub(super) secret: Option<Secret>,
    pub(super) auth: ClientAuthMode,
    /// The audience of signed assertions. Default: the token URL.
    #[cfg(feature = "jwt")]
    pub(super) audience: Option<String>,
    pub(super) scopes: Vec<String>,
    pub(super) resources: Vec<String>,
    pub(super) params: Vec<(String, Secret)>,
    #[cfg(feature = "dpop")]
    pub(super) dpop: Option<DpopKey>,
    pub(super) http: Option<Arc<HttpService>>,
}

/// A client at a token endpoint.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) endpoint: TokenEndpoint,
    pub(super) revocation: Option<TokenEndpoint>,
    pub(super) scopes: Vec<String>,
    resources: Vec<String>,
    params: Vec<(String, Secret)>,
}

impl ClientSettings {
    pub(super) fn new(token_url: impl Into<String>) -> Self {
        Self {
            token_url: token_url.into(),
            ..Self::default()
        }
    }

    /// Returns the settings that a server's metadata determines.
    pub(super) fn described_by(metadata: &ServerMetadata, http: &Arc<HttpService>) -> Self {
        let place = if metadata.wants_secret_in_body() {
            SecretPlace::Body
        } else {
            SecretPlace::default()
        };
        Self {
            auth: ClientAuthMode::Secret(place),
            #[cfg(feature = "jwt")]
            audience: Some(metadata.issuer().to_owned()),
            revocation_url: metadata.revocation_endpoint().map(str::to_owned),
            mtls_aliases: metadata.mtls_aliases(),
            http: Some(Arc::clone(http)),
            ..Self::new(metadata.token_endpoint().unwrap_or_default())
        }
    }

    /// Returns the settings of the same client for the refreshes that follow a login. They request
    /// no scopes, so the scopes granted at login apply.
    pub(super) fn for_session(&self) -> Self {
        Self {
            scopes: Vec::new(),
            ..self.clone()
        }
    }

    pub(super) fn require_id(&self) -> Result<&str, ConfigError> {
        required("client_id", self.id.as_deref())
    }

    /// Checks that the client authenticates, for grants that public clients must not use.
    pub(super) fn require_authentication(&self) -> Result<(), ConfigError> {
        self.require_id()?;
        match self.auth {
            ClientAuthMode::Secret(_) => required("client_secret", self.secret.as_ref()).map(drop),
            ClientAuthMode::Certificate => Ok(()),
            #[cfg(feature = "jwt")]
            ClientAuthMode::Assertion(_) => Ok(()),
        }
    }

    /// Checks all settings, and creates the client. `own_params` are the parameters that the grant
    /// itself sends.
    pub(super) fn build(mut self, own_params: &[&str]) -> Result<Client, ConfigError> {
        let aliases = self.aliases();
        self.token_url = aliases.token.unwrap_or(self.token_url);
        self.revocation_url = aliases.revocation.or(self.revocation_url);
        let uri = parse_endpoint("token_url", &self.token_url, self.plain_http)?;
        let auth = Arc::new(self.client_auth()?);
        let http = required("http", self.http.clone())?;
        self.check_resources()?;
        let names = self.params.iter().map(|(name, _)| name.as_str());
        check_names("param", names, own_params)?;

        let endpoint = TokenEndpoint::new(Endpoint::Token(auth.proof()), uri, auth, http);
        let revocation = match &self.revocation_url {
            Some(url) => {
                let uri = parse_endpoint("revoke_url", url, self.plain_http)?;
                Some(endpoint.sibling(Endpoint::Revocation, uri))
            }
            None => None,
        };
        Ok(Client {
            #[cfg(feature = "dpop")]
            endpoint: endpoint.bound_to(self.dpop),
            #[cfg(not(feature = "dpop"))]
            endpoint,
            revocation,
            scopes: self.scopes,
            resources: self.resources,
            params: self.params,
        })
    }

    /// Returns the alternative endpoints if the client authenticates with a certificate (RFC 8705
    /// section 5).
    pub(super) fn aliases(&self) -> Aliases {
        match self.auth {
            ClientAuthMode::Certificate => self.mtls_aliases.clone(),
            _ => Aliases::default(),
        }
    }

    fn client_auth(&self) -> Result<ClientAuth, ConfigError> {
        let (id, secret) = (self.id.as_deref(), self.secret.as_ref());
        match &self.auth {
            ClientAuthMode::Secret(_) if id.is_none() && secret.is_none() => Ok(ClientAuth::None),
            ClientAuthMode::Secret(place) => ClientAuth::new(*place, self.require_id()?, secret),
            ClientAuthMode::Certificate => ClientAuth::certificate(self.require_id()?, secret),
            #[cfg(feature = "jwt")]
            ClientAuthMode::Assertion(mode) => {
                let audience = self.audience.as_ref().unwrap_or(&self.token_url);
                ClientAssertion::new(mode, self.require_id()?, secret, audience)
                    .map(ClientAuth::Assertion)
            }
        }
    }

    /// Checks that each resource is an absolute URI without a fragment (RFC 8707 section 2).
    /// `http::Uri` is not used, because it does not accept URNs.
    pub(super) fn check_resources(&self) -> Result<(), ConfigError> {
        let is_resource = |uri: &String| {
            let has_scheme = uri.split_once(':').is_some_and(|(scheme, rest)| {
                scheme.starts_with(|char: char| char.is_ascii_alphabetic()) && !rest.is_empty()
            });
            let is_allowed = |byte: u8| byte.is_ascii_graphic() && byte != b'#';
            has_scheme && uri.bytes().all(is_allowed)
        };
        if self.resources.iter().all(is_resource) {
            return Ok(());
        }
        Err(ConfigError::new(
            "resource",
            "is not an absolute URI without a fragment, such as https://api.example.com/",
        ))
    }
}

impl Client {
    /// Returns a form with the grant type and the parameters that all grants share.
    pub(super) fn form(&self, grant_type: &str, scope: Option<&str>) -> Form {
        let mut form = Form::default();
        form.push("grant_type", grant_type);
        self.push_params(&mut form, scope);
        form
    }

    /// Adds the parameters that all grants share.
    pub(super) fn push_params(&self, form: &mut Form, scope: Option<&str>) {
        if let Some(scope) = scope {
            form.push("scope", scope);
        }
        for resource in &self.resources {
            form.push("resource", resource);
        }
        for (name, value) in &self.params {
            form.push_secret(name, value);
        }
    }

    /// Returns the requested scope, which applies if the server's response does not name one (RFC
    /// 6749 section 5.1).
    pub(super) fn scope(&self) -> Option<String> {
        join(&self.scopes)
    }
}

pub(super) fn required<T>(call: &'static str, value: Option<T>) -> Result<T, ConfigError> {
    value.ok_or_else(|| ConfigError::new(call, format!("is missing: call {call}(..)")))
}

pub(super) fn join(scopes: &[String]) -> Option<String> {
    (!scopes.is_empty()).then(|| scopes.join(" "))
}

/// Checks that no parameter is sent twice (RFC 6749 sections 3.1 and 3.2). Only `resource` may be
/// repeated, through its own setter.
pub(super) fn check_names<'a>(
    field: &'static str,
    names: impl Iterator<Item = &'a str>,
    own: &[&'a str],
) -> Result<(), ConfigError> {
    let mut taken = vec![
        "grant_type",
        "client_id",
        "client_secret",
        "client_assertion",
        "client_assertion_type",
        "scope",
        "resource",
    ];
    taken.extend(own);
    for name in names {
        if name.is_empty() {
            return Err(ConfigError::new(field, "has no name"));
        }
        if taken.contains(&name) {
            let name = name.escape_debug();
            let problem = format!("`{name}` is already set, or has a separate setter");
            return Err(ConfigError::new(field, problem));
        }
        taken.push(name);
    }
    Ok(())
}

// The URLs are omitted, because their queries can contain anything.
partial_debug!(ClientSettings, auth, scopes);
