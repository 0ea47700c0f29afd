//! Determines when the next attempt is due after a failed refresh.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use crate::{
    error::{Class, Error},
    time::{ExponentialBackoff, MAX_LIFETIME, Moment},
};

/// The delays between failed attempts to get a credential. In the meantime, callers get the error
/// of the last attempt immediately.
///
/// ```
/// use std::time::Duration;
/// use tower_auth::Backoff;
///
/// let backoff = Backoff::default().transient(Duration::from_secs(1), Duration::from_secs(60));
/// # let _ = backoff;
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Backoff {
    transient: ExponentialBackoff,
    permanent: ExponentialBackoff,
    max_retry_after: Duration,
}

/// Minimum delay after a failure, regardless of the jitter.
const MIN_DELAY: Duration = Duration::from_millis(50);

impl Backoff {
    /// Sets the delay after the n-th consecutive transient failure, counted from 0. It is a random
    /// time between 50 ms and `first` × 2ⁿ, but at most `max` ("full jitter"). Default: 0.5 s and
    /// 30 s.
    pub fn transient(mut self, first: Duration, max: Duration) -> Self {
        self.transient = ExponentialBackoff::new(first, max);
        self
    }

    /// Sets the delay after the n-th consecutive permanent failure: `first` × 2ⁿ, but at most `max`.
    /// Default: 2 s and 60 s.
    pub fn permanent(mut self, first: Duration, max: Duration) -> Self {
        self.permanent = ExponentialBackoff::new(first, max);
        self
    }

    /// Sets the maximum delay that a server can request with `Retry-After`. Default: 5 min.
    pub fn max_retry_after(mut self, max: Duration) -> Self {
        self.max_retry_after = max;
        self
    }

    /// Returns the delay after a failure that follows `earlier` consecutive failures of its class.
    /// `draw` is a random number in `0.0..1.0`.
    fn wait(&self, class: Class, earlier: u32, asked: Option<Duration>, draw: f64) -> Duration {
        let wait = match class {
            Class::Transient => self.transient.delay(earlier).mul_f64(draw),
            Class::Permanent | Class::LoginRequired => self.permanent.delay(earlier),
        };
        let asked = asked.unwrap_or_default().min(self.max_retry_after);
        wait.max(asked).clamp(MIN_DELAY, MAX_LIFETIME)
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            transient: ExponentialBackoff::new(Duration::from_millis(500), Duration::from_secs(30)),
            permanent: ExponentialBackoff::new(Duration::from_secs(2), Duration::from_secs(60)),
            max_retry_after: Duration::from_secs(300),
        }
    }
}

/// The failures since the last success.
#[derive(Debug, Default)]
pub(crate) struct Failures {
    last: Option<Failure>,
}

#[derive(Debug)]
struct Failure {
    error: Error,
    class: Class,
    /// The number of consecutive failures of this class before this one.
    earlier: u32,
    since: SystemTime,
    /// `None` means that no attempt is made until a user intervenes.
    retry_at: Option<Instant>,
}

impl Failures {
    /// Records a failure. Returns the error to pass to waiters.
    pub(crate) fn record(
        &mut self,
        error: Error,
        backoff: &Backoff,
        now: Moment,
        draw: f64,
    ) -> Error {
        let (class, asked) = match error.provider_error() {
            Some(error) => (error.class(), error.retry_after()),
            None => (Class::Transient, None),
        };
        let (earlier, since) = match &self.last {
            Some(last) if last.class == class => (last.earlier.saturating_add(1), last.since),
            Some(last) => (0, last.since),
            None => (0, now.wall),
        };
        let retry_at = match class {
            Class::LoginRequired => None,
            _ => Some(now.monotonic + backoff.wait(class, earlier, asked, draw)),
        };
        let error = error.retry_at(retry_at);
        self.last = Some(Failure {
            error: error.clone(),
            class,
            earlier,
            since,
            retry_at,
        });
        error
    }

    pub(crate) fn clear(&mut self) {
        self.last = None;
    }

    /// Returns the error for callers while no attempt is due.
    pub(crate) fn current_error(&self, now: Instant) -> Option<Error> {
        let last = self.last.as_ref()?;
        let due = last.retry_at.is_some_and(|at| now >= at);
        (!due).then(|| last.error.clone().remembered())
    }

    /// Returns whether no attempt is made until a user intervenes.
    #[cfg(feature = "per-key")]
    pub(crate) fn is_final(&self) -> bool {
        self.last
            .as_ref()
            .is_some_and(|last| last.retry_at.is_none())
    }

    /// Returns the time of the first failure and the error of the last one.
    pub(crate) fn since(&self) -> Option<(SystemTime, &Error)> {
        self.last.as_ref().map(|last| (last.since, &last.error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ProviderError;

    fn now() -> Moment {
        Moment {
            monotonic: Instant::now(),
            wall: SystemTime::now(),
        }
    }

    fn secs(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    /// Rule 3.
    #[test]
    fn transient_delays_double_from_half_a_second_to_thirty() {
        let backoff = Backoff::default();
        let longest: Vec<_> = (0..9)
            .map(|n| backoff.wait(Class::Transient, n, None, 1.0).as_secs_f64())
            .collect();
        assert_eq!(longest, [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]);
        assert_eq!(backoff.wait(Class::Transient, 9, None, 0.0), secs(0.05));
        assert_eq!(
            backoff.wait(Class::Transient, u32::MAX, None, 1.0),
            secs(30.0)
        );
    }

    /// Rule 3, P7.
    #[test]
    fn permanent_delays_double_from_two_seconds_to_sixty() {
        let backoff = Backoff::default();
        let waits: Vec<_> = (0..7)
            .map(|n| backoff.wait(Class::Permanent, n, None, 0.3).as_secs_f64())
            .collect();
        assert_eq!(waits, [2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]);
    }

    /// P5.
    #[test]
    fn retry_after_is_honored_up_to_five_minutes() {
        let wait = |asked| Backoff::default().wait(Class::Transient, 0, Some(secs(asked)), 0.5);
        assert_eq!(wait(0.0), secs(0.25));
        assert_eq!(wait(7.0), secs(7.0));
        assert_eq!(wait(86_400.0), secs(300.0));
    }

    #[test]
    fn every_delay_can_be_set() {
        let backoff = Backoff::default()
            .transient(secs(1.0), secs(3.0))
            .permanent(secs(5.0), secs(7.0))
            .max_retry_after(secs(11.0));
        let waits = |class| [0, 1, 2].map(|n| backoff.wait(class, n, None, 1.0));
        assert_eq!(waits(Class::Transient), [1.0, 2.0, 3.0].map(secs));
        assert_eq!(waits(Class::Permanent), [5.0, 7.0, 7.0].map(secs));
        let asked = backoff.wait(Class::Permanent, 0, Some(secs(60.0)), 1.0);
        assert_eq!(asked, secs(11.0));
    }

    /// Rule 3.
    #[test]
    fn each_class_of_failures_is_counted_separately() {
        let now = now();
        let mut failures = Failures::default();
        let mut wait = |error: ProviderError| {
            let error = Error::provider(error);
            failures.record(error, &Backoff::default(), now, 0.5);
            failures.last.as_ref().unwrap().retry_at.unwrap() - now.monotonic
        };
        assert_eq!(wait(ProviderError::permanent("x")), secs(2.0));
        assert_eq!(wait(ProviderError::permanent("x")), secs(4.0));
        assert!(wait(ProviderError::transient("x")) <= secs(0.5));
        assert_eq!(wait(ProviderError::permanent("x")), secs(2.0));
    }

    #[test]
    fn only_login_required_stops_attempts() {
        let now = now();
        let later = now.monotonic + secs(1_000_000.0);
        let mut failures = Failures::default();
        let mut fail = |error: ProviderError| {
            let error = Error::provider(error);
            failures.record(error, &Backoff::default(), now, 0.5);
            (
                failures.current_error(now.monotonic).is_some(),
                failures.current_error(later).is_some(),
            )
        };
        assert_eq!(fail(ProviderError::transient("x")), (true, false));
        assert_eq!(fail(ProviderError::permanent("x")), (true, false));
        assert_eq!(fail(ProviderError::login_required("x")), (true, true));
    }
}
