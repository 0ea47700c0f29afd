//! A snapshot of a credential's state, for operators and health checks.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use super::{backoff::Failures, freshness::Phase, snapshot::Snapshot};
use crate::{error::Error, provider::Reason, time::Moment};

/// A snapshot of a credential's state. Prints as one line:
///
/// ```text
/// fresh for 52m 10s (generation 3)
/// expired (generation 3), failing for 2m 4s: failed to get a credential: connection refused
/// none, refreshing (initial)
/// logged out
/// ```
#[derive(Clone, Debug)]
pub struct Status {
    credential: Option<Known>,
    refreshing: Option<Reason>,
    failing: Option<(SystemTime, Error)>,
    logged_out: bool,
}

#[derive(Clone, Debug)]
struct Known {
    generation: u64,
    usable: bool,
    /// `None` for a credential without a known expiry.
    left: Option<Duration>,
    until: Option<SystemTime>,
}

impl Status {
    pub(super) fn new<C>(
        current: Option<&Snapshot<C>>,
        invalidated: bool,
        now: Moment,
        refreshing: Option<Reason>,
        failures: &Failures,
        logged_out: bool,
    ) -> Self {
        let credential = current.map(|current| Known {
            generation: current.generation,
            usable: !invalidated && current.phase(now) != Phase::Expired,
            left: current
                .expiry
                .map(|at| at.expires_at.saturating_duration_since(now.monotonic)),
            until: current.expires_at(),
        });
        let failing = failures
            .since()
            .map(|(since, error)| (since, error.clone()));
        Self {
            credential,
            refreshing,
            failing,
            logged_out,
        }
    }

    /// Returns whether there is a credential that has neither expired nor been invalidated.
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        self.credential.as_ref().is_some_and(|known| known.usable)
    }

    /// Returns the generation of the credential, if the cache has one.
    #[must_use]
    pub fn generation(&self) -> Option<u64> {
        self.credential.as_ref().map(|known| known.generation)
    }

    /// Returns when the credential expires, or `None` if there is no valid credential or its expiry
    /// is not known.
    #[must_use]
    pub fn fresh_until(&self) -> Option<SystemTime> {
        self.credential.as_ref().filter(|known| known.usable)?.until
    }

    /// Returns the reason for the in-flight refresh, if there is one.
    #[must_use]
    pub fn refreshing(&self) -> Option<Reason> {
        self.refreshing
    }

    /// Returns the time of the first consecutive failure and the most recent error, if the last
    /// refresh failed.
    #[must_use]
    pub fn failing(&self) -> Option<(SystemTime, &Error)> {
        self.failing.as_ref().map(|(since, error)| (*since, error))
    }

    /// Returns whether calls fail because the user has logged out.
    #[must_use]
    pub fn is_logged_out(&self) -> bool {
        self.logged_out
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.logged_out {
            return f.write_str("logged out");
        }
        match &self.credential {
            None => f.write_str("none")?,
            Some(known) => {
                match (known.usable, known.left) {
                    (false, _) => f.write_str("expired")?,
                    (true, None) => f.write_str("fresh")?,
                    (true, Some(left)) => write!(f, "fresh for {}", Span(left))?,
                }
                write!(f, " (generation {})", known.generation)?;
            }
        }
        if let Some(reason) = self.refreshing {
            write!(f, ", refreshing ({reason})")?;
        }
        if let Some((since, error)) = &self.failing {
            let time = SystemTime::now().duration_since(*since).unwrap_or_default();
            write!(f, ", failing for {}: {error:#}", Span(time))?;
        }
        Ok(())
    }
}

/// Prints a duration with its two largest units.
struct Span(Duration);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
        match seconds {
            0..60 => write!(f, "{seconds}s"),
            60..3600 => write!(f, "{minutes}m {}s", seconds % 60),
            3600..86_400 => write!(f, "{hours}h {}m", minutes % 60),
            _ => write!(f, "{days}d {}h", hours % 24),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_print_their_two_largest_units() {
        let read = |seconds| Span(Duration::from_secs(seconds)).to_string();
        assert_eq!(
            [read(0), read(59), read(3130), read(3600), read(90_000)],
            ["0s", "59s", "52m 10s", "1h 0m", "1d 1h"]
        );
    }
}
