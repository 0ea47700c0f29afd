//! The request settings of one clone of a layer.

use std::{sync::Arc, time::Duration};

use http::{Extensions, HeaderMap, StatusCode, Uri};

use super::{NotAttached, SkipAuth};
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
    /// `None` means status 401.
    pub(crate) rejected_if: Option<RejectedIf>,
    pub(crate) drain: DrainLimit,
}

/// How much of the body of a rejection is read, and for how long, so that its connection can be
/// reused.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DrainLimit {
    pub(crate) bytes: u64,
    pub(crate) time: Duration,
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

    /// Checks whether a request may carry a credential. Returns the reason if it may not.
    ///
    /// # Errors
    /// The URI does not name a host.
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

    /// Returns whether the request keeps its own credential. `last` is the layer's last known
    /// credential.
    pub(crate) fn is_attached<C: Credential>(
        &self,
        last: Option<&C>,
        head: &dyn AnyRequestHead,
    ) -> bool {
        self.keep_existing && C::is_attached(last, &RequestHead::of(head))
    }
}

partial_debug!(Policy, origins, retry, keep_existing, drain);
