//! The events and the metrics of rejected requests.

use std::{fmt, time::Duration};

/// Reports that a rejected request is retried, either with a newer credential or because the
/// credential answered the server's challenge.
pub(crate) fn resent(name: &'static str, generation: u64, answered: bool) {
    let outcome = if answered { "answered" } else { "retried" };
    #[cfg(feature = "tracing")]
    tracing::debug!(target: "tower_auth", name, generation, outcome, "a rejected request is retried");
    #[cfg(feature = "metrics")]
    count(name, outcome);
}

/// Reports that a rejection is returned to the caller.
pub(crate) fn not_retried(name: &'static str, outcome: &'static str, why: &dyn fmt::Display) {
    #[cfg(feature = "tracing")]
    tracing::debug!(target: "tower_auth", name, outcome, %why, "a rejection is returned to the caller");
    #[cfg(feature = "metrics")]
    count(name, outcome);
}

/// Reports that rejections have used up the refresh budget, so that further refreshes are delayed.
pub(crate) fn held_back(name: &'static str, wait: Duration) {
    #[cfg(feature = "tracing")]
    tracing::warn!(
        target: "tower_auth",
        name,
        retry_in_ms = wait.as_millis() as u64,
        "credentials are rejected repeatedly, so refreshes caused by rejections are delayed: check \
         that the audience, the scopes and the origin are the ones that the server expects"
    );
}

#[cfg(feature = "metrics")]
fn count(name: &'static str, outcome: &'static str) {
    let labels = [("name", name), ("outcome", outcome)];
    metrics::counter!(super::metrics::REJECTIONS, &labels).increment(1);
}
