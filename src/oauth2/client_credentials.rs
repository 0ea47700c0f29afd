//! The client credentials grant (RFC 6749 section 4.4).

use std::sync::Mutex;

use super::{
    builder::Builder,
    client::ClientSettings,
    endpoint::TokenEndpoint,
    form::Form,
    grant::{AccessToken, StandardGrant, TokenEndpointGrant, sealed},
    login_required::LoginRequired,
    response::TokenResponse,
};
use crate::{
    challenge::StepUp,
    credential::Bearer,
    error::{ConfigError, ProviderError},
    provider::{Reason, RefreshContext},
    sync::lock,
};

/// The client credentials grant (RFC 6749 section 4.4), for a program that acts on its own behalf.
///
/// See the [module's example](super). Server errors are reported as a
/// [`TokenError`](super::TokenError).
///
/// A token lasts as long as the server declares in `expires_in`, up to ten years. If the server
/// does not declare a lifetime, the token lasts until it is rejected, or for the layer's
/// [`default_lifetime`](crate::RefreshSettings::default_lifetime).
///
/// With a [store](Builder::store), many processes share one token. This is necessary if the server
/// revokes a client's previous token when it issues the next one.
#[derive(Debug)]
pub struct ClientCredentials {
    endpoint: TokenEndpoint,
    /// All parameters except for the scope.
    form: Form,
    scopes: Scopes,
}

impl ClientCredentials {
    /// Creates a builder from the URL of the token endpoint, which must be https or on this
    /// machine. The client's ID and secret (or another way to authenticate) and the HTTP service
    /// are required.
    pub fn builder(token_url: impl Into<String>) -> Builder<Self> {
        Builder::new(token_url, Vec::new())
    }
}

impl<C: AccessToken> Builder<ClientCredentials, C> {
    /// Sets scopes that are requested only after an API requires them (`insufficient_scope`, RFC
    /// 6750 section 3.1), in addition to those of earlier calls. The refused request is then sent
    /// again with a token that has them, and all later tokens have them too. Default: none.
    ///
    /// An API cannot make the client request any other scope: only those named here or in
    /// [`scopes`](Self::scopes) are ever requested.
    pub fn step_up_scopes(mut self, scopes: impl IntoIterator<Item: Into<String>>) -> Self {
        self.grant.extend(scopes.into_iter().map(Into::into));
        self
    }
}

impl StandardGrant for ClientCredentials {}
impl TokenEndpointGrant for ClientCredentials {}

impl sealed::Configurable for ClientCredentials {
    /// The step-up scopes.
    type Settings = Vec<String>;
}

impl sealed::Grant for ClientCredentials {
    fn build(
        client: ClientSettings,
        step_up_scopes: Vec<String>,
    ) -> Result<(Self, Option<TokenEndpoint>), ConfigError> {
        client.require_authentication()?;
        let client = client.build(&[])?;
        let grant = Self {
            form: client.form("client_credentials", None),
            endpoint: client.endpoint,
            scopes: Scopes::new(client.scopes, step_up_scopes),
        };
        Ok((grant, client.revocation))
    }

    async fn log_in(
        &self,
        _: Option<LoginRequired>,
        context: &RefreshContext<Bearer>,
    ) -> Result<TokenResponse, ProviderError> {
        let wanted = match context.reason() {
            Reason::StepUp => StepUp::from_challenges(context.challenges()),
            _ => None,
        };
        let added = self.scopes.with(wanted.as_ref());
        let scope = self.scopes.parameter(&added);
        let mut form = self.form.clone();
        if let Some(scope) = &scope {
            form.push("scope", scope);
        }
        let mut response = self.endpoint.exchange(&form).await?;
        // Scopes are kept only now: those that the server does not grant must not break later
        // requests.
        self.scopes.keep(added);
        // The next token is requested like the first one, without a refresh token (RFC 6749 section
        // 4.4.3).
        response.refresh_token = None;
        response.scope = response.scope.or(scope);
        Ok(response)
    }

    fn can_step_up(&self, wanted: &StepUp) -> bool {
        self.scopes.can_satisfy(wanted)
    }
}

/// The scopes that a client always requests, and those that it requests only after an API has
/// required them.
#[derive(Debug)]
struct Scopes {
    always: Vec<String>,
    step_up: Vec<String>,
    /// The step-up scopes that were required and granted.
    added: Mutex<Vec<String>>,
}

impl Scopes {
    fn new(always: Vec<String>, step_up: Vec<String>) -> Self {
        Self {
            always,
            step_up,
            added: Mutex::default(),
        }
    }

    /// Returns whether requesting more scopes could satisfy the API. This is not the case if the
    /// API names no scope, or names a scope that is not among the client's.
    fn can_satisfy(&self, wanted: &StepUp) -> bool {
        let known = |scope: &str| {
            let mut known = self.always.iter().chain(&self.step_up);
            known.any(|known| known == scope)
        };
        wanted.scopes().next().is_some() && wanted.scopes().all(known)
    }

    /// Returns the step-up scopes added so far, and those that are required now.
    fn with(&self, wanted: Option<&StepUp>) -> Vec<String> {
        let mut added = lock(&self.added).clone();
        let wanted = wanted.into_iter().flat_map(StepUp::scopes);
        for scope in wanted.filter(|scope| self.step_up.iter().any(|known| known == scope)) {
            if !added.iter().any(|known| known == scope) {
                added.push(scope.to_owned());
            }
        }
        added
    }

    /// Returns the `scope` parameter of a token request that also requests these step-up scopes.
    fn parameter(&self, added: &[String]) -> Option<String> {
        let all: Vec<&str> = self
            .always
            .iter()
            .chain(added)
            .map(String::as_str)
            .collect();
        (!all.is_empty()).then(|| all.join(" "))
    }

    /// Remembers these step-up scopes, so that all later requests include them.
    fn keep(&self, added: Vec<String>) {
        *lock(&self.added) = added;
    }
}
