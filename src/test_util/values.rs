//! The values that a layer passes to a `Provider` and a `Credential`.

use std::{sync::Arc, time::Duration};

use http::{Request, Response};
use tokio::time::Instant;

use crate::{
    credential::ResponseHead,
    provider::{Reason, RefreshContext, RefreshControl, RevokeContext},
};

/// Creates the argument of [`Provider::issue`](crate::Provider::issue), for testing a provider
/// without a layer.
///
/// The context has no previous credential, no challenges and a deadline in 10 s. Its methods
/// [`with_previous`](RefreshContext::with_previous),
/// [`with_challenges`](RefreshContext::with_challenges) and
/// [`with_deadline`](RefreshContext::with_deadline) change these defaults.
///
/// ```
/// use tower_auth::{
///     Challenge, Issued, Provider, credential::Bearer, provider::Reason, provider_fn,
///     test_util::refresh_context,
/// };
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), tower_auth::BoxError> {
/// let provider = provider_fn(|context: tower_auth::RefreshContext<Bearer>| async move {
///     let is_admin = context.challenges().iter().any(|it| it.param("scope") == Some("admin"));
///     Ok(Issued::new(Bearer::new(if is_admin { "admin" } else { "user" }).unwrap()))
/// });
/// let context = refresh_context(Reason::StepUp)
///     .with_previous(Bearer::new("user")?)
///     .with_challenges(Challenge::parse(r#"Bearer scope="admin""#));
/// assert_eq!(provider.issue(context).await?.credential().expose(), "admin");
/// # Ok(()) }
/// ```
#[must_use]
pub fn refresh_context<C>(reason: Reason) -> RefreshContext<C> {
    let deadline = Instant::now() + Duration::from_secs(10);
    let control = Arc::new(RefreshControl::new(deadline));
    RefreshContext::new(reason, None, Vec::new(), control)
}

/// Creates the argument of [`Provider::revoke`](crate::Provider::revoke), for testing a provider
/// without a layer.
///
/// ```
/// use tower_auth::{credential::Bearer, test_util::revoke_context};
///
/// # fn main() -> Result<(), tower_auth::ConfigError> {
/// let context = revoke_context([Bearer::new("token")?]);
/// assert_eq!(context.credentials().len(), 1);
/// # Ok(()) }
/// ```
#[must_use]
pub fn revoke_context<C>(credentials: impl Into<Vec<C>>) -> RevokeContext<C> {
    RevokeContext::new(credentials.into())
}

/// Creates the response head that a [`Credential`](crate::Credential) receives. Use it to test,
/// without a layer, a credential that handles challenges.
///
/// `request` is the request that was sent, with the credential attached. To attach it, create the
/// argument of [`Credential::apply`](crate::Credential::apply) with
/// [`RequestHeadMut::new`](crate::credential::RequestHeadMut::new).
///
/// ```
/// use tower_auth::test_util::response_head;
///
/// # fn main() -> Result<(), http::Error> {
/// let request = http::Request::get("https://api.example.com/things").body(())?;
/// let response = http::Response::builder().status(401).body(())?;
/// let head = response_head(&request, &response);
/// assert_eq!((head.status().as_u16(), head.uri().path()), (401, "/things"));
/// # Ok(()) }
/// ```
#[must_use]
pub fn response_head<'a, A, B>(
    request: &'a Request<A>,
    response: &'a Response<B>,
) -> ResponseHead<'a> {
    ResponseHead::of(request, response)
}
