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

use crate::error::{Class, Error, Kind, ProviderError};

/// The kind of an error in a word, as OpenTelemetry's `error.type` wants it.
fn error_type(error: &Error) -> &'static str {
    match error.kind() {
        Kind::Provider(error) => class_of(error),
        Kind::Timeout => "timeout",
        _ => "stopped",
    }
}

fn class_of(error: &ProviderError) -> &'static str {
    match error.class() {
        Class::Transient => "transient",
        Class::Permanent => "permanent",
        Class::LoginRequired => "login_required",
    }
}
