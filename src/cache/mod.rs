//! The credential cache: one snapshot for all readers, one in-flight refresh for all waiters.
//!
//! The rules are in [`state::State`], a value without locks or tasks. It uses `freshness` (when a
//! credential is refreshed and when it expires), `backoff` (when the next attempt is due after a
//! failure) and `budget` (how many refreshes rejections may cause). [`Cache`] locks the state,
//! publishes its credential for lock-free readers, and carries out its effects. `refresh` is the
//! task that calls the provider.

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
