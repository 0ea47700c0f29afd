//! What a provider returns: a credential and how long it lasts.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

/// A credential with its lifetime, as a provider returns it.
#[derive(Clone)]
pub struct Issued<C> {
    credential: C,
    lifetime: Lifetime,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lifetime {
    /// Never refreshed; its rejection is final.
    Permanent,
    /// Used until it is rejected, or for the layer's default lifetime.
    Unknown,
    /// Counted from before the provider was called.
    In(Duration),
    At(SystemTime),
}

impl<C> Issued<C> {
    /// A credential of unknown lifetime: it is refreshed when it is rejected, or when the layer's
    /// [`default_lifetime`](crate::RefreshSettings::default_lifetime) is over, if one is set.
    pub fn new(credential: C) -> Self {
        Self {
            credential,
            lifetime: Lifetime::Unknown,
        }
    }

    /// A credential that never changes: it is never refreshed, and its 401 goes to the caller
    /// untouched.
    pub fn permanent(credential: C) -> Self {
        Self {
            credential,
            lifetime: Lifetime::Permanent,
        }
    }

    /// The credential lasts so long, counted from before the provider was called (the time that
    /// the answer took is part of its life). Zero means that it is expired already: whoever waited
    /// for it uses it all the same, and the next refresh follows at least 1 s later.
    #[must_use]
    pub fn expires_in(mut self, lifetime: Duration) -> Self {
        self.lifetime = Lifetime::In(lifetime);
        self
    }

    /// The credential lasts until this moment of the system's clock.
    #[must_use]
    pub fn expires_at(mut self, moment: SystemTime) -> Self {
        self.lifetime = Lifetime::At(moment);
        self
    }

    /// Another credential that is made from this one and lasts as long.
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

    /// The credential.
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

impl<C> fmt::Debug for Issued<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issued")
            .field("lifetime", &self.lifetime)
            .finish_non_exhaustive()
    }
}
