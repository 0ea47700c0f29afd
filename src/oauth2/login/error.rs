//! Why a person's log-in brought no tokens.

use std::{error::Error as StdError, fmt};
#[cfg(feature = "loopback")]
use std::{net::SocketAddr, time::Duration};

use crate::{
    error::ConfigError,
    oauth2::error::{Refusal, TokenError},
};

/// Why a person's log-in brought no tokens. The attempt is over: another log-in starts with a new
/// one.
///
/// The message holds what the server said about it, as far as that is printable, short and free of
/// secrets.
#[derive(Debug)]
pub struct LoginError {
    problem: Box<Problem>,
}

#[derive(Debug)]
pub(in crate::oauth2) enum Problem {
    /// The stored attempt is none.
    Attempt,
    OtherServer,
    NoState,
    WrongState,
    Issuer {
        expected: String,
        /// `Some(None)` is one that can't be shown.
        said: Option<Option<String>>,
    },
    Refused {
        is_denied: bool,
        refusal: Refusal,
    },
    Repeated(Option<String>),
    NoCode,
    /// The token that came in the browser's URL.
    #[cfg(feature = "implicit")]
    Unusable(TokenError),
    Token(TokenError),
    Config(ConfigError),
    /// A device code; with the last trouble, if the server could not be asked.
    CodeExpired(Option<TokenError>),
    #[cfg(feature = "loopback")]
    Listen(SocketAddr, std::io::Error),
    #[cfg(feature = "loopback")]
    Browser(std::io::Error),
    #[cfg(feature = "loopback")]
    NeverBack(Duration),
}

impl LoginError {
    /// Whether the person, or the server for them, said no (`access_denied`).
    #[must_use]
    pub fn is_denied(&self) -> bool {
        matches!(
            *self.problem,
            Problem::Refused {
                is_denied: true,
                ..
            }
        )
    }

    /// Whether the answer can't be trusted: it belongs to another attempt, or comes from another
    /// server. Somebody may be trying to slip in an account or a code of their own.
    #[must_use]
    pub fn is_forged(&self) -> bool {
        matches!(
            *self.problem,
            Problem::OtherServer | Problem::NoState | Problem::WrongState | Problem::Issuer { .. }
        )
    }

    /// Whether the person did not come in time: the browser is not back, or the device code has
    /// expired.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        match *self.problem {
            #[cfg(feature = "loopback")]
            Problem::NeverBack(_) => true,
            Problem::CodeExpired(_) => true,
            _ => false,
        }
    }

    /// The error code of the authorization endpoint (RFC 6749 4.1.2.1), or of the token endpoint.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        match &*self.problem {
            Problem::Refused { refusal, .. } => refusal.code.as_deref(),
            Problem::Token(error) => error.code(),
            _ => None,
        }
    }

    /// The server's explanation (`error_description`): its printable ASCII, at most 200 characters.
    #[must_use]
    pub fn description(&self) -> Option<&str> {
        match &*self.problem {
            Problem::Refused { refusal, .. } => refusal.description.as_deref(),
            Problem::Token(error) => error.description(),
            _ => None,
        }
    }

    /// What the token endpoint answered, if it is that which failed.
    #[must_use]
    pub fn token_error(&self) -> Option<&TokenError> {
        match &*self.problem {
            Problem::Token(error) | Problem::CodeExpired(Some(error)) => Some(error),
            _ => None,
        }
    }
}

impl Problem {
    /// What a token endpoint says when the person said no.
    pub(in crate::oauth2) fn denied(error: TokenError) -> Self {
        Self::Refused {
            is_denied: true,
            refusal: error.into_refusal(),
        }
    }
}

impl From<Problem> for LoginError {
    fn from(problem: Problem) -> Self {
        Self {
            problem: Box::new(problem),
        }
    }
}

impl From<TokenError> for LoginError {
    fn from(error: TokenError) -> Self {
        Problem::Token(error).into()
    }
}

impl From<ConfigError> for LoginError {
    fn from(error: ConfigError) -> Self {
        Problem::Config(error).into()
    }
}

impl fmt::Display for LoginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.problem {
            Problem::Attempt => f.write_str(
                "the text of the log-in attempt can't be read: keep what expose() gave as it is, \
                 and start the log-in again",
            ),
            Problem::OtherServer => f.write_str(
                "the log-in was started for another server or client: its answer is not used",
            ),
            Problem::NoState => f.write_str(
                "the answer has no `state`, so nothing says that it belongs to this log-in: it is \
                 not used",
            ),
            Problem::WrongState => f.write_str(
                "the answer's `state` is not that of this log-in: it belongs to another attempt, \
                 or is forged, and is not used",
            ),
            Problem::Issuer {
                expected,
                said: None,
            } => write!(
                f,
                "the answer does not say which issuer it comes from, and {expected} always does: \
                 it is not used"
            ),
            Problem::Issuer {
                expected,
                said: Some(said),
            } => write!(
                f,
                "the answer comes from the issuer {}, not from {expected}: it is not used",
                said.as_deref().unwrap_or("?")
            ),
            Problem::Refused { is_denied, refusal } => {
                f.write_str(if *is_denied {
                    "the log-in was denied"
                } else {
                    "the authorization server refused the log-in: "
                })?;
                if !is_denied {
                    f.write_str(refusal.code.as_deref().unwrap_or("unknown error"))?;
                }
                if let Some(description) = &refusal.description {
                    write!(f, " ({description})")?;
                }
                match &refusal.uri {
                    Some(uri) => write!(f, ", see {uri}"),
                    None => Ok(()),
                }
            }
            Problem::Repeated(None) => {
                f.write_str("the answer has a parameter twice: it is not used")
            }
            Problem::Repeated(Some(name)) => {
                write!(
                    f,
                    "the answer has the parameter `{name}` twice: it is not used"
                )
            }
            Problem::NoCode => f.write_str("the answer has neither a code nor an error"),
            #[cfg(feature = "implicit")]
            Problem::Unusable(error) => error.fmt(f),
            Problem::Token(error) => error.fmt(f),
            Problem::Config(error) => error.fmt(f),
            Problem::CodeExpired(trouble) => {
                f.write_str("the code has expired before it was confirmed: start again")?;
                match trouble {
                    Some(error) => write!(f, " (in the end {error})"),
                    None => Ok(()),
                }
            }
            #[cfg(feature = "loopback")]
            Problem::Listen(address, error) => write!(
                f,
                "can't wait for the browser on {address}: {error}: choose another port(..), or \
                 leave it out to get a free one"
            ),
            #[cfg(feature = "loopback")]
            Problem::Browser(error) => write!(
                f,
                "no browser could be opened: {error}: show the address to the person with \
                 open_with(..)"
            ),
            #[cfg(feature = "loopback")]
            Problem::NeverBack(time) => {
                let seconds = time.as_secs_f64();
                write!(f, "the browser did not come back within {seconds} s")
            }
        }
    }
}

// The messages of the wrapped errors are part of this one's.
impl StdError for LoginError {}
