//! From the settings to what a provider is made of.

use std::sync::Arc;

use super::{Builder, StandardGrant};
#[cfg(feature = "jwt")]
use crate::oauth2::jwt::ClientAssertion;
use crate::{
    error::ConfigError,
    oauth2::{
        client_auth::{ClientAuth, ClientAuthMode},
        endpoint::{TokenEndpoint, parse_endpoint},
        error::Endpoint,
        form::Form,
        login::AuthorizationRequest,
        session::Parts,
    },
    secret::Secret,
};

/// What a provider is made of.
pub(in crate::oauth2) struct Settings {
    pub(in crate::oauth2) endpoint: TokenEndpoint,
    pub(in crate::oauth2) parts: Parts,
    pub(in crate::oauth2) device: Option<TokenEndpoint>,
    pub(in crate::oauth2) scopes: Vec<String>,
    resources: Vec<String>,
    params: Vec<(String, Secret)>,
}

impl<P> Builder<P> {
    /// Checks all settings, for a server without clients whose endpoints are below one URL.
    pub(in crate::oauth2) fn finish_below(
        mut self,
        urls: [(Endpoint, &'static str); 2],
    ) -> Result<([TokenEndpoint; 2], Parts), ConfigError> {
        let base = parse_endpoint("base_url", &self.url, false)?;
        if base.query().is_some() {
            return Err(ConfigError::new("base_url", "has a query"));
        }
        let http = required("http", self.http.take())?;
        let auth = Arc::new(ClientAuth::None);
        let [one, two] = urls.map(|(kind, path)| {
            let url = format!("{}{path}", self.url.trim_end_matches('/'));
            let uri = parse_endpoint("base_url", &url, false)?;
            let (auth, http) = (Arc::clone(&auth), Arc::clone(&http));
            Ok(TokenEndpoint::new(kind, uri, auth, http))
        });
        Ok(([one?, two?], self.parts(None)?))
    }

    pub(in crate::oauth2) fn parts(
        self,
        revocation: Option<TokenEndpoint>,
    ) -> Result<Parts, ConfigError> {
        Ok(Parts {
            header: self.header.transpose()?,
            store: self.store,
            seed: self.seed,
            revocation,
        })
    }
}

impl<P: StandardGrant> Builder<P> {
    /// What the authorization endpoint is asked for.
    pub(in crate::oauth2) fn authorization(
        &self,
        response_type: &'static str,
        own_params: &[&str],
    ) -> Result<AuthorizationRequest, ConfigError> {
        let endpoint = &self.authorization.url;
        parse_endpoint("authorization_url", endpoint, self.plain_http)?;
        let client_id = required("client_id", self.client_id.as_deref())?;
        for resource in &self.resources {
            check_resource(resource)?;
        }
        let params = &self.authorization.params;
        let names = params.iter().map(|(name, _)| name.as_str());
        check_names("authorization_param", names, own_params)?;
        Ok(AuthorizationRequest {
            endpoint: endpoint.clone(),
            client_id: client_id.to_owned(),
            response_type,
            scope: join(&self.scopes),
            resources: self.resources.clone(),
            params: params.clone(),
            issuer: self.authorization.issuer.clone(),
            plain_http: self.plain_http,
        })
    }

    #[cfg(feature = "implicit")]
    pub(in crate::oauth2) fn refuse_client_secret(
        &self,
        why: &'static str,
    ) -> Result<(), ConfigError> {
        match self.client_secret {
            Some(_) => Err(ConfigError::new("client_secret", why)),
            None => Ok(()),
        }
    }

    pub(in crate::oauth2) fn require_client_id(&self) -> Result<(), ConfigError> {
        required("client_id", self.client_id.as_ref()).map(drop)
    }

    pub(in crate::oauth2) fn allows_plain_http(&self) -> bool {
        self.plain_http
    }

    /// A key is for `build_dpop()`: tokens that are bound to it are of no use without.
    pub(in crate::oauth2) fn refuse_dpop(&self) -> Result<(), ConfigError> {
        #[cfg(feature = "dpop")]
        if self.dpop.is_some() {
            let problem = "makes tokens that can be used only with the key: call build_dpop()";
            return Err(ConfigError::new("dpop", problem));
        }
        Ok(())
    }

    /// For grants that no public client may use.
    pub(in crate::oauth2) fn require_client_proof(&self) -> Result<(), ConfigError> {
        self.require_client_id()?;
        match self.auth {
            ClientAuthMode::Secret(_) => {
                required("client_secret", self.client_secret.as_ref()).map(drop)
            }
            ClientAuthMode::Certificate => Ok(()),
            #[cfg(feature = "jwt")]
            ClientAuthMode::Assertion(_) => Ok(()),
        }
    }

    fn client_auth(&self) -> Result<ClientAuth, ConfigError> {
        let (id, secret) = (self.client_id.as_deref(), self.client_secret.as_ref());
        match &self.auth {
            ClientAuthMode::Secret(_) if id.is_none() && secret.is_none() => Ok(ClientAuth::None),
            ClientAuthMode::Secret(place) => {
                ClientAuth::new(*place, required("client_id", id)?, secret)
            }
            ClientAuthMode::Certificate => {
                ClientAuth::certificate(required("client_id", id)?, secret)
            }
            #[cfg(feature = "jwt")]
            ClientAuthMode::Assertion(mode) => {
                let audience = self.audience.as_ref().unwrap_or(&self.url);
                let id = required("client_id", id)?;
                ClientAssertion::new(mode, id, secret, audience).map(ClientAuth::Assertion)
            }
        }
    }

    /// Checks all settings. The parameters named are the grant's own.
    pub(in crate::oauth2) fn finish(
        mut self,
        own_params: &[&str],
    ) -> Result<Settings, ConfigError> {
        let uri = parse_endpoint("token_url", &self.url, self.plain_http)?;
        let auth = Arc::new(self.client_auth()?);
        let http = required("http", self.http.take())?;
        let kind = Endpoint::Token(auth.proof());
        for resource in &self.resources {
            check_resource(resource)?;
        }
        let names = self.params.iter().map(|(name, _)| name.as_str());
        check_names("param", names, own_params)?;
        let beside = |kind, field, url: Option<&String>| -> Result<_, ConfigError> {
            let Some(url) = url else { return Ok(None) };
            let uri = parse_endpoint(field, url, self.plain_http)?;
            let (auth, http) = (Arc::clone(&auth), Arc::clone(&http));
            Ok(Some(TokenEndpoint::new(kind, uri, auth, http)))
        };
        let revocation = beside(Endpoint::Revocation, "revoke_url", self.revoke_url.as_ref())?;
        let device = beside(Endpoint::Device, "device_url", self.device_url.as_ref())?;
        Ok(Settings {
            device,
            #[cfg(feature = "dpop")]
            endpoint: TokenEndpoint::new(kind, uri, auth, http).bound_to(self.dpop.take()),
            #[cfg(not(feature = "dpop"))]
            endpoint: TokenEndpoint::new(kind, uri, auth, http),
            scopes: std::mem::take(&mut self.scopes),
            resources: std::mem::take(&mut self.resources),
            params: std::mem::take(&mut self.params),
            parts: self.parts(revocation)?,
        })
    }
}

impl Settings {
    /// The parameters of a grant, apart from its own.
    pub(in crate::oauth2) fn form(&self, grant_type: &str, scope: Option<&str>) -> Form {
        let mut form = Form::default();
        form.push("grant_type", grant_type);
        self.push_params(&mut form, scope);
        form
    }

    /// What is sent whatever the grant.
    pub(in crate::oauth2) fn push_params(&self, form: &mut Form, scope: Option<&str>) {
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

    /// What is asked for, which a server may leave unsaid in its answer.
    pub(in crate::oauth2) fn scope(&self) -> Option<String> {
        join(&self.scopes)
    }
}

pub(in crate::oauth2) fn required<T>(
    call: &'static str,
    value: Option<T>,
) -> Result<T, ConfigError> {
    value.ok_or_else(|| ConfigError::new(call, format!("is missing: call {call}(..)")))
}

/// RFC 8707 2: an absolute URI without a fragment. `http::Uri` can't tell, it knows no URNs.
fn check_resource(uri: &str) -> Result<(), ConfigError> {
    let has_scheme = uri.split_once(':').is_some_and(|(scheme, rest)| {
        scheme.starts_with(|char: char| char.is_ascii_alphabetic()) && !rest.is_empty()
    });
    if has_scheme
        && uri
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'#')
    {
        return Ok(());
    }
    Err(ConfigError::new(
        "resource",
        "is not an absolute URI without a fragment, such as https://api.example.com/",
    ))
}

fn join(scopes: &[String]) -> Option<String> {
    (!scopes.is_empty()).then(|| scopes.join(" "))
}

/// No parameter goes out twice (RFC 6749 3.1 and 3.2), apart from `resource`.
fn check_names<'a>(
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
            return Err(ConfigError::new(
                field,
                format!(
                    "`{}` is set already, or has a setting of its own",
                    name.escape_debug()
                ),
            ));
        }
        taken.push(name);
    }
    Ok(())
}
