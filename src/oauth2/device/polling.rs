//! Polling until the user has confirmed or denied the code (RFC 8628 sections 3.4 and 3.5).

use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout};

use super::DeviceAuthorization;
use crate::{
    oauth2::{
        client::Client,
        error::TokenError,
        form::Form,
        login::{LoginError, Problem},
        session::{RequestTime, tokens},
    },
    store::TokenSet,
    time::ExponentialBackoff,
};

const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// The time that each `slow_down` adds to the interval (RFC 8628 section 3.5).
const SLOW_DOWN_STEP: Duration = Duration::from_secs(5);
/// Maximum pause after a failure, unless the server's interval is longer.
const MAX_BACKOFF: Duration = Duration::from_secs(60);
/// Upper bound for a server's `Retry-After`.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(300);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

pub(super) struct Polling<'a> {
    client: &'a Client,
    form: Form,
    interval: Duration,
    expires_at: Instant,
}

impl<'a> Polling<'a> {
    pub(super) fn new(client: &'a Client, authorization: DeviceAuthorization) -> Self {
        let mut form = client.form(GRANT_TYPE, None);
        form.push_secret("device_code", &authorization.device_code);
        Self {
            client,
            form,
            interval: authorization.interval,
            expires_at: authorization.expires_at,
        }
    }

    pub(super) async fn run(mut self) -> Result<TokenSet, LoginError> {
        let mut pause = self.interval;
        let mut failures = 0;
        let mut last_failure = None;
        loop {
            let next = Instant::now() + pause;
            if next >= self.expires_at {
                return Err(Problem::CodeExpired(last_failure).into());
            }
            sleep_until(next).await;
            let error = match self.poll().await {
                Ok(tokens) => return Ok(tokens),
                Err(error) => error,
            };
            match error.code() {
                Some("authorization_pending") => pause = self.interval,
                Some("slow_down") => {
                    self.interval += SLOW_DOWN_STEP;
                    pause = self.interval;
                }
                Some("expired_token") => return Err(Problem::CodeExpired(None).into()),
                Some("access_denied") => return Err(Problem::denied(error).into()),
                _ if error.is_transient() => {
                    failures += 1;
                    let backoff = ExponentialBackoff::new(self.interval, MAX_BACKOFF);
                    let retry_after = error.retry_after().unwrap_or_default();
                    pause = backoff
                        .delay(failures)
                        .max(self.interval)
                        .max(retry_after.min(MAX_RETRY_AFTER));
                    last_failure = Some(error);
                    continue;
                }
                _ => return Err(error.into()),
            }
            (failures, last_failure) = (0, None);
        }
    }

    async fn poll(&self) -> Result<TokenSet, TokenError> {
        let requested_at = RequestTime::now();
        let endpoint = &self.client.endpoint;
        let response = timeout(REQUEST_TIMEOUT, endpoint.exchange(&self.form)).await;
        let mut response = response.unwrap_or_else(|_| Err(endpoint.timed_out(REQUEST_TIMEOUT)))?;
        // RFC 6749 section 5.1: a response without a scope grants the requested one.
        response.scope = response.scope.or_else(|| self.client.scope());
        Ok(tokens(response, None, requested_at))
    }
}
