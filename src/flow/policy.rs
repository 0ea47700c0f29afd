//! What can be set on one layer value.

use std::{fmt, sync::Arc, time::Duration};

use http::{Extensions, HeaderMap, StatusCode, Uri};

use super::{DrainLimit, NotAttached, SkipAuth};
use crate::{
    credential::{AnyRequestHead, Credential, RequestHead},
    error::{Error, ErrorKind},
    origin::{Check, Origins},
};

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

impl Policy {
    /// Whether a request may carry a credential at all.
    ///
    /// # Errors
    /// It is not known where the request goes.
    #[inline]
    pub(crate) fn admit(
        &self,
        uri: &Uri,
        extensions: &Extensions,
    ) -> Result<Option<NotAttached>, Error> {
        if !extensions.is_empty() && extensions.get::<SkipAuth>().is_some() {
            return Ok(Some(NotAttached::Skipped));
        }
        match self.origins.check(uri) {
            Check::Allowed => Ok(None),
            Check::Denied => Ok(Some(NotAttached::OtherOrigin)),
            Check::NoAuthority => Err(Error::new(ErrorKind::NoAuthority)),
        }
    }

    /// Whether a request needs no credential because it has one; `last` is the last one known.
    pub(crate) fn carries_its_own<C: Credential>(
        &self,
        last: Option<&C>,
        head: &dyn AnyRequestHead,
    ) -> bool {
        self.keep_existing && C::is_attached(last, &RequestHead::of(head))
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
