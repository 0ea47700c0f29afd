//! Log-ins that send a person's browser to the authorization server (RFC 6749 4.1 and 4.2).
//!
//! A log-in has three steps: [`start`](LoginFlow::start) makes an attempt, the browser goes to its
//! [address](LoginFlow::authorization_url), and [`finish`](LoginFlow::finish) makes tokens of what
//! the browser comes back with. Between the steps nothing is kept here, so that they may happen in
//! different processes.

mod attempt;
mod authorization_code;
mod callback;
mod error;
#[cfg(feature = "implicit")]
mod implicit;
mod request;

use std::future::Future;

#[cfg(feature = "loopback")]
pub(super) use self::callback::AnsweredIn;
pub(super) use self::error::Problem;
#[cfg(feature = "implicit")]
pub use self::implicit::Implicit;
pub use self::{attempt::PendingLogin, authorization_code::AuthorizationCode, error::LoginError};
use crate::{error::ConfigError, store::TokenSet};

/// The three steps of a log-in in a browser. [`AuthorizationCode`] and [`Implicit`] have them; each
/// has methods of the same names, so that the trait need not be imported.
pub trait LoginFlow: sealed::Sealed + Send + Sync {
    /// Makes an attempt with fresh secrets.
    ///
    /// # Errors
    /// The redirect URI can't be one.
    fn start(&self, redirect_uri: &str) -> Result<PendingLogin, ConfigError>;

    /// Where the browser has to go.
    fn authorization_url(&self, attempt: &PendingLogin) -> String;

    /// Makes tokens of the URL with which the browser came back.
    ///
    /// # Errors
    /// See [`LoginError`].
    fn finish(
        &self,
        attempt: PendingLogin,
        callback: &str,
    ) -> impl Future<Output = Result<TokenSet, LoginError>> + Send;
}

pub(super) mod sealed {
    /// Nobody else implements the flows.
    #[expect(unnameable_types, reason = "it seals the flows")]
    pub trait Sealed {
        /// Where in its URL the browser brings the answer.
        #[doc(hidden)]
        fn answered_in(&self) -> super::callback::AnsweredIn;
    }
}
