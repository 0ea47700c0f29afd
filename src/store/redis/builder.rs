//! Settings for a store in Redis.

use std::{sync::Arc, time::Duration};

use super::{Durability, RedisStore, Scripts, Shared, connection::Connection, lua_millis, url};
use crate::store::{StoreError, StoreKey, TokenStore};

/// The minimum time to live. A shorter one would expire entries between two refreshes.
const MIN_TIME_TO_LIVE: Duration = Duration::from_secs(60);

/// Configures and connects a [`RedisStore`]. [`RedisStore::builder`] creates it.
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

    /// Sets the prefix of the entries' names in Redis. The [`StoreKey`] follows it.
    ///
    /// Programs with different prefixes share no entries. Default: `tower-auth:`.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Makes Redis remove an entry this long after its last write. The minimum is one minute. An
    /// entry whose lock is held is not removed.
    ///
    /// Removal is meant for entries that are no longer used, such as those of users who have left.
    /// The refresh token is lost with the entry, and the user must log in again. Therefore, choose
    /// a time that is longer than an unused refresh token remains valid. The revision numbers are
    /// lost too and restart from zero. A process that was offline for longer than this time then
    /// overwrites newer tokens with the ones it still has.
    ///
    /// Default: entries are never removed.
    pub fn time_to_live(mut self, time: Duration) -> Self {
        self.time_to_live = Some(time);
        self
    }

    /// Connects to the server.
    ///
    /// # Errors
    /// The URL is not a valid Redis URL, the time to live is shorter than a minute, the server
    /// cannot be reached, or it does not allow the user to read entries with scripts. The error
    /// contains no password.
    pub async fn connect(self) -> Result<RedisStore, StoreError> {
        if self
            .time_to_live
            .is_some_and(|time| time < MIN_TIME_TO_LIVE)
        {
            let text = "time_to_live is shorter than a minute: entries would expire while in use";
            return Err(StoreError::new(text));
        }
        let (client, name) = url::open(&self.url)?;
        let connection = Connection::new(client);
        let failed = |error: StoreError| error.of(&name, "to open");
        let durability = Durability::of(&connection).await.map_err(failed)?;
        let store = RedisStore {
            shared: Arc::new(Shared {
                connection,
                name: name.clone(),
                scripts: Scripts::new(),
                prefix: self.prefix,
                time_to_live: self.time_to_live.map_or(0, lua_millis),
                durability,
            }),
        };
        // Missing permissions cause an error at this first read.
        match store.load(&StoreKey::new("")).await {
            Ok(_) => Ok(store),
            Err(error) => Err(failed(error)),
        }
    }
}

// The URL can contain a password.
partial_debug!(RedisStoreBuilder, prefix, time_to_live);
