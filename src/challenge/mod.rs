//! What a server asks for when it rejects a request: the challenges of `WWW-Authenticate`
//! (RFC 9110 section 11.6.1).
//!
//! Providers get them in [`RefreshContext::challenges`](crate::RefreshContext::challenges). Nobody
//! else needs this module, unless to look at challenges for purposes of one's own.

mod parse;
mod step_up;

use http::{HeaderMap, header::WWW_AUTHENTICATE};

pub use self::step_up::StepUp;

/// One challenge of a `WWW-Authenticate` header: a scheme, with parameters or with a token68.
///
/// ```
/// use tower_auth::Challenge;
///
/// let challenges = Challenge::parse(r#"Basic realm="api", Bearer error="invalid_token""#);
/// assert!(challenges[1].is_scheme("bearer"));
/// assert_eq!(challenges[1].param("error"), Some("invalid_token"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    scheme: String,
    params: Vec<(String, String)>,
    token68: Option<String>,
}

impl Challenge {
    /// Reads the value of one header field, which can hold several challenges.
    ///
    /// What is not understood is skipped, and what follows it is read: a server's slip in one
    /// challenge does not hide the others.
    #[must_use]
    pub fn parse(value: &str) -> Vec<Self> {
        parse::challenges(value)
    }

    /// Reads all `WWW-Authenticate` fields, in their order. Bytes that are not UTF-8 are replaced.
    #[must_use]
    pub fn from_headers(headers: &HeaderMap) -> Vec<Self> {
        let mut all = Vec::new();
        for value in headers.get_all(WWW_AUTHENTICATE) {
            all.append(&mut Self::parse(&String::from_utf8_lossy(value.as_bytes())));
            if all.len() >= parse::MOST_CHALLENGES {
                break;
            }
        }
        all.truncate(parse::MOST_CHALLENGES);
        all
    }

    /// The scheme's name, as the server spells it.
    #[must_use]
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// Whether the scheme has this name. Names have no case.
    #[must_use]
    pub fn is_scheme(&self, name: &str) -> bool {
        self.scheme.eq_ignore_ascii_case(name)
    }

    /// The value of a parameter, without quotes and escapes. Names have no case; of several
    /// parameters with one name it is the first.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// The parameters, in their order.
    pub fn params(&self) -> impl Iterator<Item = (&str, &str)> {
        self.params
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// What stands instead of parameters, as in `Negotiate abc==`.
    #[must_use]
    pub fn token68(&self) -> Option<&str> {
        self.token68.as_deref()
    }
}

/// What a server says is wrong with a token (RFC 6750 section 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Complaint {
    InvalidToken,
    InvalidRequest,
    InsufficientScope,
    /// The person must log in anew, or in another way (RFC 9470).
    InsufficientAuthentication,
}

/// The complaint of the challenges that name one. If they disagree, the one that a new token can
/// mend counts.
pub(crate) fn complaint(challenges: &[Challenge]) -> Option<Complaint> {
    let mut found = None;
    for challenge in challenges {
        if !(challenge.is_scheme("bearer") || challenge.is_scheme("dpop")) {
            continue;
        }
        match challenge.param("error") {
            Some("invalid_token") => return Some(Complaint::InvalidToken),
            Some("invalid_request") => found = found.or(Some(Complaint::InvalidRequest)),
            Some("insufficient_scope") => found = found.or(Some(Complaint::InsufficientScope)),
            Some("insufficient_user_authentication" | "insufficient_claims") => {
                found = found.or(Some(Complaint::InsufficientAuthentication));
            }
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests;
