//! The shared credential: one snapshot for all readers, one flight for all who wait.
//!
//! `Cache` is the meeting point. Its rules are in files of their own, which know nothing of
//! locks and tasks: when a credential is looked at again (`freshness`), when the next attempt is
//! due after a failure (`backoff`), and how many refreshes rejections may cause (`budget`).

mod backoff;
mod budget;
mod flight;
mod freshness;
mod handle;
#[cfg(feature = "per-key")]
mod keys;
#[cfg(all(test, tower_auth_model))]
mod model;
mod settings;
mod shared;
mod snapshot;
mod status;
mod steps;
mod sync;
#[cfg(test)]
mod tests;

#[cfg(feature = "per-key")]
pub(crate) use self::keys::Keys;
#[cfg(feature = "per-key")]
pub use self::settings::PerKeySettings;
pub use self::{
    backoff::Backoff,
    handle::{CurrentCredential, Handle},
    settings::RefreshSettings,
    status::Status,
};
pub(crate) use self::{
    flight::Wait,
    shared::{Acquired, Cache, TooManyRejections},
    snapshot::Snapshot,
};
