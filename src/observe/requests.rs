//! What becomes of requests whose credential was rejected.

use std::{fmt, time::Duration};

/// A rejected request is sent again: with a newer credential, or because this one has answered the
/// server's challenge.
pub(crate) fn resent(name: &'static str, generation: u64, answered: bool) {
    let outcome = if answered { "answered" } else { "retried" };
    #[cfg(feature = "tracing")]
    tracing::debug!(target: "tower_auth", name, generation, outcome, "sending again after a rejection");
    #[cfg(feature = "metrics")]
    count(name, outcome);
}

/// A rejection goes to the caller.
pub(crate) fn not_retried(name: &'static str, outcome: &'static str, why: &dyn fmt::Display) {
    #[cfg(feature = "tracing")]
    tracing::debug!(target: "tower_auth", name, outcome, %why, "a rejection goes to the caller");
    #[cfg(feature = "metrics")]
    count(name, outcome);
}

/// Rejections have caused so many refreshes that the next ones wait.
pub(crate) fn held_back(name: &'static str, wait: Duration) {
    #[cfg(feature = "tracing")]
    tracing::warn!(
        target: "tower_auth",
        name,
        retry_in_ms = wait.as_millis() as u64,
        "credentials are rejected again and again: refreshes because of it are held back. Are \
         audience, scopes and origin those that the server wants?"
    );
}

#[cfg(feature = "metrics")]
fn count(name: &'static str, outcome: &'static str) {
    let labels = [("name", name), ("outcome", outcome)];
    metrics::counter!(super::metrics::REJECTIONS, &labels).increment(1);
}
