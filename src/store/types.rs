//! What a store is told, and what it answers.

use std::{fmt, time::Duration};

use super::TokenSet;

/// The number of a state of an entry. It grows with each save and each delete.
///
/// It is what *newer* means: no clock is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub u64);

/// The number of a lock, by which late writes of an earlier holder are recognized.
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

/// What a store holds under a key. The default is an entry that was never written.
#[derive(Clone, Debug, Default)]
pub struct Stored {
    /// The number of this state.
    pub revision: Revision,
    /// `None`: nobody has logged in, or somebody has logged out.
    pub tokens: Option<TokenSet>,
    /// That somebody was about to spend the refresh token, and did not come back.
    pub intent: Option<Intent>,
}

/// The record that a refresh token is about to be spent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intent {
    /// Whose refresh token.
    pub revision: Revision,
    /// By whom, for people: which process it was.
    pub holder: String,
}

/// New tokens for an entry.
#[derive(Clone, Copy, Debug)]
pub struct SaveRequest<'a> {
    /// The lock under which they were fetched.
    pub fence: Fence,
    /// The revision that they replace; if the entry has another, the save is refused.
    pub replaces: Revision,
    /// Their own revision: greater than the one that they replace.
    pub revision: Revision,
    /// The tokens.
    pub tokens: &'a TokenSet,
}

/// Whether a write was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum WriteOutcome {
    /// It is done.
    Applied,
    /// Somebody else has changed or locked the entry since.
    Conflict,
}

/// Whether a lock was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum LockAttempt {
    /// It was; this is its number.
    Acquired(Fence),
    /// Somebody holds it, at most for so long.
    HeldFor(Duration),
}
