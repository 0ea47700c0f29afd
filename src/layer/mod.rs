//! The tower middleware: [`AuthLayer`] makes [`Auth`] services, whose responses are
//! [`ResponseFuture`]s. They drive `flow`, which decides.

mod auth_layer;
mod future;
mod kept;
mod resend;
mod service;

pub use self::{auth_layer::AuthLayer, future::ResponseFuture, service::Auth};
