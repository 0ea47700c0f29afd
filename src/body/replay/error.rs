//! The error of a sending that lost its body.

use std::{error::Error as StdError, fmt};

/// Why a [`ReplayBody`](crate::ReplayBody) ended before its end, when it wasn't the wrapped body
/// that failed.
///
/// The client that sends the body shows it as the cause of its own error.
#[derive(Clone, Debug)]
pub struct ReplayError {
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A later sending has the body now.
    TakenOver,
    /// What was read before is not there any more.
    Gone,
}

impl ReplayError {
    /// Whether a retry took the body over. It is what an upload ends with whose answer came early.
    #[must_use]
    pub fn is_taken_over(&self) -> bool {
        self.kind == Kind::TakenOver
    }

    /// Whether the body could not be sent from its start any more, because it grew beyond its cap
    /// or failed. Asking [`can_replay`](crate::CloneBody::can_replay) before sending avoids it.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.kind == Kind::Gone
    }
}

impl From<Kind> for ReplayError {
    fn from(kind: Kind) -> Self {
        Self { kind }
    }
}

impl fmt::Display for ReplayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            Kind::TakenOver => "the request body was taken over by a retry",
            Kind::Gone => {
                "the request body cannot be sent from its start any more: it grew beyond the cap \
                 of what is kept, or it failed"
            }
        })
    }
}

impl StdError for ReplayError {}
