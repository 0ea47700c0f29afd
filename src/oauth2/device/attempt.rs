//! What a device authorization endpoint answers (RFC 8628 3.2).

use std::{fmt, time::Duration};

use serde_json::{Map, Value};
use tokio::time::Instant;

use crate::{
    oauth2::{
        endpoint::{TokenEndpoint, parse_endpoint},
        error::{Endpoint, Problem, TokenError},
        form::Form,
        response::lifetime,
    },
    secret::Secret,
};

/// RFC 8628 3.2: without an `interval`.
const USUAL_INTERVAL: Duration = Duration::from_secs(5);
/// However often the server would like to be asked.
const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);
/// Without the `expires_in` that the specification asks for.
const USUAL_LIFETIME: Duration = Duration::from_secs(600);

/// The longest texts that a person is shown.
const MOST_OF_CODE: usize = 100;
const MOST_OF_URI: usize = 2000;

/// What to show to the person, and what [`finish`](super::DeviceCode::finish) needs.
///
/// Show the [address](Self::verification_uri) and the [code](Self::user_code), always: the person
/// compares the code with what the server's page shows (RFC 8628 3.3.1). The
/// [complete address](Self::verification_uri_complete) saves the typing, as a link or a QR code.
///
/// The texts come from the server. They have no control characters, and the addresses are web
/// addresses: https, or http to this machine.
pub struct DeviceAuthorization {
    device_code: Secret,
    user_code: String,
    verification_uri: String,
    verification_uri_complete: Option<String>,
    interval: Duration,
    expires_at: Instant,
}

impl DeviceAuthorization {
    /// Asks the server for one.
    pub(super) async fn ask(
        endpoint: &TokenEndpoint,
        form: &Form,
        plain_http: bool,
    ) -> Result<Self, TokenError> {
        let asked = Instant::now();
        let fields = endpoint.ask(form).await?;
        Self::read(&fields, asked, plain_http)
            .map_err(|why| TokenError::new(Endpoint::Device, Problem::Unusable(why.into())))
    }

    fn read(
        fields: &Map<String, Value>,
        asked: Instant,
        plain_http: bool,
    ) -> Result<Self, &'static str> {
        let text = |name: &str| {
            let text = fields.get(name).and_then(Value::as_str);
            text.filter(|text| !text.is_empty())
        };
        let shown =
            |text: &str, most| text.chars().count() <= most && !text.chars().any(char::is_control);
        let is_page = |uri: &str| {
            // An endpoint has no fragment, but a page for people may.
            let page = uri.split('#').next().unwrap_or_default();
            shown(uri, MOST_OF_URI) && parse_endpoint("page", page, plain_http).is_ok()
        };
        let device_code = text("device_code").ok_or("it has no device_code")?;
        let user_code = text("user_code").ok_or("it has no user_code")?;
        // Google's own servers call it as the drafts did.
        let page = text("verification_uri").or_else(|| text("verification_url"));
        let page = page.ok_or("it has no verification_uri")?;
        if !shown(user_code, MOST_OF_CODE) {
            return Err("its user_code can't be shown to people");
        }
        if !is_page(page) {
            return Err("its verification_uri is no web address on https");
        }
        let complete = text("verification_uri_complete").filter(|uri| is_page(uri));
        let duration = |name: &str| fields.get(name).and_then(lifetime);
        let interval = duration("interval").unwrap_or(USUAL_INTERVAL);
        Ok(Self {
            device_code: Secret::new(device_code),
            user_code: user_code.to_owned(),
            verification_uri: page.to_owned(),
            verification_uri_complete: complete.map(str::to_owned),
            interval: interval.max(SHORTEST_INTERVAL),
            expires_at: asked + duration("expires_in").unwrap_or(USUAL_LIFETIME),
        })
    }

    /// Where the person goes.
    #[must_use]
    pub fn verification_uri(&self) -> &str {
        &self.verification_uri
    }

    /// What the person enters there. Show it as it is; it is not to be logged.
    #[must_use]
    pub fn user_code(&self) -> &str {
        &self.user_code
    }

    /// An address that has the code in it, if the server gives one.
    #[must_use]
    pub fn verification_uri_complete(&self) -> Option<&str> {
        self.verification_uri_complete.as_deref()
    }

    /// How long the person still has.
    #[must_use]
    pub fn time_left(&self) -> Duration {
        self.expires_at.saturating_duration_since(Instant::now())
    }

    pub(super) fn device_code(&self) -> &Secret {
        &self.device_code
    }

    pub(super) fn interval(&self) -> Duration {
        self.interval
    }

    pub(super) fn expires_at(&self) -> Instant {
        self.expires_at
    }
}

impl fmt::Debug for DeviceAuthorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceAuthorization")
            .field("verification_uri", &self.verification_uri)
            .field("time_left", &self.time_left())
            .finish_non_exhaustive()
    }
}
