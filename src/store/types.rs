//! The arguments and results of a store's methods.

use std::{fmt, time::Duration};

use super::TokenSet;

/// The revision number of an entry. Each save and each delete increases it.
///
/// The newer of two states of an entry is the one with the greater revision. Clocks are not
/// compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub u64);

/// The number of a lock (a fencing token). It identifies late writes by an earlier holder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fence(pub u64);

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Fence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The contents of an entry. The default is an entry that was never written.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Stored {
    /// The revision of this state.
    pub revision: Revision,
    /// The tokens. `None` before the first login and after a logout.
    pub tokens: Option<TokenSet>,
    /// The record of a process that was about to spend the refresh token and has not saved a new
    /// one.
    pub intent: Option<Intent>,
}

impl Stored {
    /// Creates an entry with this revision, without tokens and without an intent.
    #[must_use]
    pub fn new(revision: Revision) -> Self {
        Self {
            revision,
            ..Self::default()
        }
    }

    /// Sets the tokens.
    #[must_use]
    pub fn with_tokens(mut self, tokens: impl Into<Option<TokenSet>>) -> Self {
        self.tokens = tokens.into();
        self
    }

    /// Sets the intent.
    #[must_use]
    pub fn with_intent(mut self, intent: impl Into<Option<Intent>>) -> Self {
        self.intent = intent.into();
        self
    }
}

/// A record that a refresh token is about to be spent.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Intent {
    /// The revision whose refresh token is about to be spent.
    pub revision: Revision,
    /// The process that spends it, for operators who inspect the store.
    pub holder: String,
}

impl Intent {
    /// Creates the record that `holder` is about to spend the refresh token of `revision`.
    pub fn new(revision: Revision, holder: impl Into<String>) -> Self {
        Self {
            revision,
            holder: holder.into(),
        }
    }
}

/// New tokens for an entry: the argument of [`TokenStore::save`](super::TokenStore::save).
///
/// A store that wraps another one can replace individual fields, because the fields are public:
///
/// ```
/// use tower_auth::store::{Fence, Revision, SaveRequest, TokenSet};
///
/// let tokens = TokenSet::new("access");
/// let mut save = SaveRequest::new(Fence(7), Revision(1), Revision(2), &tokens);
/// let encrypted = TokenSet::new("pxclg");
/// save.tokens = &encrypted;
/// assert_eq!(save.replaces, Revision(1));
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct SaveRequest<'a> {
    /// The lock under which the tokens were obtained.
    pub fence: Fence,
    /// The revision to be replaced. If the entry has another revision, the save is a conflict.
    pub replaces: Revision,
    /// The revision of the new tokens. It is greater than the one that they replace.
    pub revision: Revision,
    /// The new tokens.
    pub tokens: &'a TokenSet,
}

impl<'a> SaveRequest<'a> {
    /// Creates a request to replace revision `replaces` with `tokens`, as revision `revision`,
    /// under the lock `fence`.
    #[must_use]
    pub fn new(fence: Fence, replaces: Revision, revision: Revision, tokens: &'a TokenSet) -> Self {
        Self {
            fence,
            replaces,
            revision,
            tokens,
        }
    }
}

/// The outcome of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum WriteOutcome {
    /// The write was applied.
    Applied,
    /// Nothing was written: another process has changed or locked the entry in the meantime.
    Conflict,
}

/// The outcome of an attempt to take a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum LockAttempt {
    /// The caller holds the lock, which has this number.
    Acquired(Fence),
    /// Another process holds the lock, for up to this long.
    HeldFor(Duration),
}
