//! A credential with its lifetime.

use std::time::{Duration, SystemTime};

/// A credential with its lifetime, as a provider returns it.
#[derive(Clone)]
pub struct Issued<C> {
    credential: C,
    lifetime: Lifetime,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lifetime {
    /// The credential is never refreshed, and a rejection is final.
    Permanent,
    /// The credential is used until it is rejected, or for the default lifetime.
    Unknown,
    /// The time from the provider's call to the expiry.
    In(Duration),
    At(SystemTime),
}

impl<C> Issued<C> {
    /// Creates a credential with an unknown lifetime. It is refreshed when it is rejected, or when
    /// the [`default_lifetime`](crate::RefreshSettings::default_lifetime) has passed, if one is
    /// set.
    pub fn new(credential: C) -> Self {
        Self {
            credential,
            lifetime: Lifetime::Unknown,
        }
    }

    /// Creates a static credential. It is never refreshed, and a response that rejects it is
    /// returned to the caller unchanged.
    pub fn permanent(credential: C) -> Self {
        Self {
            credential,
            lifetime: Lifetime::Permanent,
        }
    }

    /// Sets the lifetime. It is counted from just before the provider was called, so it includes
    /// the time that the server took to respond.
    ///
    /// Zero means that the credential has already expired. Callers that are waiting for it still
    /// use it, and the next refresh starts at least 1 s later.
    #[must_use]
    pub fn expires_in(mut self, lifetime: Duration) -> Self {
        self.lifetime = Lifetime::In(lifetime);
        self
    }

    /// Sets the time at which the credential expires, by the system clock.
    #[must_use]
    pub fn expires_at(mut self, moment: SystemTime) -> Self {
        self.lifetime = Lifetime::At(moment);
        self
    }

    /// Converts the credential, and keeps its lifetime.
    #[cfg(feature = "oauth2")]
    pub(crate) fn try_map<D, E>(
        self,
        make: impl FnOnce(C) -> Result<D, E>,
    ) -> Result<Issued<D>, E> {
        Ok(Issued {
            credential: make(self.credential)?,
            lifetime: self.lifetime,
        })
    }

    /// Returns the credential.
    #[must_use]
    pub fn credential(&self) -> &C {
        &self.credential
    }

    pub(crate) fn lifetime(&self) -> Lifetime {
        self.lifetime
    }

    pub(crate) fn into_credential(self) -> C {
        self.credential
    }
}

partial_debug!(Issued<C>, lifetime);
