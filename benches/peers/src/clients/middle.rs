//! The client-credentials authorizer of the `middle` crate.

use std::{sync::Arc, time::Duration};

use middle::{Authorizer, BasicClientCredentialAuthorizer};
use tower::{service_fn, util::BoxCloneService};

use super::{NEVER_EXPIRED, Peer, send};
use crate::scenario::Scenario;

pub(super) const PEER: Peer = Peer {
    name: "middle",
    short: Duration::from_secs(1),
    replaced_after_2s: Duration::from_secs(2),
    cannot: |scenario| match scenario {
        Scenario::Cold | Scenario::Failing | Scenario::LeaderDropped => {
            Some("its constructor requests the first token, before any caller exists")
        }
        Scenario::Expired => Some(NEVER_EXPIRED),
        _ => None,
    },
    client: |servers, url| {
        Box::pin(async move {
            let builder =
                BasicClientCredentialAuthorizer::basic_builder("bench", "secret", url.parse()?);
            let tolerance = Duration::from_millis(700);
            let authorizer = builder.refresh_tolerance(tolerance).build().await?;
            Ok(BoxCloneService::new(service_fn(move |request| {
                let (authorizer, servers) = (authorizer.clone(), servers.clone());
                async move {
                    let header = authorizer.authorization_header()?;
                    send(&servers, request, Arc::unwrap_or_clone(header)).await
                }
            })))
        })
    },
};
