//! The traits that grants implement, all of them sealed.

use super::authorization::AuthorizationSettings;
use crate::credential::Bearer;

/// A way for a [`TokenProvider`](super::TokenProvider) to get tokens. Sealed.
pub trait Grant: sealed::Grant {}
impl<G: sealed::Grant> Grant for G {}

/// A grant or login at a standard authorization server (RFC 6749), where clients have IDs and
/// tokens have scopes. Sealed.
pub trait StandardGrant: sealed::Configurable {}

/// A grant or login that sends requests to the token endpoint (RFC 6749 section 3.2). Sealed.
pub trait TokenEndpointGrant: StandardGrant {}

/// A login that sends the user's browser to the authorization endpoint (RFC 6749 section 3.1).
/// Sealed.
pub trait BrowserGrant:
    StandardGrant + sealed::Configurable<Settings = AuthorizationSettings>
{
}

/// The form in which requests carry the access tokens of a
/// [`TokenProvider`](super::TokenProvider): [`Bearer`], or `DpopToken` (feature `dpop`). Sealed.
pub trait AccessToken: sealed::AccessToken {}
impl AccessToken for Bearer {}
#[cfg(feature = "dpop")]
impl AccessToken for super::dpop::DpopToken {}

pub(in crate::oauth2) mod sealed {
    use std::{fmt, future::Future};

    use http::HeaderName;

    use crate::{
        challenge::StepUp,
        credential::{Bearer, Credential},
        error::{ConfigError, ProviderError},
        oauth2::{
            client::ClientSettings, discovery::ServerMetadata, endpoint::TokenEndpoint,
            login_required::LoginRequired, refresh_request::RefreshRequest,
            response::TokenResponse,
        },
        provider::RefreshContext,
    };

    /// A grant or login that a [`Builder`](crate::oauth2::Builder) can build.
    #[expect(unnameable_types, reason = "it seals the traits above")]
    pub trait Configurable: Sized {
        /// The settings that are specific to this grant.
        #[doc(hidden)]
        type Settings: Default;

        /// Returns the settings that a server's metadata determines.
        #[doc(hidden)]
        fn described_by(_: &ServerMetadata) -> Self::Settings {
            Self::Settings::default()
        }
    }

    /// A grant that a [`TokenProvider`](crate::oauth2::TokenProvider) can use.
    #[expect(unnameable_types, reason = "it seals the traits above")]
    pub trait Grant: Configurable + fmt::Debug + Send + Sync + 'static {
        /// Checks all settings, and builds the grant. Also returns the endpoint that revokes the
        /// grant's tokens, if there is one.
        #[doc(hidden)]
        fn build(
            client: ClientSettings,
            settings: Self::Settings,
        ) -> Result<(Self, Option<TokenEndpoint>), ConfigError>;

        /// Returns how the grant spends refresh tokens, or `None` if it does not use them.
        #[doc(hidden)]
        fn refresh(&self) -> Option<&RefreshRequest> {
            None
        }

        /// Gets tokens without a refresh token, because there is none or the server refused it.
        #[doc(hidden)]
        fn log_in(
            &self,
            refused: Option<LoginRequired>,
            context: &RefreshContext<Bearer>,
        ) -> impl Future<Output = Result<TokenResponse, ProviderError>> + Send;

        /// Returns whether the next tokens must come from a login, not from existing tokens.
        #[doc(hidden)]
        fn must_log_in(&self) -> bool {
            false
        }

        /// Returns whether the grant depends on tokens that a new provider could not get again.
        #[doc(hidden)]
        fn depends_on_tokens(&self) -> bool {
            self.refresh().is_some()
        }

        /// Returns whether requesting more scopes could satisfy the API. See
        /// [`Provider::can_step_up`](crate::Provider::can_step_up).
        #[doc(hidden)]
        fn can_step_up(&self, _: &StepUp) -> bool {
            false
        }
    }

    /// A credential made from an access token.
    #[expect(unnameable_types, reason = "it seals the traits above")]
    pub trait AccessToken: Credential {
        /// The settings that turn an access token into this credential.
        #[doc(hidden)]
        type Binding: Clone + Send + Sync + 'static;

        #[doc(hidden)]
        fn bind(token: Bearer, binding: &Self::Binding) -> Result<Self, ConfigError>;

        #[doc(hidden)]
        fn into_bearer(self) -> Bearer;
    }

    impl AccessToken for Bearer {
        /// The header to use instead of `Authorization`.
        type Binding = Option<HeaderName>;

        fn bind(token: Bearer, header: &Self::Binding) -> Result<Self, ConfigError> {
            match header {
                Some(name) => token.header_name(name.clone()),
                None => Ok(token),
            }
        }

        fn into_bearer(self) -> Bearer {
            self
        }
    }
}
