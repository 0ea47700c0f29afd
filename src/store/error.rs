//! Why a store failed.

use std::{error::Error as StdError, fmt, sync::Arc};

use crate::error::{BoxError, ProviderError};

/// Why a store failed: which one, while doing what, and what it said. Cloning is cheap.
///
/// A provider whose refresh failed because of it gives it as its
/// [`ProviderError`](crate::ProviderError)'s [`get_ref`](crate::ProviderError::get_ref).
#[derive(Clone)]
pub struct StoreError {
    source: Arc<dyn StdError + Send + Sync>,
    /// Which store, and what it was doing.
    place: Option<(Arc<str>, &'static str)>,
}

impl StoreError {
    /// An error of a store. Its message is shown to users and written to logs: it must hold no
    /// token. The store's [name](super::TokenStore::name) is added by those who call the store.
    pub fn new(source: impl Into<BoxError>) -> Self {
        Self {
            source: source.into().into(),
            place: None,
        }
    }

    /// The error that the store gave.
    #[must_use]
    pub fn get_ref(&self) -> &(dyn StdError + Send + Sync + 'static) {
        &*self.source
    }

    pub(crate) fn of(mut self, store: &str, doing: &'static str) -> Self {
        self.place = Some((store.into(), doing));
        self
    }
}

impl From<StoreError> for ProviderError {
    /// A failing store is a transient failure.
    fn from(error: StoreError) -> Self {
        Self::transient(error)
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Some((store, doing)) => {
                write!(
                    f,
                    "the token store ({store}) failed {doing}: {}",
                    self.source
                )
            }
            None => write!(f, "the token store failed: {}", self.source),
        }
    }
}

impl fmt::Debug for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreError")
            .field("place", &self.place)
            .field("source", &self.source)
            .finish()
    }
}

impl StdError for StoreError {
    // The message of the wrapped error is part of this one's, so the chain goes on below it.
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.source()
    }
}
