//! The reasons that a token endpoint did not return a token.

use std::{borrow::Cow, error::Error as StdError, fmt, time::Duration};

use http::StatusCode;

use crate::error::{BoxError, Chain, ProviderError, chain_debug};

/// The reason that a token endpoint did not return a token.
///
/// This is the source of most [`ProviderError`]s that this module returns. The message contains the
/// details that the server reported, reduced to printable ASCII and truncated. Details that contain
/// a secret are left out. The message never contains a response body. If the HTTP client failed,
/// its error is the [source](StdError::source).
///
/// ```
/// use tower_auth::{ProviderError, oauth2::TokenError};
///
/// fn is_unknown_client(error: &ProviderError) -> bool {
///     let error = error.get_ref().downcast_ref::<TokenError>();
///     error.and_then(TokenError::code) == Some("invalid_client")
/// }
/// ```
pub struct TokenError {
    endpoint: Endpoint,
    problem: Problem,
    status: Option<StatusCode>,
    retry_after: Option<Duration>,
}

#[derive(Debug)]
pub(super) enum Problem {
    /// The request could not be created.
    Unsent(BoxError),
    /// The HTTP service failed, or the response ended early.
    Network(BoxError),
    Redirect,
    /// An error status, or a response that contains an error.
    Refused(Refusal),
    /// A successful response without a usable token.
    Unusable(Cow<'static, str>),
}

/// The endpoint of a request, for messages and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Endpoint {
    /// The standard token endpoint.
    Token(ClientProof),
    Revocation,
    /// The device authorization endpoint.
    Device,
    /// The authorization endpoint, which returns tokens in the implicit flow.
    #[cfg(feature = "implicit")]
    Authorization,
    /// The endpoints of [`PasswordLogin`](super::PasswordLogin).
    Password,
    Refresh,
}

impl Endpoint {
    /// Returns the endpoint's name in metrics.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Token(_) => "token",
            Self::Revocation => "revocation",
            Self::Device => "device",
            #[cfg(feature = "implicit")]
            Self::Authorization => "authorization",
            Self::Password => "password",
            Self::Refresh => "refresh",
        }
    }
}

/// How a client authenticates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClientProof {
    None,
    Secret,
    Certificate,
    #[cfg(feature = "jwt")]
    Assertion,
}

/// The fields of an error response (RFC 6749 section 5.2).
#[derive(Debug, Default)]
pub(super) struct Refusal {
    pub(super) code: Option<String>,
    pub(super) description: Option<String>,
    pub(super) uri: Option<String>,
    /// The reason that the fields could not be read.
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

    pub(super) fn with_response(
        mut self,
        status: StatusCode,
        retry_after: Option<Duration>,
    ) -> Self {
        self.status = Some(status);
        self.retry_after = retry_after;
        self
    }

    /// Returns the status of the response, if there was one.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        self.status
    }

    /// Returns the server's error code, such as `invalid_client` (RFC 6749 section 5.2).
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        self.refusal()?.code.as_deref()
    }

    /// Returns the server's explanation, in English for developers (`error_description`): up to 200
    /// characters of printable ASCII. Returns `None` if it contains a secret.
    #[must_use]
    pub fn description(&self) -> Option<&str> {
        self.refusal()?.description.as_deref()
    }

    /// Returns the URI of a web page about the error (`error_uri`), with the same limits as the
    /// [`description`](Self::description).
    #[must_use]
    pub fn uri(&self) -> Option<&str> {
        self.refusal()?.uri.as_deref()
    }

    /// Returns the HTTP client's error, if the client failed.
    #[must_use]
    pub fn network(&self) -> Option<&(dyn StdError + Send + Sync + 'static)> {
        match &self.problem {
            Problem::Network(error) => Some(&**error),
            _ => None,
        }
    }

    /// Returns whether the request is certain to have changed nothing on the server: it was not
    /// sent, or the server understood and refused it. The effect of all other failures is unknown.
    pub(super) fn is_without_effect(&self) -> bool {
        match self.problem {
            Problem::Unsent(_) => true,
            Problem::Refused(_) => self.status.is_some_and(|status| status.is_client_error()),
            _ => false,
        }
    }

    pub(super) fn into_refusal(self) -> Refusal {
        match self.problem {
            Problem::Refused(refusal) => refusal,
            _ => Refusal::default(),
        }
    }

    /// Returns the server's `Retry-After`.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    fn refusal(&self) -> Option<&Refusal> {
        match &self.problem {
            Problem::Refused(refusal) => Some(refusal),
            _ => None,
        }
    }

    /// Returns whether the same request may succeed later.
    pub(super) fn is_transient(&self) -> bool {
        match (&self.problem, self.status) {
            (Problem::Network(_) | Problem::Unsent(_), _) => true,
            (_, Some(status)) => {
                status.is_server_error()
                    || matches!(
                        status,
                        StatusCode::REQUEST_TIMEOUT
                            | StatusCode::TOO_EARLY
                            | StatusCode::TOO_MANY_REQUESTS
                    )
            }
            (_, None) => false,
        }
    }

    /// Returns advice on how to fix the error, if there is any.
    fn advice(&self) -> Option<&'static str> {
        let status = self.status.unwrap_or_default();
        let is_wrong_url = matches!(
            status,
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED
        );
        let proof = match self.endpoint {
            Endpoint::Token(proof) => proof,
            Endpoint::Device => ClientProof::None,
            #[cfg(feature = "implicit")]
            Endpoint::Authorization => return None,
            Endpoint::Revocation => return None,
            Endpoint::Password => return is_wrong_url.then_some("check the login URL"),
            Endpoint::Refresh => return is_wrong_url.then_some("check the refresh URL"),
        };
        match (self.code(), status) {
            (Some("invalid_client"), _) | (None, StatusCode::UNAUTHORIZED) => Some(match proof {
                ClientProof::None => {
                    "check client_id, and whether the server requires a client_secret"
                }
                ClientProof::Secret => {
                    "check client_id and client_secret, and whether the server requires \
                     client_secret_basic_unencoded() or client_secret_post()"
                }
                ClientProof::Certificate => {
                    "check client_id, whether the http(..) service presents the client's \
                     certificate, and whether the server knows it"
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
            (Some("unauthorized_client"), _) => {
                Some("the server does not allow this grant for this client")
            }
            (Some("unsupported_grant_type"), _) => Some("the server does not support this grant"),
            (None, _) if is_wrong_url => Some("check the token URL"),
            _ => None,
        }
    }
}

impl From<TokenError> for ProviderError {
    /// Converts network failures, requests that could not be created, and the statuses 5xx, 408,
    /// 425 and 429 to transient errors, and everything else to permanent errors.
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
        if f.alternate() {
            return Chain(self).fmt(f);
        }
        let endpoint = match self.endpoint {
            Endpoint::Device => "device authorization",
            endpoint => endpoint.as_str(),
        };
        let status = self.status.unwrap_or_default();
        match &self.problem {
            Problem::Unsent(_) => write!(f, "could not create the {endpoint} request"),
            Problem::Network(_) => {
                write!(f, "no complete response from the {endpoint} endpoint")
            }
            Problem::Redirect => write!(
                f,
                "the {endpoint} endpoint responded with {status}, a redirect, which is not \
                 followed because the request contains secrets: use the URL that it redirects to"
            ),
            // A response that a browser delivers has no status.
            Problem::Unusable(what) if self.status.is_none() => {
                write!(f, "the {endpoint} response is not usable: {what}")
            }
            Problem::Unusable(what) => {
                write!(
                    f,
                    "the {endpoint} response ({status}) is not usable: {what}"
                )
            }
            Problem::Refused(refusal) if self.is_transient() => {
                write!(
                    f,
                    "the {endpoint} endpoint failed: {}",
                    refusal.text(status)
                )
            }
            Problem::Refused(refusal) => {
                let refusal = refusal.text(status);
                write!(f, "the {endpoint} endpoint refused the request: {refusal}")?;
                match self.advice() {
                    Some(advice) => write!(f, ": {advice}"),
                    None => Ok(()),
                }
            }
        }
    }
}

impl Refusal {
    fn text(&self, status: StatusCode) -> String {
        let mut text = match &self.code {
            Some(code) => format!("{} {code}", status.as_u16()),
            None => status.to_string(),
        };
        for detail in [self.description.as_deref(), self.unread.as_deref()] {
            text.extend(detail.map(|detail| format!(" ({detail})")));
        }
        text.extend(self.uri.as_ref().map(|uri| format!(", see {uri}")));
        text
    }
}

chain_debug!(TokenError);

impl StdError for TokenError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match &self.problem {
            Problem::Unsent(error) | Problem::Network(error) => Some(&**error),
            _ => None,
        }
    }
}
