//! User name and password.

use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD};
use http::{HeaderValue, header::AUTHORIZATION};
use zeroize::Zeroizing;

use super::{Credential, RequestHeadMut};
use crate::{
    error::{BoxError, ConfigError},
    secret,
};

/// A user name and a password (RFC 7617): `Authorization: Basic ..`, as `curl -u user:password`
/// sends it.
///
/// As a provider it issues itself, as a permanent credential.
///
/// ```
/// use tower_auth::credential::Basic;
///
/// # fn main() -> Result<(), tower_auth::ConfigError> {
/// let login = Basic::new("somebody@example.com", "correct horse battery staple")?;
/// # let _ = login; Ok(()) }
/// ```
#[derive(Clone)]
pub struct Basic {
    value: HeaderValue,
}

impl Basic {
    /// A user name and a password, sent as the UTF-8 that they are. Either may be empty: there are
    /// servers that take an API key for the user name, with no password.
    ///
    /// # Errors
    /// The user name has a `:`, which would end it, or one of the two has a control character. The
    /// error names which (`user` or `password`) and shows neither.
    pub fn new(user: impl Into<String>, password: impl Into<String>) -> Result<Self, ConfigError> {
        let (user, password) = (Zeroizing::new(user.into()), Zeroizing::new(password.into()));
        let value = basic_value(("user", &user), ("password", &password))?;
        Ok(Self { value })
    }
}

impl Credential for Basic {
    fn apply(&self, request: &mut RequestHeadMut<'_>) -> Result<(), BoxError> {
        request.insert_header(&AUTHORIZATION, self.value.clone());
        Ok(())
    }

    fn is_same(&self, other: &Self) -> bool {
        self.value == other.value
    }

    fn detach(&self) -> Self {
        Self {
            value: secret::detached(&self.value),
        }
    }
}

impl fmt::Debug for Basic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Basic").finish_non_exhaustive()
    }
}

/// The header's value for a user and a password, each with the name that errors give it.
pub(crate) fn basic_value(
    user: (&'static str, &str),
    password: (&'static str, &str),
) -> Result<HeaderValue, ConfigError> {
    if user.1.contains(':') {
        return Err(ConfigError::new(
            user.0,
            "has a `:`, which HTTP Basic takes for its end",
        ));
    }
    for (field, text) in [user, password] {
        if text.bytes().any(|byte| byte.is_ascii_control()) {
            return Err(ConfigError::new(
                field,
                "has a control character (the end of the line, perhaps), which HTTP Basic does \
                 not allow",
            ));
        }
    }
    let pair = Zeroizing::new([user.1, ":", password.1].concat());
    let encoded = Zeroizing::new(STANDARD.encode(pair.as_bytes()));
    let value = Zeroizing::new(["Basic ", &encoded].concat().into_bytes());
    secret::header_value(password.0, value)
}
