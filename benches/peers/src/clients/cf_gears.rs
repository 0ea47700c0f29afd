//! The auto-refresh layer of cf-gears-toolkit-auth.

use std::time::Duration;

use toolkit_auth::{
    BearerAuthAutoRefreshLayer, BearerAuthAutoRefreshOpts, OAuthClientConfig, SecretString,
    TokenProvider,
};
use toolkit_http::{HttpClientConfig, HttpError};
use tower::{Layer, ServiceExt, util::BoxCloneService};

use super::{NEVER_EXPIRED, Peer};
use crate::scenario::Scenario;

pub(super) const PEER: Peer = Peer {
    name: "cf-gears-toolkit-auth",
    short: Duration::from_secs(1),
    replaced_after_2s: Duration::from_secs(3),
    cannot: |scenario| match scenario {
        Scenario::Expired => Some(NEVER_EXPIRED),
        _ => None,
    },
    client: |servers, url| {
        Box::pin(async move {
            let token = TokenProvider::new(OAuthClientConfig {
                token_endpoint: Some(url.parse()?),
                client_id: "bench".into(),
                client_secret: SecretString::new("secret"),
                // These settings suit tokens that last seconds; the defaults suit tokens that last
                // hours. The crate counts whole seconds.
                refresh_offset: Duration::from_secs(1),
                jitter_max: Duration::ZERO,
                min_refresh_period: Duration::from_millis(100),
                // Disables the crate's built-in retries and limits.
                http_config: Some(HttpClientConfig::minimal()),
                ..OAuthClientConfig::default()
            })?;
            let layer = BearerAuthAutoRefreshLayer::with_opts(
                token,
                BearerAuthAutoRefreshOpts {
                    min_invalidation_interval: Duration::from_secs(1),
                    ..BearerAuthAutoRefreshOpts::default()
                },
            );
            let api = servers
                .api()
                .map_err(|never| -> HttpError { match never {} });
            Ok(BoxCloneService::new(layer.layer(api).map_err(Into::into)))
        })
    },
};
