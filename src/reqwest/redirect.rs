//! Redirect policies for reqwest clients that send credentials.

use reqwest::redirect::Policy;

use super::service::ReqwestService;

/// Returns a redirect policy for API clients that follows redirects only within an origin.
///
/// It follows as many redirects as reqwest does by default. A redirect to another origin (another
/// scheme, host or port) is returned to the caller as the response. Therefore, request headers
/// cannot reach an unintended host. The [module docs](super#redirects) explain why reqwest's
/// default is not safe.
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
        // Every hop so far stayed within the origin of the first request.
        if attempt.previous().iter().all(|url| url.origin() == next) {
            Policy::default().redirect(attempt)
        } else {
            attempt.stop()
        }
    })
}

/// Creates a client for a provider's token requests. Pass it to `http` on the provider's builder.
///
/// The client does not follow redirects, because they would forward the secrets. Use a separate
/// builder, so that token requests have a separate connection pool.
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
/// Returns the builder's error, for example if the TLS backend cannot be initialized.
pub fn token_client(builder: reqwest::ClientBuilder) -> Result<ReqwestService, reqwest::Error> {
    builder
        .redirect(Policy::none())
        .build()
        .map(ReqwestService::new)
}
