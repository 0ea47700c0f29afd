//! Providers whose tokens are bound to a key.

use super::{DpopKey, DpopToken};
use crate::{
    challenge::StepUp,
    credential::Bearer,
    error::{ConfigError, ProviderError},
    oauth2::{
        builder::{Builder, StandardGrant, required},
        client_credentials::ClientCredentials,
        password_grant::PasswordGrant,
        refresh_token::RefreshTokenGrant,
    },
    provider::{Issued, Provider, RefreshContext, RevokeContext},
};

/// A provider whose tokens are bound to a key (DPoP, RFC 9449), made by
/// [`build_dpop`](Builder::build_dpop).
///
/// ```
/// # use tower::service_fn;
/// # use bytes::Bytes;
/// # use http_body_util::Full;
/// use tower_auth::{AuthLayer, BoxError, Origins, oauth2::{ClientCredentials, DpopKey}};
///
/// # fn main() -> Result<(), BoxError> {
/// # let client = service_fn(|_: http::Request<Full<Bytes>>| async {
/// #     Ok::<_, std::io::Error>(http::Response::new(Full::<Bytes>::default()))
/// # });
/// let tokens = ClientCredentials::builder("https://login.example.com/token")
///     .client_id("my-service")
///     .client_secret("hidden")
///     .http(client)
///     .dpop(DpopKey::generate()?)
///     .build_dpop()?;
/// let layer = AuthLayer::new(tokens, Origins::only("https://api.example.com")?);
/// # let _ = layer; Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Dpop<P> {
    provider: P,
    key: DpopKey,
}

impl<P> Dpop<P> {
    /// The provider of the tokens themselves, for what it has besides: `replace_tokens`, `save_error`.
    #[must_use]
    pub fn get_ref(&self) -> &P {
        &self.provider
    }
}

impl<P: Provider<Credential = Bearer>> Provider for Dpop<P> {
    type Credential = DpopToken;

    async fn issue(
        &self,
        context: RefreshContext<DpopToken>,
    ) -> Result<Issued<DpopToken>, ProviderError> {
        let issued = self.provider.issue(context.map(DpopToken::into_token));
        let bind = |token| DpopToken::new(token, self.key.clone());
        issued
            .await?
            .try_map(bind)
            .map_err(ProviderError::permanent)
    }

    fn initial(&self) -> Option<Issued<DpopToken>> {
        let bind = |token| DpopToken::new(token, self.key.clone());
        self.provider.initial()?.try_map(bind).ok()
    }

    fn is_restorable(&self) -> bool {
        self.provider.is_restorable()
    }

    fn can_step_up(&self, wanted: &StepUp) -> bool {
        self.provider.can_step_up(wanted)
    }

    async fn revoke(&self, context: RevokeContext<DpopToken>) -> Result<(), ProviderError> {
        self.provider
            .revoke(context.map(DpopToken::into_token))
            .await
    }
}

/// With the feature `dpop`.
impl<P: StandardGrant> Builder<P> {
    /// Binds the tokens to this key (DPoP, RFC 9449): token requests carry proofs, a token server's
    /// `use_dpop_nonce` is followed once for each request, and a token that the server has not bound
    /// (`token_type` other than `DPoP`) is refused. Default: tokens are not bound.
    ///
    /// A provider is then made with [`build_dpop`](Self::build_dpop); a log-in with `build()`, and its
    /// `session()` has the same key.
    pub fn dpop(mut self, key: DpopKey) -> Self {
        self.dpop = Some(key);
        self
    }
}

macro_rules! builds_bound {
    ($($provider:ty),*) => {$(
        /// With the feature `dpop`.
        impl Builder<$provider> {
            /// Makes the provider whose tokens are bound to the key of [`dpop`](Self::dpop).
            ///
            /// # Errors
            /// There is no such key, the token is to be sent in another header than `Authorization`, or as for
            /// `build()`.
            pub fn build_dpop(self) -> Result<Dpop<$provider>, ConfigError> {
                if self.header.is_some() {
                    let problem = "is not for tokens that are bound to a key: they go into Authorization";
                    return Err(ConfigError::new("header_name", problem));
                }
                let key = required("dpop", self.dpop.clone())?;
                let provider = self.make()?;
                Ok(Dpop { provider, key })
            }
        }
    )*};
}

builds_bound!(ClientCredentials, PasswordGrant, RefreshTokenGrant);
