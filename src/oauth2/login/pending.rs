//! The state of a login while the user is in the browser.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::json;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::error::{LoginError, Problem};
use crate::{error::ConfigError, secret::Secret};

/// 32 bytes are 43 characters in base64: long enough for a verifier (RFC 7636 section 4.1) and for
/// an unguessable `state` (RFC 6749 section 10.10).
const RANDOM_BYTES: usize = 32;

/// The version of the format of [`PendingLogin::expose`].
const VERSION: u64 = 1;

/// A login that is waiting for the browser to return: its `state`, its PKCE verifier (RFC 7636) and
/// its redirect URI.
///
/// It is valid for one authorization response: `finish` consumes it. In a web application, a
/// different process may serve the callback. In that case, save the login as text with
/// [`expose`](Self::expose), and [`restore`](Self::restore) it in that process.
///
/// Keep that text in the browser's session: in a server-side session, or in a cookie that is
/// encrypted, `HttpOnly` and `SameSite=Lax`. The session is what ties the response to the user who
/// started the login. Delete the text when you read it.
///
/// ```
/// use tower_auth::oauth2::{AuthorizationCode, PendingLogin};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let client = tower::service_fn(|_| async { Ok::<_, std::io::Error>(http::Response::new(String::new())) });
/// let login = AuthorizationCode::builder(
///     "https://login.example.com/authorize",
///     "https://login.example.com/token",
/// )
/// .client_id("my-app")
/// .http(client)
/// .build()?;
///
/// let pending = login.start("https://app.example.com/callback")?;
/// let redirect_to = login.authorization_url(&pending);
/// let saved = pending.expose(); // keep this in the session
///
/// // In the process that serves the callback:
/// let pending = PendingLogin::restore(&saved)?;
/// # let _ = (redirect_to, pending); Ok(()) }
/// ```
pub struct PendingLogin {
    /// The server and client that the login was started for.
    pub(super) client: String,
    redirect_uri: String,
    pub(super) state: Secret,
    pub(super) verifier: Option<Secret>,
}

impl PendingLogin {
    pub(super) fn new(
        client: String,
        redirect_uri: &str,
        with_verifier: bool,
    ) -> Result<Self, ConfigError> {
        Ok(Self {
            client,
            redirect_uri: redirect_uri.to_owned(),
            state: random()?,
            verifier: with_verifier.then(random).transpose()?,
        })
    }

    /// Returns the redirect URI.
    #[must_use]
    pub fn redirect_uri(&self) -> &str {
        &self.redirect_uri
    }

    /// Returns the login as text, for [`restore`](Self::restore). The text is a secret: do not log
    /// it, and do not let the browser read it.
    #[must_use]
    pub fn expose(&self) -> String {
        json!({
            "version": VERSION,
            "client": self.client,
            "redirect_uri": self.redirect_uri,
            "state": self.state.expose(),
            "verifier": self.verifier.as_ref().map(Secret::expose),
        })
        .to_string()
    }

    /// Restores a login from the text that [`expose`](Self::expose) returned.
    ///
    /// # Errors
    /// The text was not returned by [`expose`](Self::expose), or has a different format version.
    pub fn restore(text: &str) -> Result<Self, LoginError> {
        let unreadable = || LoginError::from(Problem::Unreadable);
        let fields: serde_json::Value = serde_json::from_str(text).map_err(|_| unreadable())?;
        let field = |name: &str| fields[name].as_str().map(str::to_owned);
        if fields["version"] != VERSION {
            return Err(unreadable());
        }
        let state = field("state").filter(|state| !state.is_empty());
        Ok(Self {
            client: field("client").ok_or_else(unreadable)?,
            redirect_uri: field("redirect_uri").ok_or_else(unreadable)?,
            state: state.map(Secret::new).ok_or_else(unreadable)?,
            verifier: field("verifier").map(Secret::new),
        })
    }

    /// Compares a `state` in constant time (RFC 6749 section 10.12).
    pub(super) fn has_state(&self, state: &str) -> bool {
        self.state
            .expose()
            .as_bytes()
            .ct_eq(state.as_bytes())
            .into()
    }
}

partial_debug!(PendingLogin, redirect_uri);

/// Computes the S256 challenge for a verifier (RFC 7636 section 4.2). `plain` is not offered,
/// because it protects nothing.
pub(super) fn challenge(verifier: &Secret) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.expose()))
}

fn random() -> Result<Secret, ConfigError> {
    let mut bytes = Zeroizing::new([0; RANDOM_BYTES]);
    getrandom::fill(&mut *bytes).map_err(|error| {
        ConfigError::new(
            "state",
            format!("cannot be generated: the system's random number generator failed: {error}"),
        )
    })?;
    Ok(Secret::new(BASE64_URL_SAFE_NO_PAD.encode(*bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// P52, R20: the example in RFC 7636 appendix B.
    #[test]
    fn the_challenge_matches_the_rfc_vector() {
        let verifier = Secret::new("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
        assert_eq!(
            challenge(&verifier),
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
        );
    }

    /// P52, R11, R20: unique, long enough, and free of characters that need encoding.
    #[test]
    fn each_login_has_a_unique_state_and_verifier() {
        let start = || PendingLogin::new(String::new(), "http://127.0.0.1/", true).unwrap();
        let (one, other) = (start(), start());
        let secrets = |login: &PendingLogin| {
            let verifier = login.verifier.as_ref().unwrap().expose().to_owned();
            [login.state.expose().to_owned(), verifier]
        };
        let all = [secrets(&one), secrets(&other)].concat();
        for (index, secret) in all.iter().enumerate() {
            assert!((43..=128).contains(&secret.len()));
            let is_unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
            assert!(secret.bytes().all(is_unreserved));
            assert!(!all[..index].contains(secret));
        }
        assert!(one.has_state(&all[0]) && !one.has_state(&all[2]) && !one.has_state(""));
        // R21: `Debug` shows neither.
        let shown = format!("{one:?}");
        assert!(
            !shown.contains(&all[0]) && !shown.contains(&all[1]),
            "{shown}"
        );
    }

    #[test]
    fn a_login_can_be_saved_as_text() {
        let login = PendingLogin::new("client".into(), "https://app.example/cb", true).unwrap();
        let restored = PendingLogin::restore(&login.expose()).unwrap();
        assert_eq!(restored.expose(), login.expose());
        for text in ["", "{}", "[]", "\"x\"", r#"{"version":2}"#, "\u{0}"] {
            let error = PendingLogin::restore(text).unwrap_err();
            assert_eq!(
                error.to_string(),
                "the saved login cannot be read: keep the text that expose() returned unchanged, and \
                 start the login again"
            );
        }
    }
}
