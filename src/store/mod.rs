//! Token stores: where tokens outlive the process, and where processes agree on who refreshes them.
//!
//! A rotating refresh token can be spent once. If two processes hold the same one, the second to
//! spend it is taken for a thief, and the server revokes everything. So they share a
//! [`TokenStore`], and refresh under its lock: one asks the server, the others read what it saved.
//! Access tokens are worth sharing too where a server revokes the previous one.
//!
//! | for | store |
//! |---|---|
//! | the processes of many machines | `RedisStore` (feature `redis`) |
//! | the processes of one machine | [`FileStore`] |
//! | the providers of one process, tests | [`MemoryStore`] |
//! | all else | a [`TokenStore`] of your own; the example `postgres_store` is one |
//!
//! A provider without a store needs none of this.
//!
//! # What a refresh does with a store
//! 1. [`load`](TokenStore::load). Tokens of a newer revision than the process knows are adopted;
//!    the server is not asked.
//! 2. [`try_lock`](TokenStore::try_lock). While another process holds the lock: wait a little, at
//!    random, and start again. With the lock: load again, adopt again.
//! 3. [`set_intent`](TokenStore::set_intent): *this revision's refresh token is about to be spent*.
//! 4. Ask the server, if the lock lasts at least 5 s longer than the refresh may take.
//! 5. [`save`](TokenStore::save), and only then use the tokens; [`unlock`](TokenStore::unlock).
//!
//! A process that dies between 3 and 5 leaves its intent behind. Whoever finds it tries the old
//! refresh token once. If the server refuses it, the outcome was lost, and only a new log-in
//! helps: that is an error of its own,
//! [`LoginRequired::is_outcome_lost`](crate::oauth2::LoginRequired::is_outcome_lost).
//!
//! # When the store fails
//! | when | what happens |
//! |---|---|
//! | at the start, or before the server is asked | the refresh fails with the [`StoreError`], a transient failure: a token that is still valid serves on, the server is not asked, nothing is overwritten, and the next attempt follows after the backoff |
//! | at the save, after the server has answered | the process goes on with the new tokens, keeps the lock, and tries the save again, every 1 to 30 s and before its next refresh; meanwhile the provider's `save_error()` gives the error |
//! | at log-out | the tokens are forgotten in the process and revoked all the same; `Handle::log_out` gives the error; the store is emptied before the next refresh |
//!
//! Every operation has 5 s; a store that takes longer has failed.

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

/// Where tokens outlive the process, and where processes agree on who refreshes them.
///
/// The [module's text](self) says when the methods are called, and what follows when they fail.
///
/// # Writing one
/// A store keeps one entry for each [`StoreKey`]:
///
/// | of the entry | at first | |
/// |---|---|---|
/// | revision | 0 | grows with each save and each delete, for ever |
/// | tokens | none | a [`TokenSet`], in which any part may be missing; keep it from other users' eyes |
/// | intent | none | an [`Intent`] |
/// | fence | 0 | the number of the last lock; grows with each lock, for ever |
/// | locked until | not | by the store's clock, never by that of a client |
///
/// Each method is one atomic step on one entry: a transaction, a script, a statement. An entry that
/// was never written is the same as one with the values of the second column. An entry is never
/// removed as a whole: its numbers must not start again, or a process that was away would take an
/// old entry for a new one.
///
/// All that must be decided is whether a write is *refused* ([`WriteOutcome::Conflict`]), which is no
/// failure of the store. A **stale** fence is one that is not the number of the last lock: somebody
/// has locked since. What a stale fence comes with is always refused. A lock that has merely run
/// out is not stale yet: as long as nobody else took it, its holder can save what it has.
///
/// With Postgres it is one table, whose rows are made before they are used, and a statement for
/// each method. A write that changes no row was refused. The column `tokens` holds what the methods
/// of a [`TokenSet`] give. The example `postgres_store` is the whole program.
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
/// -- before each of the others
/// insert into tokens (key) values ($1) on conflict do nothing;
/// -- load
/// select revision, tokens, intent_revision, intent_holder from tokens where key = $1;
/// -- save: fence, replaces, revision, tokens
/// update tokens set revision = $4, tokens = $5, intent_revision = null, intent_holder = null
///     where key = $1 and fence = $2 and revision = $3;
/// -- delete
/// update tokens set revision = revision + 1, tokens = null, intent_revision = null,
///     intent_holder = null where key = $1 returning revision;
/// -- try_lock: lasts, in seconds
/// update tokens set fence = fence + 1,
///     locked_until = clock_timestamp() + make_interval(secs => $2)
///     where key = $1 and locked_until <= clock_timestamp() returning fence;
/// -- if that gives no row, for how long it is held; less than nothing if it has just ended
/// select extract(epoch from locked_until - clock_timestamp())::float8 from tokens where key = $1;
/// -- renew: fence, lasts
/// update tokens set locked_until = clock_timestamp() + make_interval(secs => $3)
///     where key = $1 and fence = $2;
/// -- unlock: fence
/// update tokens set locked_until = 'epoch' where key = $1 and fence = $2;
/// -- set_intent: fence, the intent's revision and holder
/// update tokens set intent_revision = $3, intent_holder = $4
///     where key = $1 and fence = $2 and ($3::bigint is null or revision = $3);
/// ```
///
/// Errors hold what the database said, and no token. Cancelling a call (dropping its future) must
/// not leave half a step behind.
pub trait TokenStore: Send + Sync + 'static {
    /// What errors call this store, such as `redis at 10.0.0.1:6379`. No secrets.
    fn name(&self) -> &str;

    /// Reads an entry.
    ///
    /// # Errors
    /// The store could not be reached, or what it holds could not be understood. An entry that is
    /// not there is no error.
    fn load(&self, key: &StoreKey) -> impl Future<Output = Result<Stored, StoreError>> + Send;

    /// Replaces the tokens and the revision, and clears the intent.
    ///
    /// Refused if the fence is stale, or if the entry's revision is not [`SaveRequest::replaces`]
    /// (somebody saved or deleted since it was loaded).
    ///
    /// # Errors
    /// The store failed. Whether the tokens were saved may be unknown then: the same save comes
    /// again.
    fn save(
        &self,
        key: &StoreKey,
        save: SaveRequest<'_>,
    ) -> impl Future<Output = Result<WriteOutcome, StoreError>> + Send;

    /// Log-out: removes the tokens and the intent, and increases the revision, so that a save by
    /// whoever loaded before is refused. Needs no lock, and leaves it alone. Gives the new
    /// revision.
    ///
    /// # Errors
    /// The store failed.
    fn delete(&self, key: &StoreKey) -> impl Future<Output = Result<Revision, StoreError>> + Send;

    /// Takes the lock for so long, unless it is held: then says for how long it is at most.
    ///
    /// A lock that was taken has a number that is greater than all before it, at least 1. The
    /// holder's name is for people who look into the store; it need not be kept.
    ///
    /// # Errors
    /// The store failed. It may have given the lock all the same; that one runs out.
    fn try_lock(
        &self,
        key: &StoreKey,
        holder: &str,
        ttl: Duration,
    ) -> impl Future<Output = Result<LockAttempt, StoreError>> + Send;

    /// Has the lock last so long from now on. Refused if the fence is stale.
    ///
    /// A lock that was released or has run out, and that nobody took, is taken again by this.
    ///
    /// # Errors
    /// The store failed.
    fn renew(
        &self,
        key: &StoreKey,
        fence: Fence,
        ttl: Duration,
    ) -> impl Future<Output = Result<WriteOutcome, StoreError>> + Send;

    /// Releases the lock. Does nothing if the fence is stale: the lock is somebody else's.
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
    /// Refused if the fence is stale, or if the intent names a revision that is not the entry's.
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
