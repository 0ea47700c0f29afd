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
//!     AuthLayer, Origins, client::{ReqwestService, same_origin_redirects}, credential::Bearer,
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
//! # Redirects happen beneath the layer
//!
//! A `reqwest::Client` follows up to ten redirects by itself, to any host. On the way to another
//! host, port or scheme it drops `Authorization`, `Cookie` and a few more headers, and *keeps all
//! others*: an API key in a header of its own (`x-api-key`) goes to wherever the server points, and
//! so does a token in a header that was renamed. The layer above sees nothing of it. Build the
//! client with [`same_origin_redirects`], or with no redirects at all and tower-http's
//! `FollowRedirect` on top of the layer, where each hop is checked.

#[cfg(feature = "reqwest-middleware")]
mod middleware;
mod redirect;
mod reqwest;

#[cfg(feature = "reqwest-middleware")]
pub use self::middleware::AuthMiddleware;
pub use self::{
    redirect::{same_origin_redirects, token_client},
    reqwest::{ReqwestFuture, ReqwestService},
};
