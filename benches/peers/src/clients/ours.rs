//! tower-auth with its default settings.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper_util::{client::legacy::Client as HttpClient, rt::TokioExecutor};
use tower::{Layer, util::BoxCloneService};
use tower_auth::{AuthLayer, oauth2::ClientCredentials};

use super::Peer;
use crate::support::servers::origins;

pub(super) const PEER: Peer = Peer {
    name: "tower-auth",
    short: Duration::from_secs(1),
    replaced_after_2s: Duration::from_secs(2),
    cannot: |_| None,
    client: |servers, url| {
        Box::pin(async move {
            let http = HttpClient::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
            let provider = ClientCredentials::builder(url)
                .client_id("bench")
                .client_secret("secret")
                .http(http)
                .build()?;
            let layer = AuthLayer::new(provider, origins());
            Ok(BoxCloneService::new(layer.layer(servers.api())))
        })
    },
};
