//! A store in Redis, for processes on many machines.

mod answer;
mod builder;
mod durability;
mod link;
mod said;
mod scripts;
#[cfg(test)]
mod tests;
mod url;

use std::{fmt, sync::Arc, time::Duration};

use redis::{Script, ScriptInvocation};
use zeroize::Zeroizing;

use self::{answer::Answer, link::Link, scripts::Scripts};
pub use self::{builder::RedisStoreBuilder, durability::Durability};
use super::{
    Fence, Intent, LockAttempt, Revision, SaveRequest, StoreError, StoreKey, Stored, TokenStore,
    WriteOutcome,
    json::{self, millis},
};

/// What the scripts take for a number has 18 digits.
const MOST_REVISIONS: u64 = 1_000_000_000_000_000_000;

/// A store in a Redis server (or Valkey), for the processes of many machines.
///
/// Each entry is one hash, each operation one script: one atomic step. Locks run out by the
/// server's clock. A connection that broke is made anew by the next operation, which has 2 s to
/// connect and 2 s for each answer. Clones share one connection. It takes Redis 5 or newer, one
/// server or what stands for one at one address; neither Cluster nor Sentinel.
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
/// Give it to a provider with its `.store(store, key)`.
///
/// # Which settings the server needs
/// `appendonly yes` and `appendfsync always`: else a server that is killed forgets writes that it
/// has acknowledged, and with them refresh tokens; see [`Durability`]. `maxmemory-policy` must not
/// be one of the `allkeys-` policies, nor a `volatile-` one together with a time to live: Redis
/// would remove entries when it wants their memory.
///
/// A user of its own (`ACL`) needs `~tower-auth:* +@hash +@keyspace +@scripting +@connection
/// +time`, and `+config|get` to know the durability. The tokens are not encrypted: whoever may read
/// the entries, or the server's slow log, has them.
///
/// # TLS
/// With `rediss://`, if the crate `redis` is built with TLS. Depend on it too, next to this crate,
/// and on a crypto provider for it:
///
/// ```toml
/// redis = { version = "1.8", default-features = false, features = ["tokio-rustls-comp"] }
/// rustls = { version = "0.23", default-features = false, features = ["ring"] }
/// ```
///
/// It trusts the certificates that the system trusts. If other crates bring a second provider,
/// choose one at the start of the program
/// (`rustls::crypto::ring::default_provider().install_default()`).
///
/// # What is there that is no entry
/// Anything else at the place of an entry is an error that names it, and is left as it is.
#[derive(Clone)]
pub struct RedisStore {
    shared: Arc<Shared>,
}

struct Shared {
    link: Link,
    name: String,
    scripts: Scripts,
    prefix: String,
    /// In milliseconds; 0 is for ever.
    time_to_live: u64,
    durability: Durability,
}

impl RedisStore {
    /// Connects to the server of a URL: `redis://user:password@host:port/database`, or a Unix
    /// socket, `redis+unix:///path`.
    ///
    /// # Errors
    /// Those of [`RedisStoreBuilder::connect`].
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        Self::builder(url).connect().await
    }

    /// Starts with a URL; there is more to set.
    pub fn builder(url: &str) -> RedisStoreBuilder {
        RedisStoreBuilder::new(url)
    }

    /// Whether the server keeps what it acknowledged. Say so at the start of a program, if it
    /// does not.
    #[must_use]
    pub fn durability(&self) -> Durability {
        self.shared.durability
    }

    /// A script for the entry of a key. All that write have the time to live as the first argument.
    fn script<'a>(&self, script: &'a Script, key: &StoreKey) -> ScriptInvocation<'a> {
        let mut script = script.key(self.shared.place(key));
        script.arg(self.shared.time_to_live);
        script
    }

    async fn run<T>(
        &self,
        key: &StoreKey,
        script: &ScriptInvocation<'_>,
        may_be_done_twice: bool,
        read: impl FnOnce(&Answer) -> Option<T>,
    ) -> Result<T, StoreError> {
        let answer = self.shared.link.run(script, may_be_done_twice).await?;
        let answer = Answer::new(answer);
        let why = match &answer {
            None => "it holds what is no text",
            Some(answer) => match answer.foreign() {
                Some(why) => why,
                None => match read(answer) {
                    Some(result) => return Ok(result),
                    None => "it cannot be read",
                },
            },
        };
        Err(StoreError::new(format!(
            "`{}` is no entry of this program: {why}; it is left as it is. If nothing else needs \
             it, remove it (DEL) and log in again",
            self.shared.place(key)
        )))
    }
}

impl Shared {
    /// The name of an entry in Redis.
    fn place(&self, key: &StoreKey) -> String {
        format!("{}{key}", self.prefix)
    }
}

impl TokenStore for RedisStore {
    fn name(&self) -> &str {
        &self.shared.name
    }

    async fn load(&self, key: &StoreKey) -> Result<Stored, StoreError> {
        let script = self.script(&self.shared.scripts.load, key);
        self.run(key, &script, true, Answer::stored).await
    }

    async fn save(
        &self,
        key: &StoreKey,
        save: SaveRequest<'_>,
    ) -> Result<WriteOutcome, StoreError> {
        if save.revision.0 >= MOST_REVISIONS {
            return Err(StoreError::new("the revision is greater than it can count"));
        }
        let tokens = Zeroizing::new(json::tokens(save.tokens).to_string());
        let mut script = self.script(&self.shared.scripts.save, key);
        script.arg(save.fence.0).arg(save.replaces.0);
        script.arg(save.revision.0).arg(tokens.as_str());
        self.run(key, &script, false, Answer::written).await
    }

    async fn delete(&self, key: &StoreKey) -> Result<Revision, StoreError> {
        let script = self.script(&self.shared.scripts.delete, key);
        self.run(key, &script, true, Answer::revision).await
    }

    async fn try_lock(
        &self,
        key: &StoreKey,
        holder: &str,
        ttl: Duration,
    ) -> Result<LockAttempt, StoreError> {
        let mut script = self.script(&self.shared.scripts.try_lock, key);
        script.arg(holder).arg(lasting(ttl));
        self.run(key, &script, false, Answer::lock).await
    }

    async fn renew(
        &self,
        key: &StoreKey,
        fence: Fence,
        ttl: Duration,
    ) -> Result<WriteOutcome, StoreError> {
        let mut script = self.script(&self.shared.scripts.renew, key);
        script.arg(fence.0).arg(lasting(ttl));
        self.run(key, &script, true, Answer::written).await
    }

    async fn unlock(&self, key: &StoreKey, fence: Fence) -> Result<(), StoreError> {
        let mut script = self.script(&self.shared.scripts.unlock, key);
        script.arg(fence.0);
        let unlocked = self.run(key, &script, true, Answer::written).await;
        unlocked.map(|_| ())
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
        self.run(key, &script, true, Answer::written).await
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("name", &self.shared.name)
            .field("prefix", &self.shared.prefix)
            .field("durability", &self.shared.durability)
            .finish_non_exhaustive()
    }
}

/// Milliseconds, rounded up (nothing ends before its time), and no more than Lua can count with.
fn lasting(time: Duration) -> u64 {
    const MOST: u64 = 100_000_000_000_000;
    millis(time.saturating_add(Duration::from_nanos(999_999))).min(MOST)
}
