//! The tower middleware: [`AuthLayer`] makes [`Auth`] services, whose responses are
//! [`ResponseFuture`]s. They drive `flow`, which decides.

mod auth_layer;
mod copy;
mod future;
mod kept;
#[cfg(feature = "per-key")]
mod per_key;
mod resend;
mod send;
mod service;
mod setters;

#[cfg(feature = "per-key")]
pub use self::per_key::{PerKeyAuth, PerKeyHandle, PerKeyLayer};
pub use self::{auth_layer::AuthLayer, future::ResponseFuture, service::Auth};
