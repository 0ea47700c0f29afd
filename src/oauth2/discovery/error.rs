//! The error type for discovery.

use std::{error::Error as StdError, fmt, sync::Arc};

use crate::error::{BoxError, Chain, ProviderError, chain_debug};

/// The reason why a server's metadata could not be fetched, or is not usable.
///
/// `Display` prints the message, and `{:#}` appends the messages of all
/// [sources](StdError::source).
#[derive(Clone)]
pub struct DiscoveryError {
    message: String,
    source: Option<Arc<dyn StdError + Send + Sync>>,
    is_transient: bool,
}

impl DiscoveryError {
    pub(super) fn permanent(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            source: None,
            is_transient: false,
        }
    }

    pub(super) fn transient(message: impl Into<String>) -> Self {
        Self {
            is_transient: true,
            ..Self::permanent(message)
        }
    }

    pub(super) fn with_source(self, source: impl Into<BoxError>) -> Self {
        Self {
            source: Some(source.into().into()),
            ..self
        }
    }

    /// Returns whether a retry may succeed: the network failed, or the server had an error or was
    /// overloaded.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        self.is_transient
    }
}

impl From<DiscoveryError> for ProviderError {
    fn from(error: DiscoveryError) -> Self {
        if error.is_transient {
            Self::transient(error)
        } else {
            Self::permanent(error)
        }
    }
}

impl fmt::Display for DiscoveryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if f.alternate() {
            return Chain(self).fmt(f);
        }
        f.write_str(&self.message)
    }
}

chain_debug!(DiscoveryError);

impl StdError for DiscoveryError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        let source = self.source.as_deref()?;
        Some(source)
    }
}
