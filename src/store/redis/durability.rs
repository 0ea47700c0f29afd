//! Whether the server keeps what it acknowledged.

use super::link::Link;
use crate::store::StoreError;

/// Whether the server keeps writes that it has acknowledged, as its settings said when the store
/// connected.
///
/// What is lost are the newest states of entries: the refresh token of an older state is spent,
/// and a server that rotates takes its second use for theft. A process of the fleet that still has
/// the newer tokens writes them back at its next refresh; if all processes end at the same time as
/// the server, only a new log-in helps. A lock that is lost can be given twice.
///
/// This is about one server. One that fails over to a replica loses what had not yet got there,
/// whatever these settings are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Durability {
    /// It appends each write to a file, and syncs it, before it answers (`appendonly yes`,
    /// `appendfsync always`).
    Synced,
    /// It can lose writes when it is killed or its machine fails; this is why, for people.
    Lossy(&'static str),
    /// It did not say: managed servers often forbid `CONFIG GET`.
    Unknown,
}

impl Durability {
    pub(super) async fn of(link: &Link) -> Result<Self, StoreError> {
        let appends = link.setting("appendonly").await?;
        let syncs = link.setting("appendfsync").await?;
        Ok(match (appends.as_deref(), syncs.as_deref()) {
            (Some("yes"), Some("always")) => Self::Synced,
            (Some("yes"), Some("everysec")) => Self::Lossy(
                "it syncs its file of writes once a second only: set `appendfsync always`",
            ),
            (Some("yes"), Some("no")) => Self::Lossy(
                "it leaves to the system when its file of writes is synced: set `appendfsync \
                 always`",
            ),
            (Some("no"), _) => Self::Lossy(
                "it loses all writes since its last snapshot: set `appendonly yes` and \
                 `appendfsync always`",
            ),
            _ => Self::Unknown,
        })
    }
}
