//! Credentials: what is put on a request.
//!
//! Most programs use one of the three here: [`Bearer`], [`Basic`] or [`ApiKey`]. Each is also a
//! [`Provider`](crate::Provider) of itself, for credentials that never change. Implement
//! [`Credential`] for anything else that goes on the head of a request, such as a signature over
//! method and URI.
//!
//! ```
//! use tower_auth::{AuthLayer, Origins, credential::Bearer};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let token = Bearer::new("test-08/12/2024-01/01/2025-xxxx")?;
//! let layer = AuthLayer::new(token, Origins::only("https://api.example.com")?);
//! # let _ = layer; Ok(()) }
//! ```

mod answered;
mod api_key;
mod basic;
mod bearer;
#[cfg(feature = "digest")]
mod digest;
mod outgoing;

#[cfg(test)]
mod tests;

use http::{HeaderName, header::AUTHORIZATION};

#[cfg(feature = "oauth2")]
pub(crate) use self::basic::basic_value;
#[cfg(feature = "digest")]
pub use self::digest::Digest;
pub use self::{
    answered::ResponseHead, api_key::ApiKey, basic::Basic, bearer::Bearer, outgoing::RequestHeadMut,
};
pub(crate) use self::{answered::SentHead, outgoing::AnyRequestHead};
use crate::error::{BoxError, ConfigError};

/// What is put on a request, and how.
///
/// A credential works on the head of a request only, never on its body, so that one credential
/// serves every client and every body. It must show no secret in its `Debug`, if it has one, nor
/// in the errors of [`apply`](Self::apply).
pub trait Credential: Clone + Send + Sync + 'static {
    /// Whether [`answer`](Self::answer) may ever ask for another sending. Requests are copied for
    /// that before they are sent.
    const HANDLES_CHALLENGES: bool = false;

    /// Puts the credential on the head of a request. Called for every sending, so a retry is
    /// signed anew.
    ///
    /// Use [`RequestHeadMut::insert_header`] or [`RequestHeadMut::insert_query`]: they leave a request alone
    /// that carries a credential of its own, as the layer is set to.
    ///
    /// # Errors
    /// The request is not sent, and the caller gets the error as a [`crate::Error`].
    fn apply(&self, request: &mut RequestHeadMut<'_>) -> Result<(), BoxError>;

    /// Whether the request already carries something in this credential's place.
    ///
    /// It is asked before a caller has to wait for a credential; a request that carries its own
    /// does not wait. `current` is the last credential known, `None` before the first one was
    /// issued: answer `false` then if the place is not known without it.
    ///
    /// Default: whether there is an `Authorization` header.
    fn is_attached(current: Option<&Self>, request: &RequestHeadMut<'_>) -> bool {
        let _ = current;
        request.headers().contains_key(AUTHORIZATION)
    }

    /// Whether this is the same credential as another: sending it again would give the same
    /// answer. A refresh that brings the rejected credential again leads to no retry.
    fn is_same(&self, other: &Self) -> bool;

    /// Looks at the head of a response to a request that carried this credential, before anything
    /// else does. `true` asks for one more sending with the same generation: [`apply`](Self::apply)
    /// is called again, now knowing what the response said. For DPoP nonces and Digest challenges;
    /// set [`HANDLES_CHALLENGES`](Self::HANDLES_CHALLENGES) with it. It is followed once per request and credential.
    ///
    /// What it remembers must be shared by all clones of the credential. Default: never.
    fn answer(&self, response: &ResponseHead<'_>) -> bool {
        let _ = response;
        false
    }

    /// A copy that shares no reference-counted memory with this one. Each long-lived service keeps
    /// one, because processors that count references to the same bytes wait for each other.
    ///
    /// Default: `clone()`.
    #[must_use]
    fn detach(&self) -> Self {
        self.clone()
    }
}

pub(crate) fn parse_name(
    field: &'static str,
    name: impl TryInto<HeaderName>,
) -> Result<HeaderName, ConfigError> {
    name.try_into()
        .map_err(|_| ConfigError::new(field, "is not the name of a header"))
}

/// A copy of a header name that shares no memory with the original. Well-known names are constants
/// and share nothing anyway.
fn detached_name(name: &HeaderName) -> HeaderName {
    HeaderName::from_bytes(name.as_str().as_bytes()).unwrap_or_else(|_| name.clone())
}
