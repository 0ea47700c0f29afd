//! What has to be remembered while the browser is away.

use std::fmt;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::json;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::error::{LoginError, Problem};
use crate::{error::ConfigError, secret::Secret};

/// 32 bytes are 43 characters: enough for a verifier (RFC 7636 4.1), and for a `state` that nobody
/// guesses (RFC 6749 10.10).
const RANDOM_BYTES: usize = 32;

/// The format of [`PendingLogin::expose`].
const VERSION: u64 = 1;

/// What has to be remembered while the browser is away: `state`, the PKCE verifier (RFC 7636), and
/// the redirect URI.
///
/// An attempt is good for one answer: `finish` consumes it. A web application whose next request
/// may be served by another process keeps it as text, from [`expose`](Self::expose), and
/// [restores](Self::restore) it. Keep it where only the browser's own session leads to it (a
/// server-side session, or a cookie that is encrypted, `HttpOnly` and `SameSite=Lax`), because that
/// is what ties the answer to the person who asked; and remove it as you take it.
///
/// ```
/// # use tower::service_fn;
/// # use bytes::Bytes;
/// # use http_body_util::Full;
/// use tower_auth::oauth2::{AuthorizationCode, PendingLogin};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let client = service_fn(|_: http::Request<Full<Bytes>>| async {
/// #     Ok::<_, std::io::Error>(http::Response::new(Full::<Bytes>::default()))
/// # });
/// let login = AuthorizationCode::builder(
///     "https://login.example.com/authorize",
///     "https://login.example.com/token",
/// )
/// .client_id("my-app")
/// .http(client)
/// .build()?;
///
/// let attempt = login.start("https://app.example.com/callback")?;
/// let send_the_browser_to = login.authorization_url(&attempt);
/// let kept = attempt.expose(); // in the session
///
/// let attempt = PendingLogin::restore(&kept)?; // in whichever process has the callback
/// # let _ = (send_the_browser_to, attempt); Ok(()) }
/// ```
pub struct PendingLogin {
    /// Which server and client it was started for.
    whose: String,
    redirect_uri: String,
    state: Secret,
    verifier: Option<Secret>,
}

impl PendingLogin {
    pub(super) fn new(
        whose: String,
        redirect_uri: &str,
        with_verifier: bool,
    ) -> Result<Self, ConfigError> {
        Ok(Self {
            whose,
            redirect_uri: redirect_uri.to_owned(),
            state: random()?,
            verifier: with_verifier.then(random).transpose()?,
        })
    }

    /// The redirect URI, as given.
    #[must_use]
    pub fn redirect_uri(&self) -> &str {
        &self.redirect_uri
    }

    /// The attempt as text, for [`restore`](Self::restore). It is a secret: don't log it, and don't
    /// let the browser read it.
    #[must_use]
    pub fn expose(&self) -> String {
        json!({
            "version": VERSION,
            "whose": self.whose,
            "redirect_uri": self.redirect_uri,
            "state": self.state.expose(),
            "verifier": self.verifier.as_ref().map(Secret::expose),
        })
        .to_string()
    }

    /// An attempt that was kept as text.
    ///
    /// # Errors
    /// The text does not come from [`expose`](Self::expose), or from another version of it.
    pub fn restore(text: &str) -> Result<Self, LoginError> {
        let unreadable = || LoginError::from(Problem::Attempt);
        let fields: serde_json::Value = serde_json::from_str(text).map_err(|_| unreadable())?;
        let field = |name: &str| fields[name].as_str().map(str::to_owned);
        if fields["version"] != VERSION {
            return Err(unreadable());
        }
        let state = field("state").filter(|state| !state.is_empty());
        Ok(Self {
            whose: field("whose").ok_or_else(unreadable)?,
            redirect_uri: field("redirect_uri").ok_or_else(unreadable)?,
            state: state.map(Secret::new).ok_or_else(unreadable)?,
            verifier: field("verifier").map(Secret::new),
        })
    }

    pub(super) fn whose(&self) -> &str {
        &self.whose
    }

    pub(super) fn state(&self) -> &Secret {
        &self.state
    }

    pub(super) fn verifier(&self) -> Option<&Secret> {
        self.verifier.as_ref()
    }

    /// RFC 6749 10.12: compared in constant time.
    pub(super) fn has_state(&self, state: &str) -> bool {
        self.state
            .expose()
            .as_bytes()
            .ct_eq(state.as_bytes())
            .into()
    }
}

impl fmt::Debug for PendingLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingLogin")
            .field("redirect_uri", &self.redirect_uri)
            .finish_non_exhaustive()
    }
}

/// The S256 challenge of a verifier (RFC 7636 4.2). There is no other: `plain` protects nothing.
pub(super) fn challenge(verifier: &Secret) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.expose()))
}

fn random() -> Result<Secret, ConfigError> {
    let mut bytes = Zeroizing::new([0; RANDOM_BYTES]);
    getrandom::fill(&mut *bytes).map_err(|error| {
        ConfigError::new(
            "state",
            format!("needs the system's random numbers: {error}"),
        )
    })?;
    Ok(Secret::new(BASE64_URL_SAFE_NO_PAD.encode(*bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// P52, R20: the vector of RFC 7636, appendix B.
    #[test]
    fn the_challenge_is_that_of_the_specification() {
        let verifier = Secret::new("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
        assert_eq!(
            challenge(&verifier),
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
        );
    }

    /// P52, R11, R20: fresh ones each time, long enough, of characters that stand anywhere.
    #[test]
    fn each_attempt_has_a_state_and_a_verifier_of_its_own() {
        let attempt = || PendingLogin::new(String::new(), "http://127.0.0.1/", true).unwrap();
        let (one, other) = (attempt(), attempt());
        let secrets = |attempt: &PendingLogin| {
            let verifier = attempt.verifier().unwrap().expose().to_owned();
            [attempt.state().expose().to_owned(), verifier]
        };
        let all = [secrets(&one), secrets(&other)].concat();
        for (index, secret) in all.iter().enumerate() {
            assert!((43..=128).contains(&secret.len()));
            let is_unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
            assert!(secret.bytes().all(is_unreserved));
            assert!(!all[..index].contains(secret));
        }
        assert!(one.has_state(&all[0]) && !one.has_state(&all[2]) && !one.has_state(""));
        // R21: never shown.
        let shown = format!("{one:?}");
        assert!(
            !shown.contains(&all[0]) && !shown.contains(&all[1]),
            "{shown}"
        );
    }

    #[test]
    fn an_attempt_can_be_kept_as_text() {
        let attempt = PendingLogin::new("whose".into(), "https://app.example/cb", true).unwrap();
        let again = PendingLogin::restore(&attempt.expose()).unwrap();
        assert_eq!(again.expose(), attempt.expose());
        for text in ["", "{}", "[]", "\"x\"", r#"{"version":2}"#, "\u{0}"] {
            let error = PendingLogin::restore(text).unwrap_err();
            assert_eq!(
                error.to_string(),
                "the text of the log-in attempt can't be read: keep what expose() gave as it is, \
                 and start the log-in again"
            );
        }
    }
}
