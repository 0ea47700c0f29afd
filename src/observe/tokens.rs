//! Token requests, and what becomes of the tokens.

use http::StatusCode;
use tokio::time::Instant;

use crate::store::StoreError;

/// A request to a token endpoint, up to the head of its answer.
pub(crate) struct TokenCall<'a> {
    endpoint: &'static str,
    host: Option<&'a str>,
    started_at: Instant,
    is_done: bool,
}

impl<'a> TokenCall<'a> {
    pub(crate) fn start(endpoint: &'static str, host: Option<&'a str>) -> Self {
        Self {
            endpoint,
            host,
            started_at: Instant::now(),
            is_done: false,
        }
    }

    /// `None` is a failure of the network.
    pub(crate) fn answered(mut self, status: Option<StatusCode>) {
        self.is_done = true;
        match status {
            Some(status) => self.tell(Some(status), ""),
            None => self.tell(None, "network"),
        }
    }

    fn tell(&self, status: Option<StatusCode>, error_type: &'static str) {
        #[cfg(feature = "tracing")]
        tracing::debug!(
            target: "tower_auth",
            endpoint = self.endpoint,
            server.address = self.host,
            http.response.status_code = status.map(|status| status.as_u16()),
            error.type = error_type,
            duration_ms = self.started_at.elapsed().as_millis() as u64,
            "token request"
        );
        #[cfg(feature = "metrics")]
        {
            let status = status.map(|status| status.as_str().to_owned());
            let labels = [
                ("endpoint", self.endpoint.to_owned()),
                ("http.response.status_code", status.unwrap_or_default()),
                ("error.type", error_type.to_owned()),
            ];
            metrics::histogram!(super::metrics::TOKEN_REQUEST_DURATION, &labels)
                .record(self.started_at.elapsed().as_secs_f64());
        }
    }
}

/// Who is dropped had no answer in time.
impl Drop for TokenCall<'_> {
    fn drop(&mut self) {
        if !self.is_done {
            self.tell(None, "cancelled");
        }
    }
}

/// Another process has fetched newer tokens.
pub(crate) fn adopted() {
    #[cfg(feature = "tracing")]
    tracing::debug!(target: "tower_auth", "took over newer tokens from the store");
}

/// The newest tokens are not in the store.
pub(crate) fn unsaved(error: &StoreError) {
    #[cfg(feature = "tracing")]
    tracing::warn!(
        target: "tower_auth",
        error = %format_args!("{error:#}"),
        "new tokens could not be saved: this process goes on with them and tries to save them again"
    );
    #[cfg(feature = "metrics")]
    metrics::counter!(super::metrics::FAILED_SAVES).increment(1);
}

pub(crate) fn saved_after_all() {
    #[cfg(feature = "tracing")]
    tracing::info!(target: "tower_auth", "the new tokens are saved after all");
}
