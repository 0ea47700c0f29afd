//! The error type for an attempt that cannot read its body.

use std::{error::Error as StdError, fmt};

use crate::error::chain_debug;

/// The reason why a [`ReplayBody`](crate::ReplayBody) failed although the wrapped body did not.
///
/// The client that sends the body reports it as the source of the client's error.
#[derive(Clone)]
pub struct ReplayError {
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A later attempt reads the body now.
    TakenOver,
    /// The start of the body is no longer recorded.
    Gone,
}

impl ReplayError {
    /// Returns whether a retry took over the body. An upload fails with this error if the response
    /// arrives before the upload is complete.
    #[must_use]
    pub fn is_taken_over(&self) -> bool {
        self.kind == Kind::TakenOver
    }

    /// Returns whether the body can no longer be sent from its start, because it exceeded its cap
    /// or failed. To avoid this, call [`can_replay`](crate::CloneBody::can_replay) before sending.
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
                "the request body cannot be sent from its start again: it exceeded the cap of the \
                 replay body, or it failed"
            }
        })
    }
}

chain_debug!(ReplayError);

impl StdError for ReplayError {}
