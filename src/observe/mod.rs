//! Spans and events (feature `tracing`), counters and histograms (feature `metrics`).
//!
//! The guide's `observability.md` page lists all of them for users. Without the features, these
//! functions compile to nothing.
//!
//! None of them is on the hot path, and none receives a secret: their arguments are names, numbers,
//! and errors, whose messages contain no secrets.

#![cfg_attr(
    not(all(feature = "tracing", feature = "metrics")),
    allow(dead_code, unused_variables, reason = "each feature uses a part of it")
)]

#[cfg(feature = "metrics")]
mod metrics;
mod refresh;
mod requests;
#[cfg(feature = "oauth2")]
mod tokens;

#[cfg(feature = "metrics")]
pub use self::metrics::describe as describe_metrics;
pub(crate) use self::refresh::{Outcome, Refresh};
pub(crate) use self::requests::{held_back, not_retried, resent};
#[cfg(feature = "oauth2")]
pub(crate) use self::tokens::{TokenCall, adopted, save_failed, save_recovered};

use crate::error::{Class, Error, ProviderError};

/// Returns the value of OpenTelemetry's `error.type` attribute for an error.
fn error_type(error: &Error) -> &'static str {
    match error.provider_error().map(ProviderError::class) {
        Some(Class::Transient) => "transient",
        Some(Class::Permanent) => "permanent",
        Some(Class::LoginRequired) => "login_required",
        None if error.is_timeout() => "timeout",
        None => "stopped",
    }
}
