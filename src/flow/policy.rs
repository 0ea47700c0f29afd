//! What can be set on one layer value.

use std::{fmt, sync::Arc, time::Duration};

use http::{HeaderMap, StatusCode};

use super::DrainLimit;
use crate::origin::Origins;

pub(crate) type RejectedIf = Arc<dyn Fn(StatusCode, &HeaderMap) -> bool + Send + Sync>;

#[derive(Clone)]
pub(crate) struct Policy {
    pub(crate) origins: Origins,
    pub(crate) retry: bool,
    pub(crate) keep_existing: bool,
    /// `None` stands for status 401.
    pub(crate) rejected_if: Option<RejectedIf>,
    pub(crate) drain: DrainLimit,
}

impl Policy {
    pub(crate) fn new(origins: Origins) -> Self {
        Self {
            origins,
            retry: true,
            keep_existing: true,
            rejected_if: None,
            drain: DrainLimit {
                bytes: 64 * 1024,
                time: Duration::from_millis(100),
            },
        }
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy")
            .field("origins", &self.origins)
            .field("retry", &self.retry)
            .field("keep_existing", &self.keep_existing)
            .field("drain", &self.drain)
            .finish_non_exhaustive()
    }
}
