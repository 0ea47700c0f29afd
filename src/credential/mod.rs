//! Credentials, and how each is attached to a request.
//!
//! Most programs use one of the types in this module. [`Bearer`], [`Basic`] and [`ApiKey`] are also
//! their own [`Provider`](crate::Provider), for credentials that never change. Implement
//! [`Credential`] for anything else that goes into the head of a request, such as a signature over
//! its method and URI.
//!
//! ```
//! use tower_auth::{AuthLayer, Origins, credential::Bearer};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let token = Bearer::new("test-08/12/2024-01/01/2025-xxxx")?;
//! let layer = AuthLayer::new(token, Origins::only("https://api.example.com")?);
//! # let _ = layer; Ok(()) }
//! ```

mod api_key;
mod basic;
mod bearer;
mod credential_header;
#[cfg(feature = "digest")]
mod digest;
mod request_head;
mod request_head_mut;
mod response_head;

#[cfg(test)]
mod tests;

use http::header::AUTHORIZATION;

#[cfg(feature = "oauth2")]
pub(crate) use self::basic::basic_value;
#[cfg(any(feature = "command", feature = "file", feature = "oauth2"))]
pub(crate) use self::credential_header::parse_name;
#[cfg(feature = "dpop")]
pub(crate) use self::credential_header::{header_value, unshared_value};
#[cfg(feature = "digest")]
pub use self::digest::Digest;
pub use self::{
    api_key::ApiKey, basic::Basic, bearer::Bearer, request_head::RequestHead,
    request_head_mut::RequestHeadMut, response_head::ResponseHead,
};
pub(crate) use self::{request_head::AnyRequestHead, response_head::SentHead};
use crate::error::BoxError;

/// A value that authenticates requests.
///
/// A credential works only on the head of a request, never on its body, so it supports every client
/// and every body type. Neither its `Debug` nor the errors of [`apply`](Self::apply) may show a
/// secret.
pub trait Credential: Clone + Send + Sync + 'static {
    /// Whether [`on_response`](Self::on_response) may ask for a retry. If so, every request is
    /// copied before it is sent.
    const HANDLES_CHALLENGES: bool = false;

    /// Attaches the credential to the head of a request. The layer calls this before every attempt,
    /// so a retry gets its own signature.
    ///
    /// Use [`RequestHeadMut::insert_header`] or [`RequestHeadMut::insert_query`]. They respect the
    /// layer's setting for requests that already carry a credential.
    ///
    /// # Errors
    /// The request is not sent, and the caller gets an [`Error`](crate::Error) whose source is this
    /// error.
    fn apply(&self, request: &mut RequestHeadMut<'_>) -> Result<(), BoxError>;

    /// Returns whether the request already carries a credential where this one would go.
    ///
    /// The layer calls this before a request has to wait for a credential, because a request that
    /// has its own credential need not wait. `current` is the last known credential, or `None`
    /// before the first one is issued. In that case, return `false` if the place depends on the
    /// credential.
    ///
    /// Default: returns whether the request has an `Authorization` header.
    fn is_attached(current: Option<&Self>, request: &RequestHead<'_>) -> bool {
        let _ = current;
        request.headers().contains_key(AUTHORIZATION)
    }

    /// Returns whether the server cannot tell the two credentials apart. If a refresh returns the
    /// rejected credential again, the request is not retried.
    fn is_same(&self, other: &Self) -> bool;

    /// Inspects the head of each response to a request that carried this credential. Returns
    /// whether to send the request again with the same credential, because it has learned something
    /// from the response, such as a DPoP nonce or a Digest challenge.
    ///
    /// Set [`HANDLES_CHALLENGES`](Self::HANDLES_CHALLENGES) as well. There is at most one such
    /// retry per request and credential. State that this method stores must be shared by all clones
    /// of the credential. Default: `false`.
    fn on_response(&self, response: &ResponseHead<'_>) -> bool {
        let _ = response;
        false
    }

    /// Returns a copy that shares no reference-counted memory with this one. Each long-lived
    /// service keeps one, because cores that update the same reference count slow each other down.
    /// Default: `clone()`.
    #[doc(hidden)]
    #[must_use]
    fn unshared(&self) -> Self {
        self.clone()
    }
}
