//! How many refreshes rejections may cause.
//!
//! A rejection is not always about a credential's age: a token with the wrong audience is
//! rejected for ever, and refreshing it at every request would only load the token endpoint.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

use crate::time::ExponentialBackoff;

/// So many refreshes within [`WINDOW`], for credentials that something accepted.
const ALLOWED: usize = 5;
/// Also the time without rejection that ends the backoff.
const WINDOW: Duration = Duration::from_secs(30);
const BACKOFF: ExponentialBackoff =
    ExponentialBackoff::new(Duration::from_secs(1), Duration::from_secs(300));

#[derive(Debug, Default)]
pub(crate) struct Budget {
    /// When refreshes were caused by rejections, within the window.
    spent: VecDeque<Instant>,
    /// The one refresh for credentials that nothing ever accepted was made.
    unaccepted_spent: bool,
    backoff: Option<Backoff>,
    /// The last time at which a credential was published that differs from the one before, or
    /// the current one was rejected.
    disturbed_at: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Backoff {
    step: u32,
    until: Instant,
}

impl Budget {
    /// A new credential is in use.
    pub(crate) fn published(&mut self, now: Instant) {
        self.settle(now);
        self.disturbed_at = Some(now);
    }

    /// The current credential was rejected, and nobody asks for a refresh because of it.
    pub(crate) fn rejected(&mut self, now: Instant) {
        self.settle(now);
        self.disturbed_at = Some(now);
    }

    /// The current credential was rejected: may it be refreshed?
    ///
    /// # Errors
    /// Not before the given moment.
    pub(crate) fn spend(&mut self, accepted: bool, now: Instant) -> Result<(), Instant> {
        self.rejected(now);
        if let Some(backoff) = &mut self.backoff {
            if now < backoff.until {
                return Err(backoff.until);
            }
            *backoff = Backoff::at(backoff.step + 1, now);
            return Ok(());
        }
        while self
            .spent
            .front()
            .is_some_and(|at| now.saturating_duration_since(*at) >= WINDOW)
        {
            self.spent.pop_front();
        }
        if accepted {
            self.unaccepted_spent = false;
        }
        if self.spent.len() >= ALLOWED || self.unaccepted_spent {
            let backoff = Backoff::at(0, now);
            self.backoff = Some(backoff);
            return Err(backoff.until);
        }
        self.unaccepted_spent = !accepted;
        self.spent.push_back(now);
        Ok(())
    }

    /// Whether refreshes because of rejections are held back, or were at the last one.
    pub(crate) fn is_backing_off(&self) -> bool {
        self.backoff.is_some()
    }

    /// A credential that stayed unrejected for long enough ends everything that was held against
    /// its predecessors.
    fn settle(&mut self, now: Instant) {
        let quiet = |at: Instant| now.saturating_duration_since(at) >= WINDOW;
        if self.disturbed_at.is_some_and(quiet) {
            *self = Self::default();
        }
    }
}

impl Backoff {
    fn at(step: u32, now: Instant) -> Self {
        Self {
            step,
            until: now + BACKOFF.delay(step),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secs(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    /// Rule 7, P16.
    #[test]
    fn a_credential_that_nothing_accepted_is_refreshed_once() {
        let start = Instant::now();
        let mut budget = Budget::default();
        budget.published(start);
        assert_eq!(budget.spend(false, start), Ok(()));
        budget.published(start);
        assert_eq!(budget.spend(false, start), Err(start + secs(1.0)));
    }

    /// Rule 7.
    #[test]
    fn accepted_credentials_are_refreshed_five_times_in_thirty_seconds() {
        let start = Instant::now();
        let mut budget = Budget::default();
        for n in 0..5 {
            budget.published(start + secs(f64::from(n)));
            assert_eq!(
                budget.spend(true, start + secs(f64::from(n))),
                Ok(()),
                "refresh {n}"
            );
        }
        assert!(budget.spend(true, start + secs(5.0)).is_err());
    }

    /// Rule 7: a credential that lives for ten seconds is no reason for a backoff.
    #[test]
    fn a_revocation_every_ten_seconds_is_always_refreshed() {
        let start = Instant::now();
        let mut budget = Budget::default();
        for n in 0..100 {
            let now = start + secs(10.0 * f64::from(n));
            budget.published(now);
            assert_eq!(budget.spend(true, now + secs(9.9)), Ok(()), "refresh {n}");
        }
    }

    /// Rule 7, P16: also when another route accepts the same credential in between.
    #[test]
    fn endless_rejections_back_off_from_a_second_doubling_to_five_minutes() {
        let start = Instant::now();
        let mut budget = Budget::default();
        budget.published(start);
        let mut refreshes = vec![];
        for tenth in 0..36_000 {
            let now = start + secs(f64::from(tenth) / 10.0);
            if budget.spend(true, now).is_ok() {
                refreshes.push((now - start).as_secs());
                budget.published(now);
            }
        }
        assert_eq!(refreshes[..5], [0; 5], "the budget of the first 30 s");
        let gaps: Vec<_> = refreshes[5..]
            .windows(2)
            .map(|pair| pair[1] - pair[0])
            .collect();
        assert_eq!(
            gaps[..9],
            [2, 4, 8, 16, 32, 64, 128, 256, 300],
            "{refreshes:?}"
        );
    }

    /// Rule 7.
    #[test]
    fn thirty_seconds_without_rejection_end_the_backoff_and_an_acceptance_does_not() {
        let start = Instant::now();
        let mut budget = Budget::default();
        budget.published(start);
        assert!(budget.spend(false, start).is_ok());
        budget.published(start);
        assert!(budget.spend(false, start).is_err());
        assert!(
            budget.spend(true, start + secs(0.5)).is_err(),
            "accepted elsewhere"
        );
        assert!(budget.spend(true, start + secs(31.0)).is_ok());
        assert!(
            budget.spend(true, start + secs(31.0)).is_ok(),
            "the budget is whole again"
        );
    }

    /// Rule 7: the time starts when the credential is there, however long that took.
    #[test]
    fn a_credential_has_to_stay_unrejected_for_thirty_seconds_of_its_own() {
        let start = Instant::now();
        let mut budget = Budget::default();
        assert!(budget.spend(false, start).is_ok());
        budget.published(start + secs(20.0));
        assert!(budget.spend(false, start + secs(49.9)).is_err());
        budget.published(start + secs(60.0));
        assert!(budget.spend(false, start + secs(90.0)).is_ok());
    }
}
