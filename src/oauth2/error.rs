//! Why a token endpoint gave no token.

use std::{borrow::Cow, error::Error as StdError, fmt, time::Duration};

use http::StatusCode;

use crate::error::{BoxError, ProviderError};

/// Why a token endpoint gave no token.
///
/// It is what the [`ProviderError`]s of this module are made from. The message holds what the
/// server said about the error, as far as that is printable, short and free of the secrets that
/// were sent; it never holds an answer's body.
///
/// ```
/// use tower_auth::{ProviderError, oauth2::TokenError};
///
/// fn is_unknown_client(error: &ProviderError) -> bool {
///     let error = error.get_ref().downcast_ref::<TokenError>();
///     error.and_then(TokenError::code) == Some("invalid_client")
/// }
/// ```
#[derive(Debug)]
pub struct TokenError {
    endpoint: Endpoint,
    problem: Problem,
    status: Option<StatusCode>,
    retry_after: Option<Duration>,
}

#[derive(Debug)]
pub(super) enum Problem {
    /// The request could not be made, so it was not sent.
    Unsent(BoxError),
    /// The HTTP service failed, or the answer broke off.
    Network(BoxError),
    /// A redirect.
    Redirect,
    /// An error status, or an answer that carries an error.
    Refused(Refusal),
    /// A success that brings no token that could be used.
    Unusable(Cow<'static, str>),
}

/// Which endpoint it was, for messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Endpoint {
    /// The standard one, for all grants.
    Token(ClientProof),
    Revocation,
    /// That of device codes.
    Device,
    /// Which gives tokens in the implicit flow.
    #[cfg(feature = "implicit")]
    Authorization,
    /// Those of [`PasswordLogin`](super::PasswordLogin).
    Password,
    Refresh,
}

impl Endpoint {
    /// For metrics.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Token { .. } => "token",
            Self::Revocation => "revocation",
            #[cfg(feature = "implicit")]
            Self::Authorization => "authorization",
            Self::Device => "device",
            Self::Password => "password",
            Self::Refresh => "refresh",
        }
    }
}

/// With what a client has said who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClientProof {
    None,
    Secret,
    Certificate,
    #[cfg(feature = "jwt")]
    Assertion,
}

/// The fields of an error answer (RFC 6749 5.2).
#[derive(Debug, Default)]
pub(super) struct Refusal {
    pub(super) code: Option<String>,
    pub(super) description: Option<String>,
    pub(super) uri: Option<String>,
    /// Why these could not be read.
    pub(super) unread: Option<Cow<'static, str>>,
}

impl TokenError {
    pub(super) fn new(endpoint: Endpoint, problem: Problem) -> Self {
        Self {
            endpoint,
            problem,
            status: None,
            retry_after: None,
        }
    }

    pub(super) fn answered(mut self, status: StatusCode, retry_after: Option<Duration>) -> Self {
        self.status = Some(status);
        self.retry_after = retry_after;
        self
    }

    /// The status of the answer, if there was one.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        self.status
    }

    /// The server's error code, such as `invalid_client` (RFC 6749 5.2).
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        self.refusal()?.code.as_deref()
    }

    /// The server's explanation, in English for developers (`error_description`): its printable
    /// ASCII, at most 200 characters. `None` also if it repeats a secret.
    #[must_use]
    pub fn description(&self) -> Option<&str> {
        self.refusal()?.description.as_deref()
    }

    /// A page about the error (`error_uri`), under the same conditions as the
    /// [`description`](Self::description).
    #[must_use]
    pub fn uri(&self) -> Option<&str> {
        self.refusal()?.uri.as_deref()
    }

    /// Whether nothing has changed at the server: it got no request, or has understood and refused
    /// it. Of all other failures it is not known what the server did.
    pub(super) fn is_without_effect(&self) -> bool {
        match self.problem {
            Problem::Unsent(_) => true,
            Problem::Refused(_) => self.status.is_some_and(|status| status.is_client_error()),
            _ => false,
        }
    }

    /// The HTTP client's error, if it was that which failed.
    #[must_use]
    pub fn network(&self) -> Option<&(dyn StdError + Send + Sync + 'static)> {
        match &self.problem {
            Problem::Network(error) => Some(&**error),
            _ => None,
        }
    }

    pub(super) fn into_refusal(self) -> Refusal {
        match self.problem {
            Problem::Refused(refusal) => refusal,
            _ => Refusal::default(),
        }
    }

    /// How long the server wants to be left alone.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    fn refusal(&self) -> Option<&Refusal> {
        match &self.problem {
            Problem::Refused(refusal) => Some(refusal),
            _ => None,
        }
    }

    /// Whether the same request may work at another time.
    pub(super) fn is_transient(&self) -> bool {
        match (&self.problem, self.status) {
            (Problem::Network(_) | Problem::Unsent(_), _) => true,
            (_, Some(status)) => status.is_server_error() || is_passing(status),
            (_, None) => false,
        }
    }

    /// What to do about it, where that is known.
    fn advice(&self) -> Option<&'static str> {
        let status = self.status.unwrap_or_default();
        let proof = match self.endpoint {
            Endpoint::Token(proof) => proof,
            Endpoint::Device => ClientProof::None,
            #[cfg(feature = "implicit")]
            Endpoint::Authorization => return None,
            Endpoint::Revocation => return None,
            Endpoint::Password | Endpoint::Refresh => {
                return matches!(
                    status,
                    StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED
                )
                .then_some("check the base URL");
            }
        };
        match (self.code(), status) {
            (Some("invalid_client"), _) | (None, StatusCode::UNAUTHORIZED) => Some(match proof {
                ClientProof::None => {
                    "check client_id, and whether the server wants a client_secret"
                }
                ClientProof::Secret => {
                    "check client_id and client_secret, and whether the server wants client_secret_basic_unencoded() \
                     or client_secret_post()"
                }
                ClientProof::Certificate => {
                    "check client_id, whether the http(..) service shows the client's certificate, \
                     and whether the server knows it"
                }
                #[cfg(feature = "jwt")]
                ClientProof::Assertion => {
                    "check client_id, whether the server knows the key, its key_id(..) and \
                     algorithm, this machine's clock, and assertion_audience(..)"
                }
            }),
            (Some("invalid_request"), _) => Some("check the parameters"),
            (Some("invalid_scope"), _) => Some("check the scopes"),
            (Some("invalid_target"), _) => Some("check the resource"),
            (Some("unauthorized_client"), _) => Some("the server denies this client this grant"),
            (Some("unsupported_grant_type"), _) => Some("the server does not offer this grant"),
            (None, StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED) => {
                Some("check the token URL")
            }
            _ => None,
        }
    }
}

/// The client errors that are about the moment, not about the request.
fn is_passing(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS
    )
}

impl From<TokenError> for ProviderError {
    /// Transient are the network, 5xx, 408, 425 and 429; all else is permanent.
    fn from(error: TokenError) -> Self {
        let retry_after = error.retry_after;
        let error = if error.is_transient() {
            Self::transient(error)
        } else {
            Self::permanent(error)
        };
        match retry_after {
            Some(wait) => error.with_retry_after(wait),
            None => error,
        }
    }
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the {} endpoint ", self.endpoint)?;
        let status = self.status.unwrap_or_default();
        match &self.problem {
            Problem::Network(error) => {
                f.write_str("gave no complete answer")?;
                // Clients say at the top that it failed, and at the bottom why.
                let mut next: Option<&(dyn StdError + 'static)> = Some(&**error);
                while let Some(error) = next {
                    write!(f, ": {error}")?;
                    next = error.source();
                }
                Ok(())
            }
            Problem::Unsent(error) => {
                write!(f, "was not asked: {error}")
            }
            Problem::Redirect => write!(
                f,
                "answered {status}, a redirect, which is not followed because of the secrets in \
                 the request: use the URL that it leads to"
            ),
            // What a browser brings has no status.
            Problem::Unusable(what) if self.status.is_none() => {
                write!(f, "gave nothing that can be used: {what}")
            }
            Problem::Unusable(what) => write!(f, "answered {status}, but {what}"),
            Problem::Refused(refusal) => {
                if self.is_transient() {
                    f.write_str("failed: ")?;
                } else {
                    f.write_str("refused the request: ")?;
                }
                match &refusal.code {
                    Some(code) => write!(f, "{} {code}", status.as_u16())?,
                    None => write!(f, "{status}")?,
                }
                if let Some(description) = &refusal.description {
                    write!(f, " ({description})")?;
                }
                if let Some(why) = &refusal.unread {
                    write!(f, " ({why})")?;
                }
                if let Some(uri) = &refusal.uri {
                    write!(f, ", see {uri}")?;
                }
                match self.advice() {
                    Some(advice) => write!(f, ": {advice}"),
                    None => Ok(()),
                }
            }
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Token(_) => "token",
            Self::Revocation => "revocation",
            Self::Device => "device authorization",
            #[cfg(feature = "implicit")]
            Self::Authorization => "authorization",
            Self::Password => "password",
            Self::Refresh => "refresh",
        })
    }
}

// The whole chain of the client's errors is part of the message, so it does not go on below it.
impl StdError for TokenError {}
