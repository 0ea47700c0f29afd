//! The settings that all layers have.

/// The setters of a layer with a `policy`, whose settings of credentials are in the field `$shared`.
macro_rules! setters {
    ($shared:ident) => {
        /// What spans, events and metrics call it, where a program has several layers. Default: `""`.
        /// It matters with the features `tracing` and `metrics` only.
        #[must_use]
        pub fn name(self, name: &'static str) -> Self {
            self.$shared.configure(|settings| settings.name = name);
            self
        }

        /// How long before its expiry a credential is refreshed at most, while requests go on with it.
        /// It is also at most 40 % of the lifetime, and shortened at random by up to a quarter, so
        /// that many processes do not refresh at once. Default: 5 min.
        #[must_use]
        pub fn early_refresh(self, margin: ::std::time::Duration) -> Self {
            self.$shared
                .configure(|settings| settings.early_refresh = Some(margin));
            self
        }

        /// Refreshes only when callers have to wait for it: in the last 5 % of the lifetime, at most
        /// 10 s, before the expiry. Default: off.
        #[must_use]
        pub fn no_early_refresh(self) -> Self {
            self.$shared
                .configure(|settings| settings.early_refresh = None);
            self
        }

        /// The lifetime of credentials that came without one. Default: none, they are used until they
        /// are rejected.
        #[must_use]
        pub fn default_lifetime(self, lifetime: ::std::time::Duration) -> Self {
            self.$shared
                .configure(|settings| settings.default_lifetime = Some(lifetime));
            self
        }

        /// How long callers wait for a refresh, and how long a provider may take (see
        /// [`RefreshContext::deadline`](crate::RefreshContext::deadline)). Default: 10 s.
        #[must_use]
        pub fn refresh_timeout(self, timeout: ::std::time::Duration) -> Self {
            self.$shared
                .configure(|settings| settings.refresh_timeout = timeout);
            self
        }

        /// When the next attempt is made after a failed one. Default: [`Backoff::default`](crate::Backoff).
        #[must_use]
        pub fn backoff(self, backoff: $crate::Backoff) -> Self {
            self.$shared.configure(|settings| settings.backoff = backoff);
            self
        }

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
