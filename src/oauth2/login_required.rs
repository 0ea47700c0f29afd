//! Why somebody has to log in again.

use std::{error::Error as StdError, fmt, sync::Arc};

use super::error::TokenError;
use crate::store::Intent;

/// Why somebody has to log in again: what the provider lived on can't be used any more.
///
/// It is what the [`ProviderError`](crate::ProviderError)s of this module are made from that are
/// [`is_login_required`](crate::ProviderError::is_login_required). No attempt is made before new
/// credentials are given. While an access token has not expired, calls go on with it: a server that
/// rejects it answers them with its own 401, and the reason stands in the response's
/// [`NotRetried`](crate::NotRetried).
///
/// ```
/// use tower_auth::{ProviderError, oauth2::LoginRequired};
///
/// fn advice(error: &ProviderError) -> &'static str {
///     match error.get_ref().downcast_ref::<LoginRequired>() {
///         Some(login) if login.is_suspected_reuse() => "look who else uses this refresh token",
///         Some(_) => "ask the user to log in",
///         None => "try again later",
///     }
/// }
/// ```
#[derive(Clone, Debug)]
pub struct LoginRequired {
    why: Why,
    answer: Option<Arc<TokenError>>,
}

#[derive(Clone, Debug)]
enum Why {
    Refused,
    /// The token came from a refresh, and nobody here had used it.
    SuspectedReuse,
    /// Who did not come back from a refresh.
    OutcomeLost(String),
    PasswordRefused,
    LoggedOut,
    NoTokens,
    TokenOver,
}

impl LoginRequired {
    /// The answer to a refresh token proves it dead.
    pub(super) fn refused(error: TokenError, orphan: Option<Intent>, rotated: bool) -> Self {
        let why = match orphan {
            Some(intent) => Why::OutcomeLost(intent.holder),
            None if rotated => Why::SuspectedReuse,
            None => Why::Refused,
        };
        Self {
            why,
            answer: Some(Arc::new(error)),
        }
    }

    pub(super) fn password_refused(error: TokenError) -> Self {
        Self {
            why: Why::PasswordRefused,
            answer: Some(Arc::new(error)),
        }
    }

    pub(super) fn logged_out() -> Self {
        Self {
            why: Why::LoggedOut,
            answer: None,
        }
    }

    pub(super) fn no_tokens() -> Self {
        Self {
            why: Why::NoTokens,
            answer: None,
        }
    }

    pub(super) fn token_over() -> Self {
        Self {
            why: Why::TokenOver,
            answer: None,
        }
    }

    /// Whether the server refused the refresh token, for whatever reason: it has expired, was
    /// revoked, or one of the two below.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        matches!(
            self.why,
            Why::Refused | Why::SuspectedReuse | Why::OutcomeLost(_)
        )
    }

    /// Whether the refused refresh token had come from a refresh before, and had not been sent by
    /// anybody who uses this store. If it has not simply expired, then somebody else has a copy of
    /// it, and the server has revoked them all (RFC 9700 4.14.2).
    #[must_use]
    pub fn is_suspected_reuse(&self) -> bool {
        matches!(self.why, Why::SuspectedReuse)
    }

    /// Whether an earlier refresh with the refused refresh token was cut off (its process was
    /// killed, the connection broke, the server did not answer in time), so that what the server
    /// may have answered is lost.
    #[must_use]
    pub fn is_outcome_lost(&self) -> bool {
        matches!(self.why, Why::OutcomeLost(_))
    }

    /// Whether the server refused the user's name or password. They are not sent again.
    #[must_use]
    pub fn is_password_refused(&self) -> bool {
        matches!(self.why, Why::PasswordRefused)
    }

    /// Whether another process that shares the tokens has logged out.
    #[must_use]
    pub fn is_logged_out(&self) -> bool {
        matches!(self.why, Why::LoggedOut)
    }

    /// What the server answered, if it was asked.
    #[must_use]
    pub fn token_error(&self) -> Option<&TokenError> {
        self.answer.as_deref()
    }
}

impl fmt::Display for LoginRequired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.why {
            Why::Refused => f.write_str("the refresh token is not accepted any more")?,
            Why::SuspectedReuse => f.write_str(
                "the refresh token, although never used before, is not accepted any more: it has \
                 expired, or a copy of it is in use elsewhere",
            )?,
            Why::OutcomeLost(holder) => write!(
                f,
                "the refresh token is not accepted any more, and the outcome of an earlier refresh \
                 with it was lost (by {holder})"
            )?,
            Why::PasswordRefused => f.write_str(
                "the user name or the password is refused, and not sent again until \
                 set_credentials(..) gives others",
            )?,
            Why::LoggedOut => f.write_str("logged out by another process")?,
            Why::TokenOver => f.write_str(
                "there is no access token that could be used, and none can be had without the \
                 person: log in, and give the token with replace_tokens(..)",
            )?,
            Why::NoTokens => {
                f.write_str("there is no refresh token: give one with replace_tokens(..)")?
            }
        }
        match &self.answer {
            Some(answer) => write!(f, "; {answer}"),
            None => Ok(()),
        }
    }
}

impl StdError for LoginRequired {
    // The message of the wrapped error is part of this one's, so the chain goes on below it.
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.answer.as_deref()?.source()
    }
}
