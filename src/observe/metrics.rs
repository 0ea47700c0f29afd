//! The names of the metrics.

use metrics::{Unit, describe_counter, describe_histogram};

pub(super) const REFRESHES: &str = "tower_auth.refreshes";
pub(super) const REFRESH_DURATION: &str = "tower_auth.refresh.duration";
pub(super) const WAITERS: &str = "tower_auth.refresh.waiters";
pub(super) const REMAINING_LIFETIME: &str = "tower_auth.refresh.remaining_lifetime";
pub(super) const REJECTIONS: &str = "tower_auth.rejections";
#[cfg(feature = "oauth2")]
pub(super) const TOKEN_REQUEST_DURATION: &str = "tower_auth.token_request.duration";
#[cfg(feature = "oauth2")]
pub(super) const FAILED_SAVES: &str = "tower_auth.store.failed_saves";

/// Registers the descriptions and units of the crate's metrics with the recorder.
///
/// Call it once, after installing the recorder. Exporters then show the descriptions.
pub fn describe() {
    describe_counter!(REFRESHES, "Refreshes, by reason and outcome");
    describe_histogram!(REFRESH_DURATION, Unit::Seconds, "Duration of refreshes");
    describe_histogram!(WAITERS, "Callers that were waiting when a refresh ended");
    describe_histogram!(
        REMAINING_LIFETIME,
        Unit::Seconds,
        "Remaining lifetime of the replaced credential when the refresh ended"
    );
    describe_counter!(
        REJECTIONS,
        "Responses that rejected a credential, by outcome"
    );
    #[cfg(feature = "oauth2")]
    {
        describe_histogram!(
            TOKEN_REQUEST_DURATION,
            Unit::Seconds,
            "Time from a token request to the head of its response"
        );
        describe_counter!(
            FAILED_SAVES,
            "Failed attempts to save new tokens in the store"
        );
    }
}
