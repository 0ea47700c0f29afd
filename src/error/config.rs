//! The error type for invalid settings.

use std::{borrow::Cow, error::Error as StdError, fmt};

use super::chain::chain_debug;

/// The reason why a setting was rejected: its name, the problem, and the accepted values.
///
/// The message never contains a value that may be secret.
#[derive(Clone, PartialEq, Eq)]
pub struct ConfigError {
    field: &'static str,
    problem: Cow<'static, str>,
}

impl ConfigError {
    pub(crate) fn new(field: &'static str, problem: impl Into<Cow<'static, str>>) -> Self {
        Self {
            field,
            problem: problem.into(),
        }
    }

    /// Returns the name of the rejected setting, such as `origin`, `token` or `client_id`.
    #[must_use]
    pub fn field(&self) -> &str {
        self.field
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.problem)
    }
}

chain_debug!(ConfigError);

impl StdError for ConfigError {}
