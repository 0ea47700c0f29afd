//! The error type for logins.

use std::{error::Error as StdError, fmt};
#[cfg(feature = "loopback")]
use std::{net::SocketAddr, time::Duration};

use crate::{
    error::{Chain, ConfigError, chain_debug},
    oauth2::error::{Refusal, TokenError},
};

/// The reason why a login returned no tokens. The login is over: start a new one to try again.
///
/// The message contains what the server reported, limited to short printable text without secrets.
/// `Display` prints the message, and `{:#}` appends the messages of all
/// [sources](StdError::source).
pub struct LoginError {
    problem: Box<Problem>,
}

pub(in crate::oauth2) enum Problem {
    /// The text of a saved login cannot be read.
    Unreadable,
    OtherClient,
    NoState,
    WrongState,
    Issuer {
        expected: String,
        /// `Some(None)` stands for an issuer that must not be shown.
        received: Option<Option<String>>,
    },
    Refused {
        is_denied: bool,
        refusal: Refusal,
    },
    /// The name of the parameter, if it can be shown.
    Duplicate(Option<String>),
    NoCode,
    /// The token in the browser's URL is not usable.
    #[cfg(feature = "implicit")]
    Unusable(TokenError),
    Token(TokenError),
    Config(ConfigError),
    /// The device code expired. Holds the error of the last poll, if the server was not reachable.
    CodeExpired(Option<TokenError>),
    #[cfg(feature = "loopback")]
    Listen(SocketAddr, std::io::Error),
    #[cfg(feature = "loopback")]
    Browser(std::io::Error),
    #[cfg(feature = "loopback")]
    BrowserTimeout(Duration),
}

impl LoginError {
    /// Returns whether the user, or the server on the user's behalf, denied the login
    /// (`access_denied`).
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

    /// Returns whether the authorization response cannot be trusted: it belongs to a different
    /// login, or comes from a different server. It may be an attempt to inject an attacker's
    /// account or code.
    #[must_use]
    pub fn is_forged(&self) -> bool {
        matches!(
            *self.problem,
            Problem::OtherClient | Problem::NoState | Problem::WrongState | Problem::Issuer { .. }
        )
    }

    /// Returns whether the user took too long: the browser did not return, or the device code
    /// expired.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        match *self.problem {
            #[cfg(feature = "loopback")]
            Problem::BrowserTimeout(_) => true,
            Problem::CodeExpired(_) => true,
            _ => false,
        }
    }

    /// Returns the error code of the authorization endpoint (RFC 6749 section 4.1.2.1) or of the
    /// token endpoint.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        match &*self.problem {
            Problem::Refused { refusal, .. } => refusal.code.as_deref(),
            Problem::Token(error) => error.code(),
            _ => None,
        }
    }

    /// Returns the server's explanation (`error_description`): printable ASCII, at most 200
    /// characters.
    #[must_use]
    pub fn description(&self) -> Option<&str> {
        match &*self.problem {
            Problem::Refused { refusal, .. } => refusal.description.as_deref(),
            Problem::Token(error) => error.description(),
            _ => None,
        }
    }

    /// Returns the error of the token endpoint, if the token request failed.
    #[must_use]
    pub fn token_error(&self) -> Option<&TokenError> {
        match &*self.problem {
            Problem::Token(error) | Problem::CodeExpired(Some(error)) => Some(error),
            _ => None,
        }
    }
}

impl Problem {
    /// Creates an error for a login that the token endpoint reported as denied.
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

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable => f.write_str(
                "the saved login cannot be read: keep the text that expose() returned unchanged, \
                 and start the login again",
            ),
            Self::OtherClient => f.write_str(
                "the login was started for another server or client: the authorization response is \
                 not used",
            ),
            Self::NoState => f.write_str(
                "the authorization response has no `state`, so it cannot be matched to this login: \
                 it is not used",
            ),
            Self::WrongState => f.write_str(
                "the `state` of the authorization response is not that of this login: the response \
                 belongs to another login or is forged, and is not used",
            ),
            Self::Issuer {
                expected,
                received: None,
            } => write!(
                f,
                "the authorization response does not name its issuer, but {expected} always does: \
                 it is not used"
            ),
            Self::Issuer {
                expected,
                received: Some(received),
            } => write!(
                f,
                "the authorization response comes from the issuer {}, not from {expected}: it is \
                 not used",
                received.as_deref().unwrap_or("?")
            ),
            Self::Refused { is_denied, refusal } => {
                if *is_denied {
                    f.write_str("the login was denied")?;
                } else {
                    let code = refusal.code.as_deref().unwrap_or("unknown error");
                    write!(f, "the authorization server refused the login: {code}")?;
                }
                if let Some(description) = &refusal.description {
                    write!(f, " ({description})")?;
                }
                match &refusal.uri {
                    Some(uri) => write!(f, ", see {uri}"),
                    None => Ok(()),
                }
            }
            Self::Duplicate(None) => {
                f.write_str("the authorization response has a duplicate parameter: it is not used")
            }
            Self::Duplicate(Some(name)) => write!(
                f,
                "the authorization response has the parameter `{name}` twice: it is not used"
            ),
            Self::NoCode => {
                f.write_str("the authorization response has neither a code nor an error")
            }
            #[cfg(feature = "implicit")]
            Self::Unusable(_) => f.write_str("the login failed"),
            Self::Token(_) => f.write_str("the login failed"),
            Self::Config(_) => f.write_str("the login cannot start"),
            Self::CodeExpired(None) => f.write_str(
                "the device code expired before the user confirmed it: start the login again",
            ),
            Self::CodeExpired(Some(_)) => f.write_str(
                "the device code expired, and the last request to the server failed (start the \
                 login again)",
            ),
            #[cfg(feature = "loopback")]
            Self::Listen(address, _) => write!(
                f,
                "cannot listen for the browser on {address} (choose another port(..), or omit it to \
                 use a free one)"
            ),
            #[cfg(feature = "loopback")]
            Self::Browser(_) => f.write_str(
                "cannot open a browser (show the URL to the user with open_with(..) instead)",
            ),
            #[cfg(feature = "loopback")]
            Self::BrowserTimeout(time) => {
                let seconds = time.as_secs_f64();
                write!(f, "the browser did not return within {seconds} s")
            }
        }
    }
}

impl fmt::Display for LoginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if f.alternate() {
            return Chain(self).fmt(f);
        }
        self.problem.fmt(f)
    }
}

chain_debug!(LoginError);

impl StdError for LoginError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match &*self.problem {
            #[cfg(feature = "implicit")]
            Problem::Unusable(error) => Some(error),
            Problem::Token(error) | Problem::CodeExpired(Some(error)) => Some(error),
            Problem::Config(error) => Some(error),
            #[cfg(feature = "loopback")]
            Problem::Listen(_, error) | Problem::Browser(error) => Some(error),
            _ => None,
        }
    }
}
