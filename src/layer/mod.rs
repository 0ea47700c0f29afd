//! The tower middleware: [`AuthLayer`] creates [`Auth`] services, which return [`ResponseFuture`]s.
//! The services and futures drive `flow`, which makes the decisions.

mod auth_layer;
mod copy;
mod future;
#[cfg(feature = "per-key")]
mod per_key;
mod select;
mod service;
mod state;

#[cfg(feature = "per-key")]
pub use self::per_key::{PerKey, PerKeyHandle};
pub use self::{
    auth_layer::AuthLayer,
    future::ResponseFuture,
    select::{Select, Single},
    service::Auth,
};
