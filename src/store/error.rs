//! The error type for stores.

use std::{error::Error as StdError, fmt, sync::Arc};

use crate::error::{BoxError, Chain, ProviderError, chain_debug};

/// A store failure: the store's name, the operation that failed, and the cause.
///
/// The message names the store and the operation, and [`source`](StdError::source) returns the
/// store's own error. Print both with `{:#}`. Cloning is cheap.
///
/// If a refresh fails because of the store, [`ProviderError::get_ref`] returns this error.
#[derive(Clone)]
pub struct StoreError {
    source: Arc<dyn StdError + Send + Sync>,
    /// The store's name, and the operation that failed.
    operation: Option<(Arc<str>, &'static str)>,
}

impl StoreError {
    /// Creates an error for a failed operation.
    ///
    /// The message is shown to users and written to logs, so it must not contain a token. It need
    /// not contain the store's [name](super::TokenStore::name), which the crate adds.
    pub fn new(source: impl Into<BoxError>) -> Self {
        Self {
            source: source.into().into(),
            operation: None,
        }
    }

    /// Returns the wrapped error.
    #[must_use]
    pub fn get_ref(&self) -> &(dyn StdError + Send + Sync + 'static) {
        &*self.source
    }

    pub(crate) fn of(mut self, store: &str, operation: &'static str) -> Self {
        self.operation = Some((store.into(), operation));
        self
    }
}

impl From<StoreError> for ProviderError {
    /// Converts a store failure into a transient provider error.
    fn from(error: StoreError) -> Self {
        Self::transient(error)
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if f.alternate() {
            return Chain(self).fmt(f);
        }
        match &self.operation {
            Some((store, operation)) => {
                write!(f, "the token store ({store}) failed {operation}")
            }
            None => f.write_str("the token store failed"),
        }
    }
}

chain_debug!(StoreError);

impl StdError for StoreError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&*self.source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_message_of_the_chain_is_printed_once() {
        let error = StoreError::new(io_error());
        assert_eq!(format!("{error:#}"), "the token store failed: disk full");
        let error = error.of("redis at db:6379", "to save the tokens");
        let own = "the token store (redis at db:6379) failed to save the tokens";
        assert_eq!(error.to_string(), own);
        assert_eq!(error.source().unwrap().to_string(), "disk full");
        assert_eq!(
            format!("{error:?}"),
            format!("StoreError(\"{own}: disk full\")")
        );
        assert!(error.get_ref().is::<std::io::Error>());
    }

    fn io_error() -> std::io::Error {
        std::io::Error::other("disk full")
    }
}
