//! Asking until the person has decided (RFC 8628 3.4 and 3.5).

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
};

const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// RFC 8628 3.5: by how much `slow_down` slows down, for good.
const SLOWER: Duration = Duration::from_secs(5);
/// The longest pause that trouble leads to, unless the server wants longer ones.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// What a server's `Retry-After` is followed up to.
const LONGEST_WAIT: Duration = Duration::from_secs(300);
const LONGEST_REQUEST: Duration = Duration::from_secs(30);

pub(super) struct Polling<'a> {
    client: &'a Client,
    form: Form,
    interval: Duration,
    expires_at: Instant,
}

impl<'a> Polling<'a> {
    pub(super) fn new(client: &'a Client, attempt: DeviceAuthorization) -> Self {
        let mut form = client.form(GRANT_TYPE, None);
        form.push_secret("device_code", attempt.device_code());
        Self {
            client,
            form,
            interval: attempt.interval(),
            expires_at: attempt.expires_at(),
        }
    }

    pub(super) async fn run(mut self) -> Result<TokenSet, LoginError> {
        let mut pause = self.interval;
        let mut trouble = None;
        loop {
            let next = Instant::now() + pause;
            if next >= self.expires_at {
                return Err(Problem::CodeExpired(trouble).into());
            }
            sleep_until(next).await;
            let error = match self.ask().await {
                Ok(tokens) => return Ok(tokens),
                Err(error) => error,
            };
            match error.code() {
                Some("authorization_pending") => pause = self.interval,
                Some("slow_down") => {
                    self.interval += SLOWER;
                    pause = self.interval;
                }
                Some("expired_token") => return Err(Problem::CodeExpired(None).into()),
                Some("access_denied") => return Err(Problem::denied(error).into()),
                _ if error.is_transient() => {
                    let longer = (pause * 2).min(LONGEST_PAUSE).max(self.interval);
                    let wait = error.retry_after().unwrap_or_default();
                    pause = wait.min(LONGEST_WAIT).max(longer);
                    trouble = Some(error);
                    continue;
                }
                _ => return Err(error.into()),
            }
            trouble = None;
        }
    }

    async fn ask(&self) -> Result<TokenSet, TokenError> {
        let asked = RequestTime::now();
        let endpoint = &self.client.endpoint;
        let answer = timeout(LONGEST_REQUEST, endpoint.exchange(&self.form)).await;
        let mut answer = answer.unwrap_or_else(|_| Err(endpoint.silent(LONGEST_REQUEST)))?;
        // RFC 6749 5.1: unsaid is as requested.
        answer.scope = answer.scope.or_else(|| self.client.scope());
        Ok(tokens(answer, None, asked))
    }
}
