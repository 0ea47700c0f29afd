//! The span, the events and the metrics of a refresh.

use std::{future::Future, time::Duration};

use tokio::time::Instant;

use crate::{error::Error, provider::Reason};

/// A reporter for one refresh.
pub(crate) struct Refresh {
    name: &'static str,
    reason: Reason,
    started_at: Instant,
    #[cfg(feature = "tracing")]
    span: tracing::Span,
}

/// The outcome of a refresh.
pub(crate) enum Outcome<'a> {
    Success {
        generation: u64,
        /// The lifetime of the new credential, if it is known.
        lifetime: Option<Duration>,
        /// The remaining lifetime of the replaced credential, if it is known.
        remaining: Option<Duration>,
    },
    Failure(&'a Error),
    /// A logout or a new credential made the result obsolete.
    Superseded,
}

impl Refresh {
    /// Starts the span.
    ///
    /// The span follows from the span of the caller that starts the refresh, but is not its child:
    /// the refresh serves all callers, and can outlive the caller that started it.
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

    /// Calls the provider within the span.
    #[cfg(feature = "tracing")]
    pub(crate) fn over<W: Future + Unpin>(
        &self,
        work: impl FnOnce() -> W,
    ) -> tracing::instrument::Instrumented<W> {
        tracing::Instrument::instrument(self.span.in_scope(work), self.span.clone())
    }

    /// Calls the provider.
    #[cfg(not(feature = "tracing"))]
    pub(crate) fn over<W: Future + Unpin>(&self, work: impl FnOnce() -> W) -> W {
        work()
    }

    /// Reports that the refresh timeout passed for a refresh that must not be canceled.
    pub(crate) fn overdue(&self) {
        #[cfg(feature = "tracing")]
        self.span.in_scope(|| {
            tracing::warn!(
                target: "tower_auth",
                "the refresh timeout passed while a token response was being read and saved: callers \
                 get an error, but the response is not lost"
            );
        });
    }

    pub(crate) fn ended(&self, outcome: &Outcome<'_>, waiters: usize) {
        #[cfg(feature = "tracing")]
        self.emit(outcome, waiters);
        #[cfg(feature = "metrics")]
        self.count(outcome, waiters);
    }

    #[cfg(feature = "tracing")]
    fn emit(&self, outcome: &Outcome<'_>, waiters: usize) {
        let took = self.started_at.elapsed().as_millis();
        self.span.record("outcome", outcome.as_str());
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
                tracing::debug!(target: "tower_auth", generation, lifetime_s, "a refresh succeeded");
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
                        "a refresh failed"
                    ),
                    _ => tracing::error!(
                        target: "tower_auth",
                        error = %format_args!("{error:#}"),
                        error_type,
                        retry_in_ms,
                        "a refresh failed"
                    ),
                }
            }
            Outcome::Superseded => {
                tracing::debug!(
                    target: "tower_auth",
                    "the result of a refresh is not used: a logout or a new credential came first"
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
            ("outcome", outcome.as_str()),
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
    fn as_str(&self) -> &'static str {
        match self {
            Self::Success { .. } => "success",
            Self::Failure(_) => "failure",
            Self::Superseded => "superseded",
        }
    }
}
