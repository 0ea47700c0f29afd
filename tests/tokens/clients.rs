//! The providers under test, with the settings that most tests share.

use tower_auth::{
    Error,
    oauth2::{
        Builder, ClientCredentials, LoginRequired, PasswordLogin, RefreshTokenGrant, TokenError,
    },
    store::{StoreError, StoreKey},
};

use crate::server::{LOGIN_URL, REFRESH_URL, Server, TOKEN_URL};

/// A public client.
pub(crate) fn refresh_token(server: &Server) -> Builder<RefreshTokenGrant> {
    RefreshTokenGrant::builder(TOKEN_URL)
        .client_id("app")
        .http(server.client())
}

/// The same client, with the refresh token that the server knows from the start.
pub(crate) fn with_initial_token(server: &Server) -> Builder<RefreshTokenGrant> {
    refresh_token(server).refresh_token("r0")
}

pub(crate) fn password_login(server: &Server) -> Builder<PasswordLogin> {
    PasswordLogin::builder(LOGIN_URL, REFRESH_URL)
        .credentials("alice", "p4ss")
        .http(server.client())
}

pub(crate) fn client_credentials(server: &Server) -> Builder<ClientCredentials> {
    ClientCredentials::builder(TOKEN_URL)
        .client_id("machine")
        .client_secret("hidden")
        .http(server.client())
}

pub(crate) fn key() -> StoreKey {
    StoreKey::issuer(TOKEN_URL).client("app").subject("alice")
}

/// Returns the reason that the provider failed, if it has this type.
pub(crate) fn reason<E: std::error::Error + 'static>(error: &Error) -> Option<&E> {
    error.provider_error()?.get_ref().downcast_ref()
}

pub(crate) fn login(error: &Error) -> &LoginRequired {
    assert!(error.is_login_required(), "{error:#}");
    reason(error).expect("a LoginRequired")
}

pub(crate) fn token_error(error: &Error) -> &TokenError {
    reason(error).expect("a TokenError")
}

pub(crate) fn store_error(error: &Error) -> &StoreError {
    reason(error).expect("a StoreError")
}
