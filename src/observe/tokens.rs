//! The events and the metrics of token requests, and of saving tokens.

use http::StatusCode;
use tokio::time::Instant;

use crate::store::StoreError;

/// A reporter for one request to a token endpoint, up to the head of its response.
///
/// If the reporter is dropped before a response has arrived, it reports that the request was
/// canceled.
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

    /// Reports the status of the response, or `None` if the network failed.
    pub(crate) fn completed(mut self, status: Option<StatusCode>) {
        self.is_done = true;
        match status {
            Some(status) => self.emit(Some(status), ""),
            None => self.emit(None, "network"),
        }
    }

    fn emit(&self, status: Option<StatusCode>, error_type: &'static str) {
        #[cfg(feature = "tracing")]
        tracing::debug!(
            target: "tower_auth",
            endpoint = self.endpoint,
            server.address = self.host,
            http.response.status_code = status.map(|status| status.as_u16()),
            error.type = error_type,
            duration_ms = self.started_at.elapsed().as_millis() as u64,
            "a token request"
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

impl Drop for TokenCall<'_> {
    fn drop(&mut self) {
        if !self.is_done {
            self.emit(None, "canceled");
        }
    }
}

/// Reports that newer tokens from another process were adopted.
pub(crate) fn adopted() {
    #[cfg(feature = "tracing")]
    tracing::debug!(target: "tower_auth", "newer tokens were adopted from the store");
}

/// Reports that new tokens could not be saved.
pub(crate) fn save_failed(error: &StoreError) {
    #[cfg(feature = "tracing")]
    tracing::warn!(
        target: "tower_auth",
        error = %format_args!("{error:#}"),
        "new tokens could not be saved: this process continues with them and retries the save"
    );
    #[cfg(feature = "metrics")]
    metrics::counter!(super::metrics::FAILED_SAVES).increment(1);
}

/// Reports that a save succeeded after failures.
pub(crate) fn save_recovered() {
    #[cfg(feature = "tracing")]
    tracing::info!(target: "tower_auth", "the new tokens were saved after earlier failures");
}
