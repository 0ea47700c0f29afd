//! What the crate tells those who watch it: spans and events (feature `tracing`), counters and
//! histograms (feature `metrics`). `watching.md` lists them all, for users. Without the features
//! nothing is told, and it costs nothing.
//!
//! Nothing here is on the hot path, and nothing is given a secret: names, numbers, and errors, whose
//! messages hold none.

#![cfg_attr(
    not(all(feature = "tracing", feature = "metrics")),
    allow(
        dead_code,
        unused_variables,
        reason = "one who watches does not see all"
    )
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
pub(crate) use self::tokens::{TokenCall, adopted, saved_after_all, unsaved};

use crate::error::{Class, Error, ProviderError};

/// The kind of an error in a word, as OpenTelemetry's `error.type` wants it.
fn error_type(error: &Error) -> &'static str {
    match error.provider_error().map(ProviderError::class) {
        Some(Class::Transient) => "transient",
        Some(Class::Permanent) => "permanent",
        Some(Class::LoginRequired) => "login_required",
        None if error.is_timeout() => "timeout",
        None => "stopped",
    }
}
