//! Redirects that reqwest follows, and those that it must not.

use reqwest::redirect::Policy;

use super::service::ReqwestService;

/// A redirect policy for API clients: redirects within an origin are followed, as many as reqwest
/// follows by default, and one that leads to another origin (another scheme, host or port) is handed to the caller as the
/// response that it is. So no header of a request reaches a host that it was not meant for: what is
/// wrong with the default is said [here](super#redirects).
///
/// ```
/// # fn main() -> Result<(), reqwest::Error> {
/// let client = reqwest::Client::builder()
///     .redirect(tower_auth::reqwest::same_origin_redirects())
///     .build()?;
/// # let _ = client; Ok(()) }
/// ```
#[must_use]
pub fn same_origin_redirects() -> Policy {
    Policy::custom(|attempt| {
        let next = attempt.url().origin();
        // Every hop so far stayed within the origin of the first.
        if attempt.previous().iter().all(|url| url.origin() == next) {
            Policy::default().redirect(attempt)
        } else {
            attempt.stop()
        }
    })
}

/// A client for the token requests of a provider (its `.http(..)`): it follows no redirects, which
/// would take the secrets along. Give it a builder of its own, so that it has a connection pool
/// of its own.
///
/// ```
/// use tower_auth::{reqwest::token_client, oauth2::ClientCredentials};
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
