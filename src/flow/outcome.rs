//! Request and response extensions that pass information between callers and the layer.

use std::{fmt, time::Duration};

use crate::error::Error;

/// A request extension that makes the layer send the request unchanged.
///
/// ```
/// use tower_auth::SkipAuth;
///
/// # fn main() -> Result<(), http::Error> {
/// let request = http::Request::get("https://api.example.com/health").extension(SkipAuth).body(())?;
/// # let _ = request; Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SkipAuth;

/// A response extension with the reason why the request was sent without the layer's credential.
///
/// ```
/// use tower_auth::NotAttached;
///
/// # fn check<B>(response: http::Response<B>) {
/// if let Some(why) = response.extensions().get::<NotAttached>() {
///     println!("sent without a credential: {why}");
/// }
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NotAttached {
    /// The request was marked with [`SkipAuth`].
    Skipped,
    /// The request went to an origin that is not among the layer's [`Origins`](crate::Origins).
    OtherOrigin,
    /// The request already carried a credential.
    AlreadyPresent,
}

impl fmt::Display for NotAttached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Skipped => "the request is marked with SkipAuth",
            Self::OtherOrigin => {
                "the request goes to an origin that is not among the layer's origins"
            }
            Self::AlreadyPresent => "the request already carries a credential",
        })
    }
}

/// A response extension with the reason why a rejected request was not retried, or why its retry
/// was not followed by another. The response is the server's own, with its body unread.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum NotRetried {
    /// The layer was created with [`retry(false)`](crate::AuthLayer::retry).
    RetriesDisabled,
    /// The credential never changes.
    StaticCredential,
    /// The request's body cannot be sent a second time.
    BodyNotReplayable,
    /// The request was sent again with another credential, which was also rejected.
    RejectedAgain,
    /// The refresh returned the credential that was rejected.
    SameCredential,
    /// The refresh failed, or an earlier one failed and the next attempt is not due yet.
    RefreshFailed(Error),
    /// Too many credentials were rejected recently, so the layer does not request another one yet.
    TooManyRejections {
        /// The time until a rejection can start a refresh again.
        retry_after: Duration,
    },
    /// The server responded `insufficient_scope` (RFC 6750 section 3.1), and the provider cannot
    /// get a credential with more rights. See [`StepUp`](crate::challenge::StepUp).
    InsufficientScope,
    /// The server requires a more recent or stronger login (RFC 9470) or certain claims, and the
    /// provider cannot get them. See [`StepUp`](crate::challenge::StepUp).
    InsufficientAuthentication,
    /// The server responded `invalid_request` (RFC 6750 section 3.1): the request itself is wrong.
    InvalidRequest,
}

impl NotRetried {
    /// Returns the value of the metrics' `reason` label.
    pub(crate) fn as_str(&self) -> &'static str {
        match self {
            Self::RetriesDisabled => "retries_disabled",
            Self::StaticCredential => "static_credential",
            Self::BodyNotReplayable => "body_not_replayable",
            Self::RejectedAgain => "rejected_again",
            Self::SameCredential => "same_credential",
            Self::RefreshFailed(_) => "refresh_failed",
            Self::TooManyRejections { .. } => "too_many_rejections",
            Self::InsufficientScope => "insufficient_scope",
            Self::InsufficientAuthentication => "insufficient_authentication",
            Self::InvalidRequest => "invalid_request",
        }
    }
}

impl fmt::Display for NotRetried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RetriesDisabled => f.write_str("retries are disabled"),
            Self::StaticCredential => f.write_str("the credential never changes"),
            Self::BodyNotReplayable => {
                f.write_str("the request's body cannot be sent a second time")
            }
            Self::RejectedAgain => f.write_str("another credential was also rejected"),
            Self::SameCredential => f.write_str("the refresh returned the same credential"),
            Self::RefreshFailed(error) => write!(f, "the refresh failed: {error:#}"),
            Self::TooManyRejections { retry_after } => write!(
                f,
                "too many recent rejections: a rejection can start the next refresh in \
                 {retry_after:.1?}"
            ),
            Self::InsufficientScope => f.write_str("the credential has insufficient rights"),
            Self::InsufficientAuthentication => {
                f.write_str("the server requires a newer or stronger login")
            }
            Self::InvalidRequest => f.write_str("the server responded that the request is invalid"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    /// Dashboards depend on the labels.
    #[test]
    fn each_reason_has_a_label_and_a_message() {
        let retry_after = Duration::from_millis(1500);
        for (why, label, part) in [
            (NotRetried::RetriesDisabled, "retries_disabled", "disabled"),
            (
                NotRetried::StaticCredential,
                "static_credential",
                "never changes",
            ),
            (
                NotRetried::BodyNotReplayable,
                "body_not_replayable",
                "cannot be sent a second time",
            ),
            (NotRetried::RejectedAgain, "rejected_again", "also rejected"),
            (
                NotRetried::SameCredential,
                "same_credential",
                "the same credential",
            ),
            (
                NotRetried::RefreshFailed(Error::new(ErrorKind::Timeout)),
                "refresh_failed",
                "the refresh failed: ",
            ),
            (
                NotRetried::TooManyRejections { retry_after },
                "too_many_rejections",
                "in 1.5s",
            ),
            (
                NotRetried::InsufficientScope,
                "insufficient_scope",
                "insufficient rights",
            ),
            (
                NotRetried::InsufficientAuthentication,
                "insufficient_authentication",
                "stronger login",
            ),
            (NotRetried::InvalidRequest, "invalid_request", "invalid"),
        ] {
            assert_eq!(why.as_str(), label);
            assert!(why.to_string().contains(part), "{why}");
        }
    }
}
