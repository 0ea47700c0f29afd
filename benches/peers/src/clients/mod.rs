//! The peers, each as a service for the same requests.

mod cf_gears;
mod google;
mod huskarl;
pub(crate) mod kube;
mod middle;
mod ours;

use std::time::Duration;

use futures::future::BoxFuture;
use http::{HeaderValue, Request, Response, header::AUTHORIZATION};
use tower::{ServiceExt, util::BoxCloneService};
use tower_auth::BoxError;

use crate::{
    scenario::Scenario,
    support::{Body, servers::Servers},
};

pub(crate) type Client = BoxCloneService<Request<Body>, Response<Body>, BoxError>;

/// The reason why callers never meet an expired token.
const NEVER_EXPIRED: &str = "a background task refreshes tokens in time, with or without callers";

pub(crate) struct Peer {
    pub(crate) name: &'static str,
    /// The lifetime of a token that the peer stops using after one second.
    pub(crate) short: Duration,
    /// The lifetime of a token that the peer refreshes after at most 2 seconds.
    pub(crate) replaced_after_2s: Duration,
    /// The reason why the peer cannot take part.
    pub(crate) cannot: fn(Scenario) -> Option<&'static str>,
    /// Creates a new client for a scenario, with a token endpoint at this address.
    pub(crate) client: fn(Servers, String) -> BoxFuture<'static, Result<Client, BoxError>>,
}

pub(crate) const PEERS: [Peer; 6] = [
    ours::PEER,
    cf_gears::PEER,
    huskarl::PEER,
    kube::PEER,
    google::PEER,
    middle::PEER,
];

/// Sends a request with a header to the API.
async fn send(
    servers: &Servers,
    mut request: Request<Body>,
    value: HeaderValue,
) -> Result<Response<Body>, BoxError> {
    request.headers_mut().insert(AUTHORIZATION, value);
    Ok(servers.api().oneshot(request).await?)
}
