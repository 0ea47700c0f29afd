//! Token stores, which keep tokens across restarts and coordinate refreshes between processes.
//!
//! A rotating refresh token can be spent only once. If two processes hold the same one, the server
//! treats the second use as theft and revokes everything. Therefore, such processes share a
//! [`TokenStore`] and refresh under its lock: one of them requests new tokens, and the others read
//! the tokens that it saved. Sharing is also useful with a server that revokes the previous access
//! token when it issues a new one.
//!
//! | for | store |
//! |---|---|
//! | processes on many machines | `RedisStore` (feature `redis`) |
//! | processes on one machine | [`FileStore`] |
//! | providers within one process, tests | [`MemoryStore`] |
//! | everything else | your own [`TokenStore`]; see the `postgres_store` example |
//!
//! A provider also works without a store.
//!
//! # How a refresh uses the store
//! 1. [`load`](TokenStore::load). If the store has tokens of a newer revision than the process
//!    knows, the process adopts them and sends no token request.
//! 2. [`try_lock`](TokenStore::try_lock). While another process holds the lock, wait for a short,
//!    random time and start again. Once the lock is acquired, load and adopt again.
//! 3. [`set_intent`](TokenStore::set_intent): record that the refresh token of this revision is
//!    about to be spent.
//! 4. Send the token request, provided that the lock lasts at least 5 s longer than the refresh may
//!    take.
//! 5. [`save`](TokenStore::save), and only then use the tokens; [`unlock`](TokenStore::unlock).
//!
//! A process that dies between steps 3 and 5 leaves its intent behind. The process that finds the
//! intent tries the old refresh token once. If the server rejects it, the outcome was lost and a
//! new login is required. This is a distinct error,
//! [`LoginRequired::is_outcome_lost`](crate::oauth2::LoginRequired::is_outcome_lost).
//!
//! # When the store fails
//! | during | effect |
//! |---|---|
//! | startup, or a refresh before the token request | The refresh fails with the [`StoreError`], as a transient failure. A token that is still valid remains in use, nothing is overwritten, and the next attempt follows after the backoff. |
//! | the save, after the server has responded | The process continues with the new tokens, keeps the lock, and retries the save every 1 to 30 s and before its next refresh. Meanwhile the provider's `save_error()` returns the error. |
//! | logout | The process forgets and revokes the tokens anyway, and `Handle::log_out` returns the error. The entry is deleted before the next refresh. |
//!
//! Every operation may take up to 5 s. After that, it counts as failed.

mod boxed;
#[cfg(test)]
pub(crate) mod conformance;
mod error;
mod file;
mod json;
mod key;
mod memory;
#[cfg(feature = "redis")]
mod redis;
mod tokens;
mod types;

use std::{future::Future, time::Duration};

pub(crate) use self::boxed::{SharedStore, share};
pub use self::file::FileStore;
#[cfg(feature = "redis")]
pub use self::redis::{Durability, RedisStore, RedisStoreBuilder};
pub use self::{
    error::StoreError,
    key::StoreKey,
    memory::MemoryStore,
    tokens::TokenSet,
    types::{Fence, Intent, LockAttempt, Revision, SaveRequest, Stored, WriteOutcome},
};

/// A store for tokens, and the lock under which processes refresh them.
///
/// The [module documentation](self) explains when each method is called and what happens when it
/// fails.
///
/// # Implementing a store
/// A store keeps one entry per [`StoreKey`]:
///
/// | field | initially | |
/// |---|---|---|
/// | revision | 0 | increases with each save and each delete; never reset |
/// | tokens | none | a [`TokenSet`], in which every part is optional; must not be readable by other users |
/// | intent | none | an [`Intent`] |
/// | fence | 0 | the number of the last lock; increases with each lock; never reset |
/// | locked until | not locked | by the store's clock, never by a client's |
///
/// Each method is one atomic step on one entry, such as a transaction, a script or a statement. An
/// entry that was never written is equivalent to one with the initial values. Never remove a whole
/// entry: if its numbers restarted, a process that had been offline would mistake an old entry for
/// a newer one.
///
/// The only decision a store makes is whether a write is a *conflict* ([`WriteOutcome::Conflict`]),
/// which is not an error. A fence is **stale** if it is not the number of the last lock, that is,
/// if another process has taken the lock since. Every write with a stale fence is a conflict. The
/// fence of a lock that has merely expired is not stale: until another process takes the lock, its
/// holder can save.
///
/// In Postgres, this requires one table, whose rows are inserted before their first use, and one
/// statement per method. A write that changes no row is a conflict. The `tokens` column contains
/// the values that the getters of a [`TokenSet`] return. The `postgres_store` example is a complete
/// program.
///
/// ```sql
/// create table tokens (
///     key text primary key,
///     revision bigint not null default 0,
///     tokens json,
///     intent_revision bigint, intent_holder text,
///     fence bigint not null default 0,
///     locked_until timestamptz not null default 'epoch');
///
/// -- before every other statement
/// insert into tokens (key) values ($1) on conflict do nothing;
/// -- load
/// select revision, tokens, intent_revision, intent_holder from tokens where key = $1;
/// -- save: fence, replaces, revision, tokens
/// update tokens set revision = $4, tokens = $5, intent_revision = null, intent_holder = null
///     where key = $1 and fence = $2 and revision = $3;
/// -- delete
/// update tokens set revision = revision + 1, tokens = null, intent_revision = null,
///     intent_holder = null where key = $1 returning revision;
/// -- try_lock: the lease, in seconds
/// update tokens set fence = fence + 1,
///     locked_until = clock_timestamp() + make_interval(secs => $2)
///     where key = $1 and locked_until <= clock_timestamp() returning fence;
/// -- if that returns no row: how long the lock remains held; negative if it has just expired
/// select extract(epoch from locked_until - clock_timestamp())::float8 from tokens where key = $1;
/// -- renew: fence, lease
/// update tokens set locked_until = clock_timestamp() + make_interval(secs => $3)
///     where key = $1 and fence = $2;
/// -- unlock: fence
/// update tokens set locked_until = 'epoch' where key = $1 and fence = $2;
/// -- set_intent: fence, the intent's revision and holder
/// update tokens set intent_revision = $3, intent_holder = $4
///     where key = $1 and fence = $2 and ($3::bigint is null or revision = $3);
/// ```
///
/// Errors should contain the database's message, but never a token. Canceling a call (dropping its
/// future) must not leave a step half done.
pub trait TokenStore: Send + Sync + 'static {
    /// Returns the store's name for errors, such as `redis at 10.0.0.1:6379`, without secrets.
    fn name(&self) -> &str;

    /// Reads an entry. An entry that does not exist is not an error.
    ///
    /// # Errors
    /// The store could not be reached, or its data could not be parsed.
    fn load(&self, key: &StoreKey) -> impl Future<Output = Result<Stored, StoreError>> + Send;

    /// Replaces the tokens and the revision, and clears the intent.
    ///
    /// The save is a conflict if the fence is stale, or if the entry's revision is not
    /// [`SaveRequest::replaces`] (another process has saved or deleted since the entry was loaded).
    ///
    /// # Errors
    /// The store failed. If it is unknown whether the tokens were saved, `save` is called again
    /// with the same request.
    fn save(
        &self,
        key: &StoreKey,
        save: SaveRequest<'_>,
    ) -> impl Future<Output = Result<WriteOutcome, StoreError>> + Send;

    /// Logs out: removes the tokens and the intent, increases the revision, and returns the new
    /// revision.
    ///
    /// Because of the new revision, a save by a process that loaded the entry earlier is a
    /// conflict. This method neither needs nor changes the lock.
    ///
    /// # Errors
    /// The store failed.
    fn delete(&self, key: &StoreKey) -> impl Future<Output = Result<Revision, StoreError>> + Send;

    /// Takes the lock for the duration `ttl`, or returns how much longer another process can
    /// hold it.
    ///
    /// The number of a new lock is at least 1, and greater than every number before it. The name of
    /// the holder is for operators who inspect the store. A store need not keep it.
    ///
    /// # Errors
    /// The store failed. If it took the lock anyway, the lock expires.
    fn try_lock(
        &self,
        key: &StoreKey,
        holder: &str,
        ttl: Duration,
    ) -> impl Future<Output = Result<LockAttempt, StoreError>> + Send;

    /// Extends the lock, so that it expires `ttl` from now. The renewal is a conflict if the fence
    /// is stale.
    ///
    /// A lock that was released or has expired is taken again, unless another process has taken it
    /// since.
    ///
    /// # Errors
    /// The store failed.
    fn renew(
        &self,
        key: &StoreKey,
        fence: Fence,
        ttl: Duration,
    ) -> impl Future<Output = Result<WriteOutcome, StoreError>> + Send;

    /// Releases the lock. Does nothing if the fence is stale, because another process then owns the
    /// lock.
    ///
    /// # Errors
    /// The store failed.
    fn unlock(
        &self,
        key: &StoreKey,
        fence: Fence,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Writes or clears the intent.
    ///
    /// The write is a conflict if the fence is stale, or if the intent names a revision other than
    /// the entry's.
    ///
    /// # Errors
    /// The store failed.
    fn set_intent(
        &self,
        key: &StoreKey,
        fence: Fence,
        intent: Option<Intent>,
    ) -> impl Future<Output = Result<WriteOutcome, StoreError>> + Send;
}
