//! The shared credential: one snapshot for all readers, one flight for all who wait.
//!
//! `Cache` is the meeting point. Its rules are in files of their own, which know nothing of
//! locks and tasks: when a credential is looked at again (`freshness`), when the next attempt is
//! due after a failure (`backoff`), and how many refreshes rejections may cause (`budget`).

mod acquire;
mod backoff;
mod budget;
#[expect(
    clippy::module_inception,
    reason = "the cache is what this module is about"
)]
mod cache;
mod freshness;
mod handle;
#[cfg(feature = "per-key")]
mod keys;
#[cfg(all(test, tower_auth_model))]
mod model;
mod operations;
mod refresh;
mod settings;
mod snapshot;
mod state;
mod status;
mod sync;
#[cfg(test)]
mod tests;
mod wait;
mod watchdog;

#[cfg(feature = "per-key")]
pub(crate) use self::keys::Keys;
#[cfg(feature = "per-key")]
pub use self::settings::PerKeySettings;
pub(crate) use self::{
    acquire::{Acquired, Wait},
    cache::Cache,
    snapshot::Snapshot,
    state::TooManyRejections,
};
pub use self::{
    backoff::Backoff,
    handle::{CurrentCredential, Handle},
    settings::RefreshSettings,
    status::Status,
};
