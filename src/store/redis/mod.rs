//! A store in Redis, for processes on many machines.

mod builder;
mod connection;
mod durability;
mod response;
#[cfg(test)]
mod tests;
mod url;

use std::{sync::Arc, time::Duration};

use redis::{Script, ScriptInvocation};
use zeroize::Zeroizing;

pub use self::{builder::RedisStoreBuilder, durability::Durability};
use self::{connection::Connection, response::Response};
use super::{
    Fence, Intent, LockAttempt, Revision, SaveRequest, StoreError, StoreKey, Stored, TokenStore,
    WriteOutcome,
    json::{self, millis},
};

/// Scripts accept revisions of up to 18 digits.
const REVISION_LIMIT: u64 = 1_000_000_000_000_000_000;

/// A store in a Redis server (or Valkey), for processes on many machines.
///
/// Each entry is a hash, and each operation is a script, which Redis runs atomically. Locks expire
/// by the server's clock. Clones share one connection. If it breaks, the next operation connects
/// again. Connecting and waiting for each response may take up to 2 s each.
///
/// Requires Redis 5 or newer: a single server, or a proxy that looks like one. Cluster and Sentinel
/// are not supported.
///
/// ```no_run
/// use tower_auth::store::{Durability, RedisStore};
///
/// # async fn example() -> Result<(), tower_auth::store::StoreError> {
/// let store = RedisStore::connect("redis://user:password@redis.internal:6379/0").await?;
/// if let Durability::Lossy(why) = store.durability() {
///     eprintln!("tokens can be lost: {why}");
/// }
/// # Ok(()) }
/// ```
///
/// Pass it to a provider's builder with `store(store, key)`.
///
/// # Server settings
/// Set `appendonly yes` and `appendfsync always`. Without them, a server that is killed loses
/// writes that it has acknowledged, and refresh tokens with them; see [`Durability`]. Do not set
/// `maxmemory-policy` to an `allkeys-` policy, or to a `volatile-` policy together with a time to
/// live: Redis would remove entries when it needs memory.
///
/// A dedicated user (`ACL`) needs `~tower-auth:* +@hash +@keyspace +@scripting +@connection +time`,
/// and `+config|get` to determine the durability. The tokens are not encrypted: anyone who can read
/// the entries or the server's slow log can read the tokens.
///
/// # TLS
/// URLs with `rediss://` require the `redis` crate to be built with TLS. Add it to your
/// dependencies next to this crate, with a crypto provider for it:
///
/// ```toml
/// redis = { version = "1.8", default-features = false, features = ["tokio-rustls-comp"] }
/// rustls = { version = "0.23", default-features = false, features = ["ring"] }
/// ```
///
/// The connection trusts the certificates that the system trusts. If other crates enable a second
/// crypto provider, select one when the program starts
/// (`rustls::crypto::ring::default_provider().install_default()`).
///
/// # Foreign values
/// If the Redis key of an entry holds a value of another kind, the operation fails with an error
/// that names the key, and the value is left untouched.
#[derive(Clone)]
pub struct RedisStore {
    shared: Arc<Shared>,
}

struct Shared {
    connection: Connection,
    name: String,
    scripts: Scripts,
    prefix: String,
    /// In milliseconds; 0 keeps entries forever.
    time_to_live: u64,
    durability: Durability,
}

impl RedisStore {
    /// Connects to the server at a URL: `redis://user:password@host:port/database`, or
    /// `redis+unix:///path` for a Unix socket.
    ///
    /// # Errors
    /// See [`RedisStoreBuilder::connect`].
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        Self::builder(url).connect().await
    }

    /// Returns a builder for a store with additional settings.
    pub fn builder(url: &str) -> RedisStoreBuilder {
        RedisStoreBuilder::new(url)
    }

    /// Returns whether the server keeps the writes that it has acknowledged. A program should warn
    /// at startup if it does not.
    #[must_use]
    pub fn durability(&self) -> Durability {
        self.shared.durability
    }

    /// Prepares a script for an entry. The first argument of each script is the time to live.
    fn script<'a>(&self, script: &'a Script, key: &StoreKey) -> ScriptInvocation<'a> {
        let mut script = script.key(self.shared.entry_name(key));
        script.arg(self.shared.time_to_live);
        script
    }

    async fn run<T>(
        &self,
        key: &StoreKey,
        script: &ScriptInvocation<'_>,
        is_idempotent: bool,
        read: impl FnOnce(&Response) -> Option<T>,
    ) -> Result<T, StoreError> {
        let values = self.shared.connection.run(script, is_idempotent).await?;
        let response = Response::new(values);
        let why = match &response {
            None => "it contains values that are not text",
            Some(response) => match response.invalid() {
                Some(why) => why,
                None => match read(response) {
                    Some(result) => return Ok(result),
                    None => "it cannot be parsed",
                },
            },
        };
        Err(StoreError::new(format!(
            "`{}` is not an entry of this program: {why}. It was left untouched. If nothing else \
             needs it, remove it (DEL) and log in again",
            self.shared.entry_name(key)
        )))
    }
}

impl Shared {
    /// Returns the name of an entry in Redis.
    fn entry_name(&self, key: &StoreKey) -> String {
        format!("{}{key}", self.prefix)
    }
}

impl TokenStore for RedisStore {
    fn name(&self) -> &str {
        &self.shared.name
    }

    async fn load(&self, key: &StoreKey) -> Result<Stored, StoreError> {
        let script = self.script(&self.shared.scripts.load, key);
        self.run(key, &script, true, Response::stored).await
    }

    async fn save(
        &self,
        key: &StoreKey,
        save: SaveRequest<'_>,
    ) -> Result<WriteOutcome, StoreError> {
        if save.revision.0 >= REVISION_LIMIT {
            return Err(StoreError::new(
                "the revision has more than the 18 digits that the store supports",
            ));
        }
        let tokens = Zeroizing::new(json::tokens(save.tokens).to_string());
        let mut script = self.script(&self.shared.scripts.save, key);
        script.arg(save.fence.0).arg(save.replaces.0);
        script.arg(save.revision.0).arg(tokens.as_str());
        self.run(key, &script, false, Response::write_outcome).await
    }

    async fn delete(&self, key: &StoreKey) -> Result<Revision, StoreError> {
        let script = self.script(&self.shared.scripts.delete, key);
        self.run(key, &script, true, Response::revision).await
    }

    async fn try_lock(
        &self,
        key: &StoreKey,
        holder: &str,
        ttl: Duration,
    ) -> Result<LockAttempt, StoreError> {
        let mut script = self.script(&self.shared.scripts.try_lock, key);
        script.arg(holder).arg(lua_millis(ttl));
        self.run(key, &script, false, Response::lock_attempt).await
    }

    async fn renew(
        &self,
        key: &StoreKey,
        fence: Fence,
        ttl: Duration,
    ) -> Result<WriteOutcome, StoreError> {
        let mut script = self.script(&self.shared.scripts.renew, key);
        script.arg(fence.0).arg(lua_millis(ttl));
        self.run(key, &script, true, Response::write_outcome).await
    }

    async fn unlock(&self, key: &StoreKey, fence: Fence) -> Result<(), StoreError> {
        let mut script = self.script(&self.shared.scripts.unlock, key);
        script.arg(fence.0);
        let outcome = self.run(key, &script, true, Response::write_outcome).await;
        outcome.map(|_| ())
    }

    async fn set_intent(
        &self,
        key: &StoreKey,
        fence: Fence,
        intent: Option<Intent>,
    ) -> Result<WriteOutcome, StoreError> {
        let mut script = self.script(&self.shared.scripts.set_intent, key);
        script.arg(fence.0);
        if let Some(intent) = intent {
            let text = json::intent(&intent).to_string();
            script.arg(intent.revision.0).arg(text);
        } else {
            script.arg("").arg("");
        }
        self.run(key, &script, true, Response::write_outcome).await
    }
}

partial_debug!(
    RedisStore,
    name = shared.name,
    prefix = shared.prefix,
    durability = shared.durability
);

/// Converts to milliseconds for a script: rounded up, so that nothing expires early, and limited to
/// what Lua can compute with.
fn lua_millis(time: Duration) -> u64 {
    const MAX_MILLIS: u64 = 100_000_000_000_000;
    millis(time.saturating_add(Duration::from_nanos(999_999))).min(MAX_MILLIS)
}

/// One script for each operation.
struct Scripts {
    load: Script,
    save: Script,
    delete: Script,
    try_lock: Script,
    renew: Script,
    unlock: Script,
    set_intent: Script,
}

macro_rules! script {
    ($name:literal) => {
        Script::new(concat!(
            include_str!("lua/entry.lua"),
            include_str!(concat!("lua/", $name, ".lua"))
        ))
    };
}

impl Scripts {
    fn new() -> Self {
        Self {
            load: script!("load"),
            save: script!("save"),
            delete: script!("delete"),
            try_lock: script!("try_lock"),
            renew: script!("renew"),
            unlock: script!("unlock"),
            set_intent: script!("set_intent"),
        }
    }
}
