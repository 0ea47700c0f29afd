//! The settings for clients at a standard authorization server.

use super::settings::Builder;
use crate::{
    oauth2::{
        authorization::ExpectedIssuer,
        client_auth::{ClientAuthMode, SecretPlace},
        grant::{AccessToken, BrowserGrant, StandardGrant, TokenEndpointGrant},
    },
    secret::Secret,
};

impl<G: StandardGrant, C: AccessToken> Builder<G, C> {
    /// Sets the client's ID.
    pub fn client_id(mut self, id: impl Into<String>) -> Self {
        self.client.id = Some(id.into());
        self
    }

    /// Requests scopes (RFC 6749 section 3.3), in addition to those of earlier calls. Default:
    /// none, so the server decides. Request only what you need.
    pub fn scopes(mut self, scopes: impl IntoIterator<Item: Into<String>>) -> Self {
        self.client
            .scopes
            .extend(scopes.into_iter().map(Into::into));
        self
    }

    /// Adds a resource that the token is for, as an absolute URI (RFC 8707), in addition to those
    /// of earlier calls. Default: none.
    pub fn resource(mut self, uri: impl Into<String>) -> Self {
        self.client.resources.push(uri.into());
        self
    }

    /// Allows plain http endpoints on other machines. Everyone on the network path can read the
    /// client secret and the tokens. Default: such endpoints are refused.
    pub fn danger_plain_http(mut self) -> Self {
        self.client.plain_http = true;
        self
    }
}

impl<G: TokenEndpointGrant, C: AccessToken> Builder<G, C> {
    /// Sets the client's secret.
    pub fn client_secret(mut self, secret: impl Into<String>) -> Self {
        self.client.secret = Some(Secret::new(secret));
        self
    }

    /// Adds a parameter to token requests, such as the `audience` that some servers require. The
    /// value is treated as a secret. Default: none.
    pub fn param(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.client.params.push((name.into(), Secret::new(value)));
        self
    }

    /// Sends the client's ID and secret with HTTP Basic, percent-encoded first, as RFC 6749 section
    /// 2.3.1 requires. This is the default, unless the server's metadata lists only
    /// [`client_secret_post`](Self::client_secret_post).
    pub fn client_secret_basic(self) -> Self {
        self.secret_in(SecretPlace::Basic)
    }

    /// Sends the client's ID and secret with HTTP Basic, but without encoding them, as many servers
    /// expect. For IDs and secrets that consist only of ASCII letters, digits and `-._~`, the
    /// result is the same as with [`client_secret_basic`](Self::client_secret_basic).
    pub fn client_secret_basic_unencoded(self) -> Self {
        self.secret_in(SecretPlace::UnencodedBasic)
    }

    /// Sends the client's ID and secret as body parameters. RFC 6749 section 2.3.1 recommends
    /// [`client_secret_basic`](Self::client_secret_basic). A client without a secret always sends
    /// its ID in the body.
    pub fn client_secret_post(self) -> Self {
        self.secret_in(SecretPlace::Body)
    }

    fn secret_in(mut self, place: SecretPlace) -> Self {
        self.client.auth = ClientAuthMode::Secret(place);
        self
    }

    /// Authenticates the client with the certificate of its connection (mutual TLS, RFC 8705),
    /// instead of a [`client_secret`](Self::client_secret). The [`http`](Self::http) service must
    /// present the certificate. Requests contain only the [`client_id`](Self::client_id).
    ///
    /// If the server was discovered and has separate endpoints for such clients
    /// (`mtls_endpoint_aliases`), those endpoints are used. The server may bind the tokens to the
    /// certificate. In that case, the API also requires the certificate, so use the same TLS client
    /// for both.
    pub fn tls_client_auth(mut self) -> Self {
        self.client.auth = ClientAuthMode::Certificate;
        self
    }

    /// Revokes the tokens at this endpoint on [logout](crate::Handle::log_out): first the refresh
    /// token, then the access token (RFC 7009). Default: the tokens are only deleted, and remain
    /// valid until they expire.
    pub fn revoke_url(mut self, url: impl Into<String>) -> Self {
        self.client.revocation_url = Some(url.into());
        self.client.mtls_aliases.revocation = None;
        self
    }
}

#[cfg(feature = "dpop")]
impl<G: TokenEndpointGrant> Builder<G> {
    /// Binds the tokens to this key (DPoP, RFC 9449), so that `build()` returns a provider of
    /// [`DpopToken`](crate::oauth2::DpopToken)s. Requires the `dpop` feature. Default: the tokens
    /// are not bound.
    ///
    /// Token requests carry proofs, and a request is sent once more if the server asks for a nonce
    /// (`use_dpop_nonce`). A token that the server has not bound (a `token_type` other than `DPoP`)
    /// is refused. Bound tokens are sent in `Authorization`, so [`header_name`](Self::header_name)
    /// must not be set.
    ///
    /// The provider of a login's `session()` uses the same key.
    pub fn dpop(mut self, key: crate::oauth2::DpopKey) -> Builder<G, crate::oauth2::DpopToken> {
        self.client.dpop = Some(key.clone());
        let binding = match self.binding {
            Ok(None) => Ok(key),
            Ok(Some(_)) => Err(crate::ConfigError::new(
                "header_name",
                "cannot be combined with dpop(..), whose tokens are sent in Authorization",
            )),
            Err(error) => Err(error),
        };
        Builder {
            client: self.client,
            session: self.session,
            binding,
            grant: self.grant,
        }
    }
}

impl<G: BrowserGrant, C: AccessToken> Builder<G, C> {
    /// Adds a parameter to the URL that the browser is sent to, such as the `prompt` or
    /// `access_type` that some servers support. The user can see the parameter, so it must not
    /// contain a secret. Default: none.
    pub fn authorization_param(
        mut self,
        name: impl Into<String>,
        value: impl Into<String>,
    ) -> Self {
        self.grant.params.push((name.into(), value.into()));
        self
    }

    /// Refuses authorization responses that do not name this issuer (`iss`, RFC 9207), compared
    /// character by character. A client of more than one authorization server needs this, or a
    /// separate redirect URI for each server (RFC 9700 section 4.4). Default: the issuer is checked
    /// as [`ServerMetadata`](crate::oauth2::ServerMetadata) declares; without metadata, it is not
    /// checked.
    pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
        self.grant.issuer = Some(ExpectedIssuer {
            url: issuer.into(),
            is_required: true,
        });
        self
    }
}
