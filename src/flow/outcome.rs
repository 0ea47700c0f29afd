//! What requests say to the layer, and responses say about it: types of extensions.

use std::{fmt, time::Duration};

use crate::error::Error;

/// A request extension: this request goes out as it is.
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

/// A response extension: the request went out without the layer's credential, and why.
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
    /// The request carried a credential of its own.
    AlreadyPresent,
}

impl fmt::Display for NotAttached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Skipped => "the request is marked to be skipped",
            Self::OtherOrigin => "the request goes to an origin the credential may not go to",
            Self::AlreadyPresent => "the request carries a credential of its own",
        })
    }
}

/// A response extension: the credential was rejected, and the request was not sent again (or not
/// once more), and why. The response is the server's own, its body unread.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum NotRetried {
    /// The layer was built with [`retry`](crate::AuthLayer::retry).
    RetriesDisabled,
    /// The credential never changes.
    StaticCredential,
    /// The request's body cannot be sent a second time.
    BodyNotReplayable,
    /// The request was sent again, with another credential, and that was rejected too.
    RejectedAgain,
    /// The refresh brought the credential that was rejected.
    SameCredential,
    /// The refresh failed, or the last one did and the next attempt is not due yet.
    RefreshFailed(Error),
    /// Credentials were rejected so often lately that another one is not asked for yet.
    TooManyRejections {
        /// How long until a rejection leads to a refresh again.
        retry_after: Duration,
    },
    /// The server says that the credential's rights do not suffice (`insufficient_scope`, RFC 6750
    /// section 3.1), and the provider can get no other ones: see
    /// [`StepUp`](crate::challenge::StepUp).
    InsufficientScope,
    /// The server wants the person to log in anew, or in another way (RFC 9470), or certain claims:
    /// see [`StepUp`](crate::challenge::StepUp).
    InsufficientAuthentication,
    /// The server says that the request is wrong (`invalid_request`, RFC 6750 section 3.1).
    InvalidRequest,
}

impl NotRetried {
    /// For metrics.
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
            Self::RetriesDisabled => f.write_str("retries are turned off"),
            Self::StaticCredential => f.write_str("the credential never changes"),
            Self::BodyNotReplayable => {
                f.write_str("the request's body cannot be sent a second time")
            }
            Self::RejectedAgain => f.write_str("a new credential was rejected too"),
            Self::SameCredential => f.write_str("the refresh brought the same credential again"),
            Self::RefreshFailed(error) => write!(f, "the refresh failed: {error:#}"),
            Self::TooManyRejections { retry_after } => write!(
                f,
                "too many rejections lately, the next refresh because of one is possible in \
                 {retry_after:.1?}"
            ),
            Self::InsufficientScope => f.write_str("the credential's rights do not suffice"),
            Self::InsufficientAuthentication => {
                f.write_str("the server wants a newer or stronger log-in")
            }
            Self::InvalidRequest => f.write_str("the server calls the request invalid"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    /// Dashboards count by these.
    #[test]
    fn each_reason_has_its_word_and_its_sentence() {
        let retry_after = Duration::from_millis(1500);
        for (why, word, part) in [
            (
                NotRetried::RetriesDisabled,
                "retries_disabled",
                "turned off",
            ),
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
            (NotRetried::RejectedAgain, "rejected_again", "rejected too"),
            (
                NotRetried::SameCredential,
                "same_credential",
                "same credential again",
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
                "do not suffice",
            ),
            (
                NotRetried::InsufficientAuthentication,
                "insufficient_authentication",
                "stronger log-in",
            ),
            (NotRetried::InvalidRequest, "invalid_request", "invalid"),
        ] {
            assert_eq!(why.as_str(), word);
            assert!(why.to_string().contains(part), "{why}");
        }
    }
}
