//! The request that spends a refresh token (RFC 6749 section 6).

use super::{endpoint::TokenEndpoint, error::TokenError, form::Form, response::TokenResponse};
use crate::{
    credential::Bearer, error::ProviderError, provider::RefreshContext, secret::Secret,
    store::TokenSet,
};

/// How a grant spends refresh tokens.
#[expect(unnameable_types, reason = "only sealed traits use it")]
#[derive(Debug)]
pub struct RefreshRequest {
    pub(super) endpoint: TokenEndpoint,
    /// All parameters except for the refresh token.
    pub(super) form: Form,
    /// The scopes that the form requests.
    pub(super) scopes: Vec<String>,
    /// Whether an error proves that the refresh token will never work again.
    pub(super) proves_dead: fn(&TokenError) -> bool,
}

impl RefreshRequest {
    /// Fails if the form requests a scope that was not granted (RFC 6749 section 6).
    pub(super) fn check_scopes(&self, tokens: &TokenSet) -> Result<(), ProviderError> {
        let Some(granted) = tokens.scope() else {
            return Ok(());
        };
        let is_granted = |scope: &String| granted.split(' ').any(|granted| granted == scope);
        match self.scopes.iter().find(|scope| !is_granted(scope)) {
            None => Ok(()),
            Some(scope) => Err(ProviderError::permanent(format!(
                "the scope `{}` was not granted at login, and a refresh cannot add it: remove it \
                 from scopes(..), or log in with it",
                scope.escape_debug()
            ))),
        }
    }

    /// Spends the refresh token of `tokens`.
    pub(super) async fn send(
        &self,
        tokens: &TokenSet,
        context: &RefreshContext<Bearer>,
    ) -> Result<TokenResponse, TokenError> {
        let token = Secret::new(tokens.expose_refresh_token().unwrap_or_default());
        let mut form = self.form.clone();
        form.push_secret("refresh_token", &token);
        let mut response = self.endpoint.exchange_once(&form, context).await?;
        if response.scope.is_none() && !self.scopes.is_empty() {
            response.scope = Some(self.scopes.join(" "));
        }
        Ok(response)
    }
}

/// Returns whether an error proves a refresh token dead at a standard token endpoint (RFC 6749
/// section 5.2).
pub(super) fn is_invalid_grant(error: &TokenError) -> bool {
    error.code() == Some("invalid_grant") && !error.is_transient()
}
