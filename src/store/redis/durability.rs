//! Whether the server keeps the writes that it has acknowledged.

use super::connection::Connection;
use crate::store::StoreError;

/// Whether the server keeps the writes that it has acknowledged, according to its settings at the
/// time the store connected.
///
/// A server that loses writes loses the newest revisions of entries. The refresh token of an older
/// revision has been spent, and an authorization server that rotates refresh tokens treats a second
/// use as theft. A process that still has the newer tokens writes them back at its next refresh. If
/// all processes end together with the server, a new login is required. A lock that is lost can be
/// acquired twice.
///
/// The settings describe one server. A failover to a replica loses the writes that had not reached
/// the replica, regardless of these settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Durability {
    /// The server appends each write to a file and syncs the file before it responds (`appendonly
    /// yes`, `appendfsync always`).
    Synced,
    /// The server can lose writes when it is killed or its machine fails. The text is a
    /// human-readable explanation.
    Lossy(&'static str),
    /// The server does not reveal its settings: managed servers often forbid `CONFIG GET`.
    Unknown,
}

impl Durability {
    pub(super) async fn of(connection: &Connection) -> Result<Self, StoreError> {
        let appends = connection.setting("appendonly").await?;
        let syncs = connection.setting("appendfsync").await?;
        Ok(match (appends.as_deref(), syncs.as_deref()) {
            (Some("yes"), Some("always")) => Self::Synced,
            (Some("yes"), Some("everysec")) => Self::Lossy(
                "the server syncs its append-only file only once a second: set `appendfsync \
                 always`",
            ),
            (Some("yes"), Some("no")) => Self::Lossy(
                "the server lets the operating system decide when its append-only file is synced: \
                 set `appendfsync always`",
            ),
            (Some("no"), _) => Self::Lossy(
                "the server loses all writes since its last snapshot: set `appendonly yes` and \
                 `appendfsync always`",
            ),
            _ => Self::Unknown,
        })
    }
}
