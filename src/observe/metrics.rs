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

/// Tells the recorder what the crate's metrics are, with their units. Call it once, after the
/// recorder was installed; exporters show it then.
pub fn describe() {
    describe_counter!(
        REFRESHES,
        "Refreshes, by why they were started and how they ended"
    );
    describe_histogram!(
        REFRESH_DURATION,
        Unit::Seconds,
        "From the start of a refresh to its end"
    );
    describe_histogram!(WAITERS, "Callers who waited when a refresh ended");
    describe_histogram!(
        REMAINING_LIFETIME,
        Unit::Seconds,
        "What the replaced credential had left when the new one came"
    );
    describe_counter!(
        REJECTIONS,
        "Responses that rejected a credential, by what followed"
    );
    #[cfg(feature = "oauth2")]
    {
        describe_histogram!(
            TOKEN_REQUEST_DURATION,
            Unit::Seconds,
            "From a token request to the head of its answer"
        );
        describe_counter!(
            FAILED_SAVES,
            "Attempts to save new tokens in the store that failed"
        );
    }
}
