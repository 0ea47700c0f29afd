//! The response of a device authorization endpoint (RFC 8628 section 3.2).

use std::time::Duration;

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

/// The default interval if the server sends no `interval` (RFC 8628 section 3.2).
const DEFAULT_INTERVAL: Duration = Duration::from_secs(5);
/// Lower bound for the server's `interval`.
const MIN_INTERVAL: Duration = Duration::from_secs(1);
/// The default lifetime if the server omits `expires_in`, which the RFC requires.
const DEFAULT_LIFETIME: Duration = Duration::from_secs(600);

/// Maximum lengths of the texts shown to the user.
const MAX_CODE_LENGTH: usize = 100;
const MAX_URI_LENGTH: usize = 2000;

/// A device code that is waiting for the user's confirmation. Pass it to
/// [`finish`](super::DeviceCode::finish).
///
/// Always show the [URL](Self::verification_uri) and the [code](Self::user_code): the user compares
/// the code with the one on the server's page (RFC 8628 section 3.3.1). The
/// [complete URL](Self::verification_uri_complete), as a link or a QR code, saves typing.
///
/// These texts come from the server. They contain no control characters, and the URLs use https, or
/// http if they point to this machine.
pub struct DeviceAuthorization {
    pub(super) device_code: Secret,
    user_code: String,
    verification_uri: String,
    verification_uri_complete: Option<String>,
    pub(super) interval: Duration,
    pub(super) expires_at: Instant,
}

impl DeviceAuthorization {
    /// Requests a device code from the server.
    pub(super) async fn request(
        endpoint: &TokenEndpoint,
        form: &Form,
        plain_http: bool,
    ) -> Result<Self, TokenError> {
        let requested_at = Instant::now();
        let fields = endpoint.ask(form).await?;
        Self::parse(&fields, requested_at, plain_http)
            .map_err(|why| TokenError::new(Endpoint::Device, Problem::Unusable(why.into())))
    }

    fn parse(
        fields: &Map<String, Value>,
        requested_at: Instant,
        plain_http: bool,
    ) -> Result<Self, &'static str> {
        let text = |name: &str| {
            let text = fields.get(name).and_then(Value::as_str);
            text.filter(|text| !text.is_empty())
        };
        let is_printable =
            |text: &str, max| text.chars().count() <= max && !text.chars().any(char::is_control);
        let is_page = |uri: &str| {
            // Unlike an endpoint, a page for users may have a fragment.
            let page = uri.split('#').next().unwrap_or_default();
            is_printable(uri, MAX_URI_LENGTH) && parse_endpoint("page", page, plain_http).is_ok()
        };
        let device_code = text("device_code").ok_or("it has no device_code")?;
        let user_code = text("user_code").ok_or("it has no user_code")?;
        // Google's servers use the name from an early draft.
        let page = text("verification_uri").or_else(|| text("verification_url"));
        let page = page.ok_or("it has no verification_uri")?;
        if !is_printable(user_code, MAX_CODE_LENGTH) {
            return Err("its user_code is too long or contains control characters");
        }
        if !is_page(page) {
            return Err("its verification_uri is not an https URL");
        }
        let complete = text("verification_uri_complete").filter(|uri| is_page(uri));
        let duration = |name: &str| fields.get(name).and_then(lifetime);
        let interval = duration("interval").unwrap_or(DEFAULT_INTERVAL);
        Ok(Self {
            device_code: Secret::new(device_code),
            user_code: user_code.to_owned(),
            verification_uri: page.to_owned(),
            verification_uri_complete: complete.map(str::to_owned),
            interval: interval.max(MIN_INTERVAL),
            expires_at: requested_at + duration("expires_in").unwrap_or(DEFAULT_LIFETIME),
        })
    }

    /// Returns the URL where the user enters the code.
    #[must_use]
    pub fn verification_uri(&self) -> &str {
        &self.verification_uri
    }

    /// Returns the code that the user enters. Show it unchanged, and do not log it.
    #[must_use]
    pub fn user_code(&self) -> &str {
        &self.user_code
    }

    /// Returns a URL that includes the code, if the server provides one.
    #[must_use]
    pub fn verification_uri_complete(&self) -> Option<&str> {
        self.verification_uri_complete.as_deref()
    }

    /// Returns how much time the user has left.
    #[must_use]
    pub fn time_left(&self) -> Duration {
        self.expires_at.saturating_duration_since(Instant::now())
    }
}

partial_debug!(
    DeviceAuthorization,
    verification_uri,
    time_left = time_left()
);
