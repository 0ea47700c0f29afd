//! Clients that are no tower service of `http` types, or follow redirects by themselves: reqwest and
//! reqwest-middleware.
//!
//! - [`ReqwestService`] makes a tower service of a `reqwest::Client`, so that any stack of layers
//!   can end in it. A provider's token requests can go through one too: [`token_client`].
//! - [`AuthMiddleware`] does for reqwest-middleware what [`AuthLayer`](crate::AuthLayer) does for
//!   tower, with the same decisions.
//!
//! hyper-util's and tonic's clients need nothing from here.
//!
//! ```
//! use bytes::Bytes;
//! use http_body_util::Full;
//! use tower::{ServiceBuilder, ServiceExt};
//! use tower_auth::{
//!     AuthLayer, Origins, reqwest::{ReqwestService, same_origin_redirects}, credential::Bearer,
//! };
//!
//! # async fn example() -> Result<(), tower_auth::BoxError> {
//! let client = reqwest::Client::builder().redirect(same_origin_redirects()).build()?;
//! let service = ServiceBuilder::new()
//!     .layer(AuthLayer::new(Bearer::new("token")?, Origins::only("https://api.example.com")?))
//!     .service(ReqwestService::new(client));
//! let request = http::Request::get("https://api.example.com/things").body(Full::<Bytes>::default())?;
//! println!("{}", service.oneshot(request).await?.status());
//! # Ok(()) }
//! ```
//!
//! # Redirects
//!
//! reqwest follows redirects by itself, beneath every layer and every middleware, so nothing here
//! sees the hops or can stop them. By default it follows up to 10 of them to any host, with the
//! headers of the first request. What it takes off, when a hop leads to another host, port or
//! scheme than the hop before, is `Authorization`, `Cookie`, `Cookie2`, `Proxy-Authorization` and
//! `WWW-Authenticate`. That leaves three ways for a credential to end up with strangers:
//!
//! - **A header of any other name** is sent to every hop: an
//!   [API key](crate::credential::ApiKey::header) in `X-Api-Key`, say, or a token with a
//!   [header name](crate::credential::Bearer::header_name) of its own.
//! - **`Authorization` comes back**: only a hop that changes the host loses it, the next hop within
//!   that other host has it again (reqwest 0.13.5).
//! - **A key in the query** is part of the `Referer` that a hop carries, unless it leads from https
//!   to http.
//!
//! So build the client with [`same_origin_redirects`]: redirects within an API keep working, and a
//! redirect to elsewhere comes back as the answer. In a tower stack there is a second way: no
//! redirects in reqwest ([`Policy::none`](reqwest::redirect::Policy::none)) and tower-http's
//! `FollowRedirect` above the layer, where each hop passes the origin check.
#![cfg_attr(
    feature = "reqwest-middleware",
    doc = "For [`AuthMiddleware`] there is no such second way: redirects are never above it."
)]

#[cfg(feature = "reqwest-middleware")]
mod middleware;
mod redirect;
mod service;

#[cfg(feature = "reqwest-middleware")]
pub use self::middleware::AuthMiddleware;
pub use self::{
    redirect::{same_origin_redirects, token_client},
    service::{ReqwestFuture, ReqwestService},
};
