//! What can be set before connecting.

use std::{fmt, sync::Arc, time::Duration};

use super::{Durability, RedisStore, Shared, lasting, link::Link, scripts::Scripts, url};
use crate::store::{StoreError, StoreKey, TokenStore};

/// Shorter ones would end entries between two refreshes.
const SHORTEST_LIFE: Duration = Duration::from_secs(60);

/// A [`RedisStore`] before it connects: [`RedisStore::builder`].
#[must_use]
pub struct RedisStoreBuilder {
    url: String,
    prefix: String,
    time_to_live: Option<Duration>,
}

impl RedisStoreBuilder {
    pub(super) fn new(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            prefix: "tower-auth:".to_owned(),
            time_to_live: None,
        }
    }

    /// What the names of the entries in Redis begin with; [`StoreKey`]s follow it. Programs with
    /// different prefixes share nothing.
    ///
    /// Default: `tower-auth:`.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Has Redis remove an entry so long after it was last written, but not while its lock is held.
    /// At least one minute.
    ///
    /// With the entry its refresh token is lost: whoever comes later must log in again. So make it
    /// longer than the refresh tokens live unused. It is for entries that nobody comes back to,
    /// such as those of users who are gone. Also lost are the numbers: the revisions start again,
    /// and a process that was away for longer, and still has tokens, writes them over newer ones.
    ///
    /// Default: entries stay for ever.
    pub fn time_to_live(mut self, time: Duration) -> Self {
        self.time_to_live = Some(time);
        self
    }

    /// Connects.
    ///
    /// # Errors
    /// The URL is none of Redis, the time to live is shorter than a minute, the server cannot be
    /// reached, or does not let the user read entries by scripts. The error shows no password.
    pub async fn connect(self) -> Result<RedisStore, StoreError> {
        if self.time_to_live.is_some_and(|time| time < SHORTEST_LIFE) {
            let text = "time_to_live is shorter than a minute: entries would end in use";
            return Err(StoreError::new(text));
        }
        let (client, name) = url::open(&self.url)?;
        let link = Link::new(client);
        let of_connect =
            |error: StoreError| StoreError::new(format!("cannot use {name}: {}", error.get_ref()));
        let durability = Durability::of(&link).await.map_err(of_connect)?;
        let store = RedisStore {
            shared: Arc::new(Shared {
                link,
                name: name.clone(),
                scripts: Scripts::new(),
                prefix: self.prefix,
                time_to_live: self.time_to_live.map_or(0, lasting),
                durability,
            }),
        };
        // What the user is not allowed shows now.
        match store.load(&StoreKey::new("")).await {
            Ok(_) => Ok(store),
            Err(error) => Err(of_connect(error)),
        }
    }
}

impl fmt::Debug for RedisStoreBuilder {
    // The URL can hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStoreBuilder")
            .field("prefix", &self.prefix)
            .field("time_to_live", &self.time_to_live)
            .finish_non_exhaustive()
    }
}
