//! A user name and a password for HTTP Basic.

use base64::{Engine, engine::general_purpose::STANDARD};
use http::{HeaderValue, header::AUTHORIZATION};
use zeroize::Zeroizing;

use super::{
    Credential, RequestHeadMut,
    credential_header::{CredentialHeader, header_value},
};
use crate::error::{BoxError, ConfigError};

/// A user name and a password (RFC 7617): `Authorization: Basic ...`, as `curl -u user:password`
/// sends it.
///
/// It is also its own provider, because it never changes.
///
/// ```
/// use tower_auth::credential::Basic;
///
/// # fn main() -> Result<(), tower_auth::ConfigError> {
/// let login = Basic::new("user@example.com", "correct horse battery staple")?;
/// # let _ = login; Ok(()) }
/// ```
#[derive(Clone)]
pub struct Basic {
    header: CredentialHeader,
}

impl Basic {
    /// Creates a credential from a user name and a password, which are sent as UTF-8. Either may be
    /// empty: some servers expect an API key as the user name and no password.
    ///
    /// # Errors
    /// The user name contains a `:`, which would end it, or either value contains a control
    /// character. The error names the field (`user` or `password`) and shows neither value.
    pub fn new(user: impl Into<String>, password: impl Into<String>) -> Result<Self, ConfigError> {
        let (user, password) = (Zeroizing::new(user.into()), Zeroizing::new(password.into()));
        let header = CredentialHeader {
            name: AUTHORIZATION,
            value: basic_value(("user", &user), ("password", &password))?,
        };
        Ok(Self { header })
    }
}

impl Credential for Basic {
    fn apply(&self, request: &mut RequestHeadMut<'_>) -> Result<(), BoxError> {
        self.header.attach_to(request);
        Ok(())
    }

    fn is_same(&self, other: &Self) -> bool {
        self.header == other.header
    }

    fn unshared(&self) -> Self {
        Self {
            header: self.header.unshared(),
        }
    }
}

partial_debug!(Basic);

/// Returns the header value for a user and a password, each paired with its field name for errors.
pub(crate) fn basic_value(
    user: (&'static str, &str),
    password: (&'static str, &str),
) -> Result<HeaderValue, ConfigError> {
    check_pair("HTTP Basic", user, password)?;
    let pair = Zeroizing::new([user.1, ":", password.1].concat());
    let encoded = Zeroizing::new(STANDARD.encode(pair.as_bytes()));
    let value = Zeroizing::new(["Basic ", &encoded].concat().into_bytes());
    header_value(password.0, value)
}

/// Checks that a scheme can carry this user name and password.
pub(super) fn check_pair(
    scheme: &str,
    user: (&'static str, &str),
    password: (&'static str, &str),
) -> Result<(), ConfigError> {
    if user.1.contains(':') {
        let problem = format!("contains a `:`, where the user name ends in {scheme}");
        return Err(ConfigError::new(user.0, problem));
    }
    for (field, text) in [user, password] {
        if text.bytes().any(|byte| byte.is_ascii_control()) {
            let problem = format!(
                "contains a control character (a line ending, perhaps), which {scheme} does not \
                 allow"
            );
            return Err(ConfigError::new(field, problem));
        }
    }
    Ok(())
}
