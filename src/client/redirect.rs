//! Redirects that reqwest follows, and those that it must not.

use reqwest::redirect::Policy;

use super::reqwest::ReqwestService;

/// How many redirects reqwest follows by default too.
const MOST: usize = 10;

/// A redirect policy for API clients: redirects within an origin are followed, ten at most, and
/// one that leads to another origin (another scheme, host or port) is handed to the caller as the
/// response that it is. So no header of a request reaches a host that it was not meant for.
///
/// ```
/// # fn main() -> Result<(), reqwest::Error> {
/// let client = reqwest::Client::builder()
///     .redirect(tower_auth::client::same_origin_redirects())
///     .build()?;
/// # let _ = client; Ok(()) }
/// ```
#[must_use]
pub fn same_origin_redirects() -> Policy {
    Policy::custom(|attempt| {
        let is_same = attempt
            .previous()
            .last()
            .is_some_and(|from| from.origin() == attempt.url().origin());
        if !is_same {
            attempt.stop()
        } else if attempt.previous().len() > MOST {
            attempt.error("too many redirects")
        } else {
            attempt.follow()
        }
    })
}

/// A client for the token requests of a provider (its `.http(..)`): it follows no redirects, which
/// would take the secrets along. Give it a builder of its own, so that it has a connection pool
/// of its own.
///
/// ```
/// use tower_auth::{client::token_client, oauth2::ClientCredentials};
///
/// # fn main() -> Result<(), tower_auth::BoxError> {
/// let provider = ClientCredentials::builder("https://login.example.com/oauth/token")
///     .client_id("my-service")
///     .client_secret("secret")
///     .http(token_client(reqwest::Client::builder())?)
///     .build()?;
/// # let _ = provider; Ok(()) }
/// ```
///
/// # Errors
/// The builder's: the TLS backend cannot be initialized.
pub fn token_client(builder: reqwest::ClientBuilder) -> Result<ReqwestService, reqwest::Error> {
    builder
        .redirect(Policy::none())
        .build()
        .map(ReqwestService::new)
}
