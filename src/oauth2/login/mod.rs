//! Logins that send the user's browser to the authorization server (RFC 6749 sections 4.1 and 4.2).
//!
//! A login has three steps. [`start`](LoginFlow::start) creates a pending login, the browser goes
//! to its [URL](LoginFlow::authorization_url), and [`finish`](LoginFlow::finish) turns the response
//! that the browser returns with into tokens. The flow keeps no state between the steps, so
//! different processes can run them.

mod authorization_code;
mod callback;
mod error;
#[cfg(feature = "implicit")]
mod implicit;
mod pending;
mod request;

use std::future::Future;

#[cfg(feature = "loopback")]
pub(super) use self::callback::ResponseMode;
pub(super) use self::error::Problem;
#[cfg(feature = "implicit")]
pub use self::implicit::Implicit;
pub use self::{authorization_code::AuthorizationCode, error::LoginError, pending::PendingLogin};
use crate::{error::ConfigError, store::TokenSet};

/// The three steps of a login in a browser, implemented by [`AuthorizationCode`] and by `Implicit`
/// (feature `implicit`). Both have inherent methods with the same names, so there is no need to
/// import the trait. The trait is sealed.
pub trait LoginFlow: sealed::Sealed + Send + Sync {
    /// Starts a login with new secrets.
    ///
    /// # Errors
    /// The redirect URI is not valid.
    fn start(&self, redirect_uri: &str) -> Result<PendingLogin, ConfigError>;

    /// Returns the URL to send the browser to.
    fn authorization_url(&self, pending: &PendingLogin) -> String;

    /// Reads the response from the URL that the browser returned with, and returns the tokens.
    ///
    /// # Errors
    /// See [`LoginError`].
    fn finish(
        &self,
        pending: PendingLogin,
        callback: &str,
    ) -> impl Future<Output = Result<TokenSet, LoginError>> + Send;
}

pub(super) mod sealed {
    #[expect(unnameable_types, reason = "it seals the flows")]
    pub trait Sealed {
        /// Returns which part of the callback URL holds the response.
        #[doc(hidden)]
        fn response_mode(&self) -> super::callback::ResponseMode;
    }
}
