//! The settings that all layers have.

/// The setters of a layer with a `policy`.
macro_rules! setters {
    () => {
        /// Whether a rejected request is sent again. With `false`, a rejection still starts a refresh
        /// for later requests, and requests are not copied. Default: `true`.
        #[must_use]
        pub fn retry(mut self, retry: bool) -> Self {
            self.policy.retry = retry;
            self
        }

        /// Whether to replace a credential that a request already carries. With `false`, such a request
        /// is sent unchanged. Default: `false`.
        #[must_use]
        pub fn overwrite_existing(mut self, overwrite: bool) -> Self {
            self.policy.keep_existing = !overwrite;
            self
        }

        /// Which responses say that the credential was not accepted. Default: status 401.
        ///
        /// A request that got one is sent again. Status 401 promises that the request was not applied
        /// (RFC 9110 section 15.5.2); whoever names other responses must know that this holds for them
        /// too, or a request that is not idempotent may be applied twice.
        #[must_use]
        pub fn rejected_if(
            mut self,
            rejected: impl Fn(::http::StatusCode, &::http::HeaderMap) -> bool + Send + Sync + 'static,
        ) -> Self {
            self.policy.rejected_if = Some(::std::sync::Arc::new(rejected));
            self
        }

        /// How much of a rejection's body is read before the retry, and for how long, so that an
        /// HTTP/1.1 connection can be used again. Default: 64 KiB and 100 ms.
        #[must_use]
        pub fn drain_limit(mut self, bytes: u64, time: ::std::time::Duration) -> Self {
            self.policy.drain = $crate::flow::DrainLimit { bytes, time };
            self
        }
    };
}

pub(super) use setters;
