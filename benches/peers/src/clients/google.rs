//! The credentials of google-cloud-auth, for a user with a refresh token.

use std::time::Duration;

use google_cloud_auth::credentials::{CacheableResource, user_account};
use http::{Extensions, header::AUTHORIZATION};
use serde_json::json;
use tower::{service_fn, util::BoxCloneService};

use super::{NEVER_EXPIRED, Peer, send};
use crate::scenario::Scenario;

pub(super) const PEER: Peer = Peer {
    name: "google-cloud-auth",
    short: Duration::from_secs(1),
    // google-cloud-auth refreshes tokens 240 s before they expire.
    replaced_after_2s: Duration::from_secs(242),
    cannot: |scenario| match scenario {
        Scenario::Expired => Some(NEVER_EXPIRED),
        Scenario::LeaderDropped => Some("a background task requests tokens, not a caller"),
        _ => None,
    },
    client: |servers, url| {
        Box::pin(async move {
            let user = json!({
                "type": "authorized_user",
                "client_id": "bench",
                "client_secret": "secret",
                "refresh_token": "refresh",
            });
            let credentials = user_account::Builder::new(user)
                .with_token_uri(url)
                .build()?;
            Ok(BoxCloneService::new(service_fn(move |request| {
                let (credentials, servers) = (credentials.clone(), servers.clone());
                async move {
                    let headers = credentials.headers(Extensions::new()).await?;
                    let CacheableResource::New { mut data, .. } = headers else {
                        return Err("no headers, although none were cached".into());
                    };
                    let value = data.remove(AUTHORIZATION).ok_or("no token")?;
                    send(&servers, request, value).await
                }
            })))
        })
    },
};
