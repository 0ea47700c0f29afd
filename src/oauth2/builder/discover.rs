//! Builders that start with a server's metadata.

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::Full;
use tower_service::Service;

use super::settings::Builder;
use crate::{
    error::BoxError,
    oauth2::{
        AuthorizationCode, ClientCredentials, DeviceCode, JwtBearer, PasswordGrant,
        RefreshTokenGrant, TokenExchange,
        discovery::{DiscoveryError, ServerMetadata},
        grant::StandardGrant,
    },
};

impl ServerMetadata {
    /// Creates a builder for a grant or a login at this server.
    pub fn builder<G: StandardGrant>(&self) -> Builder<G> {
        Builder::described_by(self, &self.http)
    }
}

macro_rules! discoverable {
    ($($grant:ty),+) => {$(
        impl $grant {
            /// Creates a builder from the metadata that the issuer's server publishes: its
            /// endpoints and its client authentication method. The HTTP service also sends the
            /// token requests. See [`ServerMetadata`].
            ///
            /// # Errors
            /// Returns the same errors as [`ServerMetadata::fetch`].
            pub async fn discover<S, R>(
                issuer: impl Into<String>,
                http: S,
            ) -> Result<Builder<Self>, DiscoveryError>
            where
                S: Service<Request<Full<Bytes>>, Response = Response<R>> + Clone + Send + 'static,
                S::Future: Send + 'static,
                S::Error: Into<BoxError>,
                R: Body + Send + 'static,
                R::Error: Into<BoxError>,
            {
                Ok(ServerMetadata::fetch(issuer, http).await?.builder())
            }
        }
    )+};
}

#[cfg(feature = "implicit")]
discoverable!(crate::oauth2::Implicit);
discoverable!(
    AuthorizationCode,
    ClientCredentials,
    DeviceCode,
    JwtBearer,
    PasswordGrant,
    RefreshTokenGrant,
    TokenExchange
);
