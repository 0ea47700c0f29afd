//! The reasons that the user must log in again.

use std::{error::Error as StdError, fmt, sync::Arc};

use super::error::TokenError;
use crate::{
    error::{Chain, chain_debug},
    store::Intent,
};

/// The reason that the user must log in again.
///
/// This is the source of this module's [`ProviderError`](crate::ProviderError)s for which
/// [`is_login_required`](crate::ProviderError::is_login_required) returns `true`. The provider
/// makes no further attempt until it gets new credentials. Requests use the current access token
/// until it expires. If a server rejects it before then, callers receive the server's 401, and the
/// reason is in the response's [`NotRetried`](crate::NotRetried) extension.
///
/// ```
/// use tower_auth::{ProviderError, oauth2::LoginRequired};
///
/// fn advice(error: &ProviderError) -> &'static str {
///     match error.get_ref().downcast_ref::<LoginRequired>() {
///         Some(login) if login.is_suspected_reuse() => "find out what else uses this refresh token",
///         Some(_) => "ask the user to log in",
///         None => "try again later",
///     }
/// }
/// ```
#[derive(Clone)]
pub struct LoginRequired {
    why: Why,
    error: Option<Arc<TokenError>>,
}

#[derive(Clone, Debug)]
enum Why {
    Refused,
    /// The token came from a refresh, and no process that shares this store had used it.
    SuspectedReuse,
    /// An earlier refresh did not finish. Contains the name of the process that held the lock.
    OutcomeLost(String),
    PasswordRefused,
    LoggedOut,
    NoRefreshToken,
    NoAccessToken,
}

impl LoginRequired {
    /// Creates the error for a refresh token that the server's response proves dead.
    pub(super) fn refused(error: TokenError, orphan: Option<Intent>, rotated: bool) -> Self {
        let why = match orphan {
            Some(intent) => Why::OutcomeLost(intent.holder),
            None if rotated => Why::SuspectedReuse,
            None => Why::Refused,
        };
        Self::new(why, Some(error))
    }

    pub(super) fn password_refused(error: TokenError) -> Self {
        Self::new(Why::PasswordRefused, Some(error))
    }

    pub(super) fn logged_out() -> Self {
        Self::new(Why::LoggedOut, None)
    }

    pub(super) fn no_refresh_token() -> Self {
        Self::new(Why::NoRefreshToken, None)
    }

    pub(super) fn no_access_token() -> Self {
        Self::new(Why::NoAccessToken, None)
    }

    fn new(why: Why, error: Option<TokenError>) -> Self {
        Self {
            why,
            error: error.map(Arc::new),
        }
    }

    /// Returns whether the server refused the refresh token, for any reason: it has expired or was
    /// revoked, or [`is_suspected_reuse`](Self::is_suspected_reuse) or
    /// [`is_outcome_lost`](Self::is_outcome_lost) returns `true`.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        matches!(
            self.why,
            Why::Refused | Why::SuspectedReuse | Why::OutcomeLost(_)
        )
    }

    /// Returns whether the refused refresh token came from a refresh, and no process that shares
    /// this store had sent it. Unless the token has simply expired, another party has a copy of it,
    /// and the server has revoked all tokens (RFC 9700 section 4.14.2).
    #[must_use]
    pub fn is_suspected_reuse(&self) -> bool {
        matches!(self.why, Why::SuspectedReuse)
    }

    /// Returns whether an earlier refresh with the refused refresh token was interrupted: its
    /// process was killed, the connection failed, or the server did not respond in time. Any token
    /// that the server issued then is lost.
    #[must_use]
    pub fn is_outcome_lost(&self) -> bool {
        matches!(self.why, Why::OutcomeLost(_))
    }

    /// Returns whether the server refused the user name or password. They are not sent again.
    #[must_use]
    pub fn is_password_refused(&self) -> bool {
        matches!(self.why, Why::PasswordRefused)
    }

    /// Returns whether another process that shares the tokens has logged out.
    #[must_use]
    pub fn is_logged_out(&self) -> bool {
        matches!(self.why, Why::LoggedOut)
    }

    /// Returns the error from the token request, if one was sent. That error is also the
    /// [source](StdError::source).
    #[must_use]
    pub fn token_error(&self) -> Option<&TokenError> {
        self.error.as_deref()
    }
}

impl fmt::Display for LoginRequired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if f.alternate() {
            return Chain(self).fmt(f);
        }
        f.write_str(match &self.why {
            Why::Refused => "the server no longer accepts the refresh token",
            Why::SuspectedReuse => {
                "the server no longer accepts the refresh token, although it was never used: it \
                 has expired, or a copy of it is in use elsewhere"
            }
            Why::OutcomeLost(holder) => {
                return write!(
                    f,
                    "the server no longer accepts the refresh token, and the outcome of an \
                     earlier refresh with it was lost (by {holder})"
                );
            }
            Why::PasswordRefused => {
                "the server refused the user name or the password, which are not sent again \
                 until set_credentials(..) replaces them"
            }
            Why::LoggedOut => "logged out by another process",
            Why::NoAccessToken => {
                "there is no usable access token, and only a new login can provide one: log in, \
                 and pass the token to replace_tokens(..)"
            }
            Why::NoRefreshToken => "there is no refresh token: pass one to replace_tokens(..)",
        })
    }
}

chain_debug!(LoginRequired);

impl StdError for LoginRequired {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        let error = self.error.as_deref()?;
        Some(error)
    }
}
