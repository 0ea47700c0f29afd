//! Detects a refresh whose runtime is not being driven.
//!
//! A refresh enforces its own deadline, because it runs as a task with a timer. That timer never
//! fires in one case: the runtime exists, but no thread drives it. A current-thread runtime is in
//! this state between two calls to `block_on`. The task then neither ends nor is dropped, and its
//! refresh would block every later one: callers on other runtimes would time out forever.
//!
//! Therefore, callers watch the refresh. A refresh that should have ended is first marked as
//! suspected, and is given up a second later unless it has ended by then. This delay preserves a
//! result that is ready to be read (rule 2): after everything has been paused (by a blocked
//! runtime, a stopped process or a suspended machine), a caller may run before the refresh task
//! does.
//!
//! A committed refresh is never given up, because its result must not be lost.

use std::{sync::OnceLock, time::Duration};

use tokio::time::Instant;

/// How long after the deadline a refresh becomes suspected. The refresh itself releases its waiters
/// at the deadline; this leaves time for that to happen.
const DEADLINE_GRACE: Duration = Duration::from_millis(100);

/// How much time a suspected refresh still has to end by itself.
const LAST_CHANCE: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Watchdog {
    deadline: Instant,
    /// When a caller first noticed that the refresh should have ended.
    suspected_at: OnceLock<Instant>,
}

impl Watchdog {
    pub(super) fn new(deadline: Instant) -> Self {
        Self {
            deadline,
            suspected_at: OnceLock::new(),
        }
    }

    /// Returns whether a refresh that has not ended yet must be given up. The first call after the
    /// deadline only marks it as suspected.
    pub(super) fn is_lost(&self, now: Instant, is_committed: bool) -> bool {
        !is_committed
            && now > self.deadline + DEADLINE_GRACE
            && now >= *self.suspected_at.get_or_init(|| now) + LAST_CHANCE
    }

    /// Returns the time at which a waiter checks the refresh again.
    pub(super) fn waits_until(&self) -> Instant {
        match self.suspected_at.get() {
            Some(at) => *at + LAST_CHANCE,
            None => self.deadline + DEADLINE_GRACE,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn no_refresh_is_lost_before_its_deadline() {
        let deadline = Instant::now();
        let watchdog = Watchdog::new(deadline);
        for _ in 0..3 {
            assert!(!watchdog.is_lost(deadline + DEADLINE_GRACE, false));
        }
        assert_eq!(watchdog.waits_until(), deadline + DEADLINE_GRACE);
    }

    /// Rule 2.
    #[test]
    fn a_suspected_refresh_has_one_more_second() {
        let deadline = Instant::now();
        let watchdog = Watchdog::new(deadline);
        let noticed = deadline + Duration::from_secs(3600);
        assert!(!watchdog.is_lost(noticed, false));
        assert_eq!(watchdog.waits_until(), noticed + LAST_CHANCE);
        assert!(!watchdog.is_lost(noticed + millis(999), false));
        assert!(watchdog.is_lost(noticed + millis(1000), false));
    }

    /// Rule 2.
    #[test]
    fn a_committed_refresh_is_never_lost() {
        let deadline = Instant::now();
        let watchdog = Watchdog::new(deadline);
        for hours in 1..10 {
            let now = deadline + Duration::from_secs(3600 * hours);
            assert!(!watchdog.is_lost(now, true));
        }
    }
}
