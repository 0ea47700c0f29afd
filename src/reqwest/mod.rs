//! Adapters for reqwest and reqwest-middleware. Their clients are not tower services over `http`
//! types, and they follow redirects themselves.
//!
//! - [`ReqwestService`] is a tower service over a `reqwest::Client`, for the end of any stack of
//!   layers. A provider can send its token requests through one too: [`token_client`].
//! - [`AuthMiddleware`] is the equivalent of [`AuthLayer`](crate::AuthLayer) for
//!   reqwest-middleware, and makes the same decisions.
//!
//! The clients of hyper-util and tonic need no adapter.
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
//! reqwest follows redirects beneath every layer and every middleware, so this crate cannot see or
//! stop the hops. By default, reqwest follows up to 10 redirects to any host, with the headers of
//! the first request. If a hop leads to another host, port or scheme than the previous one, reqwest
//! removes `Authorization`, `Cookie`, `Cookie2`, `Proxy-Authorization` and `WWW-Authenticate`. A
//! credential can still reach other hosts in three ways:
//!
//! - **A header with any other name** is sent to every hop: for example an
//!   [API key](crate::credential::ApiKey::header) in `X-Api-Key`, or a token with a custom
//!   [header name](crate::credential::Bearer::header_name).
//! - **`Authorization` comes back**: only the hop that changes the host loses it. The next hop
//!   within that other host carries it again (reqwest 0.13.5).
//! - **A key in the query** is part of the `Referer` that a hop carries, unless the hop leads from
//!   https to http.
//!
//! Build the client with [`same_origin_redirects`]. Redirects within an API then keep working, and
//! a redirect to another origin is returned as the response. A tower stack has an alternative: turn
//! redirects off in reqwest ([`Policy::none`](reqwest::redirect::Policy::none)) and put
//! tower-http's `FollowRedirect` outside the layer, which then checks the origin of every hop.
#![cfg_attr(
    feature = "reqwest-middleware",
    doc = "[`AuthMiddleware`] has no such alternative, because redirects are always beneath it."
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
