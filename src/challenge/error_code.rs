//! The error codes of bearer tokens.

use super::parse::Challenge;

/// The reason why a server rejected a token (RFC 6750 section 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ErrorCode {
    InvalidToken,
    InvalidRequest,
    InsufficientScope,
    /// The user must log in again, possibly with a stronger method (RFC 9470), or the token lacks
    /// claims.
    InsufficientAuthentication,
}

/// Returns the error code of these challenges. If they disagree, `invalid_token` wins, because a
/// new token resolves it.
pub(crate) fn error_code(challenges: &[Challenge]) -> Option<ErrorCode> {
    let mut first = None;
    for challenge in challenges {
        if !(challenge.is_scheme("bearer") || challenge.is_scheme("dpop")) {
            continue;
        }
        let code = match challenge.param("error") {
            Some("invalid_token") => return Some(ErrorCode::InvalidToken),
            Some("invalid_request") => ErrorCode::InvalidRequest,
            Some("insufficient_scope") => ErrorCode::InsufficientScope,
            Some("insufficient_user_authentication" | "insufficient_claims") => {
                ErrorCode::InsufficientAuthentication
            }
            _ => continue,
        };
        first = first.or(Some(code));
    }
    first
}
