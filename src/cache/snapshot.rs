//! The current credential, as readers see it.

use std::{
    sync::atomic::Ordering,
    time::{Duration, SystemTime},
};

use tokio::time::Instant;

use super::{
    freshness::{Phase, RefreshSchedule, missed_time},
    sync::AtomicU64,
};
use crate::time::Moment;

/// Maximum time between two checks of a credential, so that time missed by the monotonic clock is
/// noticed.
const CHECK_INTERVAL: Duration = Duration::from_millis(100);

/// The current credential. Immutable except for `recheck_at`.
pub(crate) struct Snapshot<C> {
    /// Identifies this publication. Readers compare it with the cache's version.
    pub(crate) version: u64,
    /// Identifies the credential. A refresh that returns the same credential again creates a new
    /// version of the same generation.
    pub(crate) generation: u64,
    pub(crate) credential: C,
    /// Whether the provider can never replace the credential, so that a rejection is final.
    pub(crate) permanent: bool,
    pub(crate) expiry: Option<RefreshSchedule>,
    /// When the credential was received.
    pub(crate) arrived: Moment,
    /// Readers use the credential without a check until this time, in nanoseconds since `arrived`.
    /// The next reader then checks it under the cache's lock, and schedules the next check.
    recheck_at: AtomicU64,
}

impl<C> Snapshot<C> {
    pub(crate) fn new(
        (version, generation): (u64, u64),
        credential: C,
        permanent: bool,
        expiry: Option<RefreshSchedule>,
        arrived: Moment,
    ) -> Self {
        let snapshot = Self {
            version,
            generation,
            credential,
            permanent,
            expiry,
            arrived,
            recheck_at: AtomicU64::new(u64::MAX),
        };
        if let Some(expiry) = expiry {
            snapshot.schedule_recheck(expiry.early_at, arrived.monotonic);
        }
        snapshot
    }

    /// Returns whether the last check still holds. Reads the clock once, or not at all for a
    /// credential that does not expire.
    #[inline]
    pub(crate) fn is_checked(&self) -> bool {
        let recheck_at = self.recheck_at.load(Ordering::Relaxed);
        // Adding to an `Instant` takes half as many instructions as subtracting one from another.
        recheck_at == u64::MAX
            || Instant::now() < self.arrived.monotonic + Duration::from_nanos(recheck_at)
    }

    /// Schedules the next check, at the given time or earlier.
    pub(crate) fn schedule_recheck(&self, at: Instant, now: Instant) {
        let at = at.min(now + CHECK_INTERVAL);
        let since = at.saturating_duration_since(self.arrived.monotonic);
        let nanos = u64::try_from(since.as_nanos()).unwrap_or(u64::MAX);
        self.recheck_at.store(nanos, Ordering::Relaxed);
    }

    pub(crate) fn phase(&self, now: Moment) -> Phase {
        match self.expiry {
            None => Phase::Fresh(None),
            Some(expiry) => {
                let missed = missed_time(self.arrived, now);
                let back = |at: Instant| at.checked_sub(missed).unwrap_or(now.monotonic);
                match expiry.phase(now.monotonic + missed) {
                    Phase::Fresh(until) => Phase::Fresh(until.map(back)),
                    Phase::Early(until) => Phase::Early(back(until)),
                    Phase::Expiring(until) => Phase::Expiring(back(until)),
                    Phase::Expired => Phase::Expired,
                }
            }
        }
    }

    /// Returns when the credential expires by the system clock, or `None` if it does not expire.
    pub(crate) fn expires_at(&self) -> Option<SystemTime> {
        let lifetime = self
            .expiry?
            .expires_at
            .saturating_duration_since(self.arrived.monotonic);
        self.arrived.wall.checked_add(lifetime)
    }
}
