//! The budget for refreshes that are caused by rejections.
//!
//! A rejection does not always mean that a credential has expired. A token with the wrong audience
//! is rejected forever, and a refresh for every request would only put load on the token endpoint.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

use crate::time::ExponentialBackoff;

/// Maximum number of rejection-driven refreshes per window for a credential that has been accepted.
const MAX_REFRESHES: usize = 5;
/// The window for [`MAX_REFRESHES`], and the time without a rejection that ends the backoff.
const WINDOW: Duration = Duration::from_secs(30);
const BACKOFF: ExponentialBackoff =
    ExponentialBackoff::new(Duration::from_secs(1), Duration::from_secs(300));

#[derive(Debug, Default)]
pub(crate) struct Budget {
    /// The times at which rejections caused refreshes within the window.
    spent: VecDeque<Instant>,
    /// Whether the one refresh for credentials that were never accepted has been started.
    unaccepted_spent: bool,
    backoff: Option<Backoff>,
    /// When a different credential was last published, or the current one was last rejected.
    disturbed_at: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Backoff {
    step: u32,
    until: Instant,
}

impl Budget {
    /// Records that a different credential was published.
    pub(crate) fn published(&mut self, now: Instant) {
        self.reset_if_quiet(now);
        self.disturbed_at = Some(now);
    }

    /// Records that the current credential was rejected, without asking for a refresh.
    pub(crate) fn rejected(&mut self, now: Instant) {
        self.reset_if_quiet(now);
        self.disturbed_at = Some(now);
    }

    /// Records that the current credential was rejected, and spends one refresh on it.
    ///
    /// # Errors
    /// The budget is spent. A rejection may cause a refresh again from the returned time on.
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
        if self.spent.len() >= MAX_REFRESHES || self.unaccepted_spent {
            let backoff = Backoff::at(0, now);
            self.backoff = Some(backoff);
            return Err(backoff.until);
        }
        self.unaccepted_spent = !accepted;
        self.spent.push_back(now);
        Ok(())
    }

    /// Returns whether rejection-driven refreshes are delayed, or were delayed at the last
    /// rejection.
    pub(crate) fn is_backing_off(&self) -> bool {
        self.backoff.is_some()
    }

    /// Resets the budget if the current credential has not been rejected for a whole window.
    fn reset_if_quiet(&mut self, now: Instant) {
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
    fn an_unaccepted_credential_is_refreshed_once() {
        let start = Instant::now();
        let mut budget = Budget::default();
        budget.published(start);
        assert_eq!(budget.spend(false, start), Ok(()));
        budget.published(start);
        assert_eq!(budget.spend(false, start), Err(start + secs(1.0)));
    }

    /// Rule 7.
    #[test]
    fn accepted_credentials_get_five_refreshes_in_thirty_seconds() {
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

    /// Rule 7: a credential that is revoked every ten seconds does not cause a backoff.
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

    /// Rule 7, P16: this holds even if another route accepts the same credential in between.
    #[test]
    fn endless_rejections_back_off_up_to_five_minutes() {
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
    fn thirty_seconds_without_a_rejection_end_the_backoff() {
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
            "the budget is reset"
        );
    }

    /// Rule 7: the 30 s start when the credential is published, not when its refresh is started.
    #[test]
    fn the_thirty_seconds_start_with_the_credential() {
        let start = Instant::now();
        let mut budget = Budget::default();
        assert!(budget.spend(false, start).is_ok());
        budget.published(start + secs(20.0));
        assert!(budget.spend(false, start + secs(49.9)).is_err());
        budget.published(start + secs(60.0));
        assert!(budget.spend(false, start + secs(90.0)).is_ok());
    }
}
