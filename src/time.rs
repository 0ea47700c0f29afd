//! Time arithmetic shared by the whole crate.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

/// Maximum lifetime: ten years. Longer lifetimes are clamped to this, so that adding one to an
/// `Instant` or a `SystemTime` cannot overflow.
pub(crate) const MAX_LIFETIME: Duration = Duration::from_secs(10 * 365 * 86_400);

/// A reading of both clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    /// Stops while the machine is suspended.
    pub(crate) monotonic: Instant,
    pub(crate) wall: SystemTime,
}

/// A delay that doubles with each attempt, up to a maximum.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ExponentialBackoff {
    first: Duration,
    max: Duration,
}

impl ExponentialBackoff {
    pub(crate) const fn new(first: Duration, max: Duration) -> Self {
        Self { first, max }
    }

    /// Returns `first` × 2ⁿ, but at most `max`, where n is the number of earlier attempts.
    pub(crate) fn delay(self, earlier: u32) -> Duration {
        let factor = 2u32.saturating_pow(earlier);
        self.first.saturating_mul(factor).min(self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_doubles_up_to_its_maximum() {
        let backoff = ExponentialBackoff::new(Duration::from_secs(1), Duration::from_secs(5));
        let delays = [0, 1, 2, 3, 31, 32, u32::MAX].map(|n| backoff.delay(n).as_secs());
        assert_eq!(delays, [1, 2, 4, 5, 5, 5, 5]);
    }

    #[test]
    fn backoff_is_capped_however_long_it_starts() {
        let backoff = ExponentialBackoff::new(Duration::MAX, MAX_LIFETIME);
        assert_eq!(backoff.delay(7), MAX_LIFETIME);
    }
}
