//! Determines when a credential is refreshed and when it expires.

use std::time::Duration;

use tokio::time::Instant;

use super::settings::RefreshSettings;
use crate::{
    provider::Lifetime,
    time::{MAX_LIFETIME, Moment},
};

/// Callers start to wait for the refresh this long before the expiry, or [`MAX_WAIT_FRACTION`] of
/// the lifetime before the expiry, whichever is shorter.
const MAX_WAIT_MARGIN: Duration = Duration::from_secs(10);
const MAX_WAIT_FRACTION: f64 = 0.05;
/// An early refresh starts at most this fraction of the lifetime before the expiry. The
/// `early_refresh` setting limits it further.
const MAX_EARLY_FRACTION: f64 = 0.4;
/// The margin of an early refresh is shortened at random by up to this fraction.
const EARLY_JITTER: f64 = 0.25;
/// Minimum time between the arrival of a credential and a refresh due to its lifetime, so that a
/// lifetime of 0 does not cause a loop.
const MIN_REFRESH_INTERVAL: Duration = Duration::from_secs(1);
/// How far the system clock may run ahead of the monotonic clock before the difference counts as
/// elapsed time. A larger difference means that the machine was suspended or the clock was set.
const MAX_CLOCK_DRIFT: Duration = Duration::from_secs(2);

/// The times at which the handling of a credential changes, in chronological order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RefreshSchedule {
    /// From this time, one caller starts a refresh, and no caller waits for it.
    pub(crate) early_at: Instant,
    /// From this time, callers wait for the refresh.
    pub(crate) wait_at: Instant,
    /// From this time, the credential is not used.
    pub(crate) expires_at: Instant,
}

/// How a credential is handled at a given time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Used without a refresh, until the given time.
    Fresh(Option<Instant>),
    /// Refreshed while callers use it, until the given time.
    Early(Instant),
    /// Refreshed while callers wait, until the given time. Used if the refresh fails.
    Expiring(Instant),
    Expired,
}

impl RefreshSchedule {
    /// Returns the schedule for a credential that was requested and arrived at the given times, or
    /// `None` if it does not expire. `draw` is a random number in `0.0..1.0`, which spreads the
    /// early refreshes of many processes.
    pub(crate) fn new(
        lifetime: Lifetime,
        settings: &RefreshSettings,
        requested_at: Instant,
        arrived: Moment,
        draw: f64,
    ) -> Option<Self> {
        let (base, lifetime) = match (lifetime, settings.default_lifetime) {
            (Lifetime::Permanent, _) | (Lifetime::Unknown, None) => return None,
            (Lifetime::In(lifetime), _) | (Lifetime::Unknown, Some(lifetime)) => {
                (requested_at, lifetime)
            }
            (Lifetime::At(moment), _) => (
                arrived.monotonic,
                moment.duration_since(arrived.wall).unwrap_or_default(),
            ),
        };
        let lifetime = lifetime.min(MAX_LIFETIME);
        let wait_margin = MAX_WAIT_MARGIN.min(lifetime.mul_f64(MAX_WAIT_FRACTION));
        let early_margin = early_refresh_margin(lifetime, settings, draw).max(wait_margin);

        let earliest = arrived.monotonic + MIN_REFRESH_INTERVAL;
        Some(Self {
            early_at: (base + (lifetime - early_margin)).max(earliest),
            wait_at: (base + (lifetime - wait_margin)).max(earliest),
            expires_at: (base + lifetime).max(earliest),
        })
    }

    /// Disables early refresh. Used if an early refresh returned the same credential again.
    pub(crate) fn without_early(mut self) -> Self {
        self.early_at = self.wait_at;
        self
    }

    pub(crate) fn phase(&self, now: Instant) -> Phase {
        if now < self.early_at {
            Phase::Fresh(Some(self.early_at))
        } else if now < self.wait_at {
            Phase::Early(self.wait_at)
        } else if now < self.expires_at {
            Phase::Expiring(self.expires_at)
        } else {
            Phase::Expired
        }
    }
}

/// Returns how long before the expiry an early refresh starts: at most the `early_refresh` setting
/// (5 min by default), minus the jitter. Returns zero if early refresh is off.
fn early_refresh_margin(lifetime: Duration, settings: &RefreshSettings, draw: f64) -> Duration {
    settings
        .early_refresh
        .unwrap_or_default()
        .min(lifetime.mul_f64(MAX_EARLY_FRACTION))
        .mul_f64(1.0 - draw * EARLY_JITTER)
}

/// Returns how much time the monotonic clock has missed between two readings, because it
/// stops while the machine is suspended.
///
/// A system clock that was set forward looks the same, which costs one refresh. A clock that was
/// set back is ignored.
pub(crate) fn missed_time(since: Moment, now: Moment) -> Duration {
    let by_wall = now.wall.duration_since(since.wall).unwrap_or_default();
    let by_monotonic = now.monotonic.saturating_duration_since(since.monotonic);
    let missed = by_wall.saturating_sub(by_monotonic);
    if missed > MAX_CLOCK_DRIFT {
        missed.min(MAX_LIFETIME)
    } else {
        Duration::ZERO
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    fn now() -> Moment {
        Moment {
            monotonic: Instant::now(),
            wall: SystemTime::now(),
        }
    }

    fn settings() -> RefreshSettings {
        RefreshSettings::default()
    }

    fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn expiry(lifetime: Lifetime, draw: f64) -> (Instant, RefreshSchedule) {
        let now = now();
        let expiry = RefreshSchedule::new(lifetime, &settings(), now.monotonic, now, draw);
        (now.monotonic, expiry.unwrap())
    }

    /// Rule 12.
    #[test]
    fn the_early_margin_is_five_minutes_or_two_fifths() {
        let (now, long) = expiry(Lifetime::In(secs(3600)), 0.0);
        assert_eq!(long.early_at, now + secs(3300));
        assert_eq!(long.wait_at, now + secs(3590));
        assert_eq!(long.expires_at, now + secs(3600));
        let (now, spread) = expiry(Lifetime::In(secs(3600)), 1.0);
        assert_eq!(spread.early_at, now + secs(3375));
        let (now, short) = expiry(Lifetime::In(secs(100)), 0.0);
        assert_eq!(short.early_at, now + secs(60));
        assert_eq!(short.wait_at, now + secs(95));
    }

    /// Rule 11, P8.
    #[test]
    fn no_refresh_is_due_within_a_second_of_arrival() {
        for millis in [0, 1, 10, 500, 999, 1000, 1001] {
            let (now, expiry) = expiry(Lifetime::In(Duration::from_millis(millis)), 0.0);
            assert!(expiry.early_at >= now + MIN_REFRESH_INTERVAL, "{millis} ms");
            assert!(expiry.early_at <= expiry.wait_at && expiry.wait_at <= expiry.expires_at);
        }
        let (now, past) = expiry(Lifetime::At(SystemTime::UNIX_EPOCH), 0.0);
        assert_eq!(past.expires_at, now + MIN_REFRESH_INTERVAL);
    }

    /// Rule 11, P9.
    #[test]
    fn an_absurd_lifetime_is_clamped() {
        let (now, expiry) = expiry(Lifetime::In(Duration::MAX), 0.5);
        assert_eq!(expiry.expires_at, now + MAX_LIFETIME);
        let far = SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 40);
        let (now, far) = self::expiry(Lifetime::At(far), 0.5);
        assert!(matches!(far.phase(now), Phase::Fresh(_)));
    }

    #[test]
    fn nine_years_are_not_clamped() {
        let years = secs(9 * 365 * 86_400);
        let (now, expiry) = expiry(Lifetime::In(years), 0.0);
        assert_eq!(expiry.expires_at, now + years);
    }

    #[test]
    fn each_phase_begins_at_its_time() {
        let (_, expiry) = expiry(Lifetime::In(secs(1000)), 0.0);
        let before = |at: Instant| expiry.phase(at.checked_sub(Duration::from_nanos(1)).unwrap());
        let RefreshSchedule {
            early_at,
            wait_at,
            expires_at,
        } = expiry;
        assert_eq!(before(early_at), Phase::Fresh(Some(early_at)));
        assert_eq!(expiry.phase(early_at), Phase::Early(wait_at));
        assert_eq!(before(wait_at), Phase::Early(wait_at));
        assert_eq!(expiry.phase(wait_at), Phase::Expiring(expires_at));
        assert_eq!(before(expires_at), Phase::Expiring(expires_at));
        assert_eq!(expiry.phase(expires_at), Phase::Expired);
    }

    /// Rule 11.
    #[test]
    fn the_lifetime_counts_from_the_request() {
        let arrived = now();
        let requested = arrived.monotonic - secs(3);
        let lifetime = Lifetime::In(secs(100));
        let expiry = RefreshSchedule::new(lifetime, &settings(), requested, arrived, 0.0).unwrap();
        assert_eq!(expiry.expires_at, arrived.monotonic + secs(97));
    }

    #[test]
    fn the_default_lifetime_applies_if_none_is_issued() {
        let now = now();
        let expiry = |lifetime, settings: &RefreshSettings| {
            RefreshSchedule::new(lifetime, settings, now.monotonic, now, 0.0)
        };
        let set = settings().default_lifetime(secs(60));
        let unknown = expiry(Lifetime::Unknown, &set).unwrap();
        assert_eq!(unknown.expires_at, now.monotonic + secs(60));
        assert_eq!(expiry(Lifetime::Permanent, &set), None);
        assert_eq!(expiry(Lifetime::Unknown, &settings()), None);
    }

    /// P11.
    #[test]
    fn time_missed_by_the_monotonic_clock_counts() {
        let start = now();
        let after = |monotonic, wall| Moment {
            monotonic: start.monotonic + secs(monotonic),
            wall: start.wall + secs(wall),
        };
        let missed = |monotonic, wall| missed_time(start, after(monotonic, wall));
        assert_eq!(missed(10, 10), Duration::ZERO);
        assert_eq!(
            missed(10, 12),
            Duration::ZERO,
            "two clocks never agree exactly"
        );
        assert_eq!(missed(10, 3610), secs(3600));
        assert_eq!(missed(3610, 10), Duration::ZERO);
        let set_back = Moment {
            wall: start.wall - secs(3600),
            ..after(5, 0)
        };
        assert_eq!(missed_time(start, set_back), Duration::ZERO);
    }
}
