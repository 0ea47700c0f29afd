//! A refresh, from its start to its end.

use std::{future::Future, time::Duration};

use tokio::time::Instant;

use crate::{error::Error, provider::Reason};

/// One refresh, as those who watch see it.
pub(crate) struct Refresh {
    name: &'static str,
    reason: Reason,
    started_at: Instant,
    #[cfg(feature = "tracing")]
    span: tracing::Span,
}

/// How a refresh ended.
pub(crate) enum Outcome<'a> {
    Success {
        generation: u64,
        /// What the new credential has, where that is known.
        lifetime: Option<Duration>,
        /// What the old one had left, where there was one whose end is known.
        remaining: Option<Duration>,
    },
    Failure(&'a Error),
    /// A log-out or another credential came first.
    Superseded,
}

impl Refresh {
    /// The span follows from that of the caller who starts the refresh, but is no part of it: the
    /// refresh is for all, and can outlive the caller.
    pub(crate) fn start(name: &'static str, reason: Reason, started_at: Instant) -> Self {
        #[cfg(feature = "tracing")]
        let span = {
            use tracing::field::Empty;
            let span = tracing::info_span!(
                target: "tower_auth",
                parent: None,
                "refresh",
                name,
                %reason,
                outcome = Empty,
                generation = Empty,
                waiters = Empty,
                duration_ms = Empty,
                error.type = Empty,
            );
            span.follows_from(tracing::Span::current());
            span
        };
        Self {
            name,
            reason,
            started_at,
            #[cfg(feature = "tracing")]
            span,
        }
    }

    /// The provider's work, within the span.
    #[cfg(feature = "tracing")]
    pub(crate) fn over<W: Future + Unpin>(
        &self,
        work: impl FnOnce() -> W,
    ) -> tracing::instrument::Instrumented<W> {
        tracing::Instrument::instrument(self.span.in_scope(work), self.span.clone())
    }

    /// The provider's work.
    #[cfg(not(feature = "tracing"))]
    pub(crate) fn over<W: Future + Unpin>(&self, work: impl FnOnce() -> W) -> W {
        work()
    }

    /// The refresh timeout has passed, but an answer is on its way that must not be lost.
    pub(crate) fn overdue(&self) {
        #[cfg(feature = "tracing")]
        self.span.in_scope(|| {
            tracing::warn!(
                target: "tower_auth",
                "the refresh timeout has passed while the answer is being read and saved: callers \
                 get an error, the answer is not lost"
            );
        });
    }

    pub(crate) fn ended(&self, outcome: &Outcome<'_>, waiters: usize) {
        #[cfg(feature = "tracing")]
        self.tell(outcome, waiters);
        #[cfg(feature = "metrics")]
        self.count(outcome, waiters);
    }

    #[cfg(feature = "tracing")]
    fn tell(&self, outcome: &Outcome<'_>, waiters: usize) {
        let took = self.started_at.elapsed().as_millis();
        self.span.record("outcome", outcome.name());
        self.span.record("waiters", waiters);
        self.span
            .record("duration_ms", u64::try_from(took).unwrap_or(u64::MAX));
        let _entered = self.span.enter();
        match outcome {
            Outcome::Success {
                generation,
                lifetime,
                ..
            } => {
                self.span.record("generation", generation);
                let lifetime_s = lifetime.map(|lifetime| lifetime.as_secs());
                tracing::debug!(target: "tower_auth", generation, lifetime_s, "refreshed");
            }
            Outcome::Failure(error) => {
                let error_type = super::error_type(error);
                self.span.record("error.type", error_type);
                let retry_in_ms = error.retry_after().map(|wait| wait.as_millis() as u64);
                match error_type {
                    "transient" | "timeout" => tracing::warn!(
                        target: "tower_auth",
                        error = %format_args!("{error:#}"),
                        error_type,
                        retry_in_ms,
                        "the refresh failed"
                    ),
                    _ => tracing::error!(
                        target: "tower_auth",
                        error = %format_args!("{error:#}"),
                        error_type,
                        retry_in_ms,
                        "the refresh failed"
                    ),
                }
            }
            Outcome::Superseded => {
                tracing::debug!(
                    target: "tower_auth",
                    "not used: a log-out or another credential came first"
                );
            }
        }
    }

    #[cfg(feature = "metrics")]
    fn count(&self, outcome: &Outcome<'_>, waiters: usize) {
        use super::metrics::{REFRESH_DURATION, REFRESHES, REMAINING_LIFETIME, WAITERS};

        let reason = self.reason.as_str();
        let failure = match outcome {
            Outcome::Failure(error) => super::error_type(error),
            _ => "",
        };
        let labels = [
            ("name", self.name),
            ("reason", reason),
            ("outcome", outcome.name()),
            ("error.type", failure),
        ];
        metrics::counter!(REFRESHES, &labels).increment(1);
        let took = self.started_at.elapsed().as_secs_f64();
        metrics::histogram!(REFRESH_DURATION, &labels).record(took);
        let labels = [("name", self.name), ("reason", reason)];
        metrics::histogram!(WAITERS, &labels).record(waiters as f64);
        if let Outcome::Success {
            remaining: Some(remaining),
            ..
        } = outcome
        {
            metrics::histogram!(REMAINING_LIFETIME, &labels).record(remaining.as_secs_f64());
        }
    }
}

impl Outcome<'_> {
    fn name(&self) -> &'static str {
        match self {
            Self::Success { .. } => "success",
            Self::Failure(_) => "failure",
            Self::Superseded => "superseded",
        }
    }
}
