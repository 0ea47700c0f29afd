//! A store in Postgres, with the table and the statements from the documentation of `TokenStore`.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio_postgres::{Client, NoTls, Row, types::ToSql};
use tower_auth::store::{
    Fence, Intent, LockAttempt, Revision, SaveRequest, StoreError, StoreKey, Stored, TokenSet,
    TokenStore, WriteOutcome,
};

const TABLE: &str = "
create table tokens (
    key text primary key,
    revision bigint not null default 0,
    tokens json,
    intent_revision bigint, intent_holder text,
    fence bigint not null default 0,
    locked_until timestamptz not null default 'epoch')";
const INSERT: &str = "insert into tokens (key) values ($1) on conflict do nothing";
const LOAD: &str =
    "select revision, tokens, intent_revision, intent_holder from tokens where key = $1";
const SAVE: &str = "
update tokens set revision = $4, tokens = $5, intent_revision = null, intent_holder = null
    where key = $1 and fence = $2 and revision = $3";
const DELETE: &str = "
update tokens set revision = revision + 1, tokens = null, intent_revision = null,
    intent_holder = null where key = $1 returning revision";
const TRY_LOCK: &str = "
update tokens set fence = fence + 1,
    locked_until = clock_timestamp() + make_interval(secs => $2)
    where key = $1 and locked_until <= clock_timestamp() returning fence";
const REMAINING_LEASE: &str = "
select extract(epoch from locked_until - clock_timestamp())::float8 from tokens where key = $1";
const RENEW: &str = "
update tokens set locked_until = clock_timestamp() + make_interval(secs => $3)
    where key = $1 and fence = $2";
const UNLOCK: &str = "update tokens set locked_until = 'epoch' where key = $1 and fence = $2";
const SET_INTENT: &str = "
update tokens set intent_revision = $3, intent_holder = $4
    where key = $1 and fence = $2 and ($3::bigint is null or revision = $3)";

/// All statements, for a test that compares them with the documentation.
#[allow(dead_code, reason = "only the test uses it")]
pub(crate) const STATEMENTS: [&str; 10] = [
    TABLE,
    INSERT,
    LOAD,
    SAVE,
    DELETE,
    TRY_LOCK,
    REMAINING_LEASE,
    RENEW,
    UNLOCK,
    SET_INTENT,
];

type Parameter<'a> = &'a (dyn ToSql + Sync);

/// A store in Postgres. Clones share one connection. If it breaks, the next operation opens a new
/// one.
#[derive(Clone)]
pub(crate) struct PostgresStore {
    config: tokio_postgres::Config,
    client: Arc<Mutex<Option<Arc<Client>>>>,
}

impl PostgresStore {
    pub(crate) fn new(config: tokio_postgres::Config) -> Self {
        let client = Arc::default();
        Self { config, client }
    }

    /// Creates the table. In production, a migration does this.
    pub(crate) async fn create_table(&self) -> Result<(), StoreError> {
        let client = self.client().await?;
        client.batch_execute(TABLE).await.map_err(failed)
    }

    async fn client(&self) -> Result<Arc<Client>, StoreError> {
        let mut current = self.client.lock().await;
        if let Some(client) = current.as_ref().filter(|client| !client.is_closed()) {
            return Ok(Arc::clone(client));
        }
        let (client, connection) = self.config.connect(NoTls).await.map_err(failed)?;
        // A connection error can be ignored here, because the client's calls then fail too.
        tokio::spawn(async { drop(connection.await) });
        Ok(Arc::clone(current.insert(Arc::new(client))))
    }

    /// Inserts the row of a key if it is missing, runs a statement on it, and returns the result.
    async fn row(
        &self,
        key: &StoreKey,
        statement: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<Option<Row>, StoreError> {
        let client = self.client().await?;
        let key = key.as_str();
        let all: Vec<Parameter<'_>> = [&key as Parameter<'_>]
            .into_iter()
            .chain(parameters.iter().copied())
            .collect();
        client.execute(INSERT, &[&key]).await.map_err(failed)?;
        let row = client.query_opt(statement, &all).await;
        row.map_err(failed)
    }

    /// Runs an update, and reports a conflict if it changes no row.
    async fn write(
        &self,
        key: &StoreKey,
        statement: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<WriteOutcome, StoreError> {
        let statement = format!("{statement} returning 1");
        match self.row(key, &statement, parameters).await? {
            Some(_) => Ok(WriteOutcome::Applied),
            None => Ok(WriteOutcome::Conflict),
        }
    }
}

impl TokenStore for PostgresStore {
    fn name(&self) -> &str {
        "postgres"
    }

    async fn load(&self, key: &StoreKey) -> Result<Stored, StoreError> {
        let Some(row) = self.row(key, LOAD, &[]).await? else {
            return Ok(Stored::default());
        };
        let tokens = match row.get::<_, Option<Value>>(1) {
            None => None,
            Some(value) => Some(tokens_from(&value).ok_or_else(|| {
                StoreError::new(format!("the tokens of `{key}` cannot be parsed"))
            })?),
        };
        let intent = Option::zip(row.get(2), row.get::<_, Option<String>>(3))
            .map(|(revision, holder)| Intent::new(Revision(unsigned(revision)), holder));
        Ok(Stored::new(Revision(unsigned(row.get(0))))
            .with_tokens(tokens)
            .with_intent(intent))
    }

    async fn save(
        &self,
        key: &StoreKey,
        save: SaveRequest<'_>,
    ) -> Result<WriteOutcome, StoreError> {
        let numbers = [save.fence.0, save.replaces.0, save.revision.0];
        let [fence, replaces, revision] = numbers.map(signed);
        let tokens = json_of(save.tokens);
        self.write(key, SAVE, &[&fence, &replaces, &revision, &tokens])
            .await
    }

    async fn delete(&self, key: &StoreKey) -> Result<Revision, StoreError> {
        match self.row(key, DELETE, &[]).await? {
            Some(row) => Ok(Revision(unsigned(row.get(0)))),
            None => Err(StoreError::new("another program has removed the row")),
        }
    }

    async fn try_lock(
        &self,
        key: &StoreKey,
        _holder: &str,
        ttl: Duration,
    ) -> Result<LockAttempt, StoreError> {
        let ttl = ttl.as_secs_f64();
        if let Some(row) = self.row(key, TRY_LOCK, &[&ttl]).await? {
            return Ok(LockAttempt::Acquired(Fence(unsigned(row.get(0)))));
        }
        let row = self.row(key, REMAINING_LEASE, &[]).await?;
        // The lock may have expired between the two statements.
        let left = row.map_or(0.0, |row| row.get::<_, f64>(0));
        let left = Duration::try_from_secs_f64(left).unwrap_or_default();
        Ok(LockAttempt::HeldFor(left))
    }

    async fn renew(
        &self,
        key: &StoreKey,
        fence: Fence,
        ttl: Duration,
    ) -> Result<WriteOutcome, StoreError> {
        let (fence, ttl) = (signed(fence.0), ttl.as_secs_f64());
        self.write(key, RENEW, &[&fence, &ttl]).await
    }

    async fn unlock(&self, key: &StoreKey, fence: Fence) -> Result<(), StoreError> {
        let _ = self.write(key, UNLOCK, &[&signed(fence.0)]).await?;
        Ok(())
    }

    async fn set_intent(
        &self,
        key: &StoreKey,
        fence: Fence,
        intent: Option<Intent>,
    ) -> Result<WriteOutcome, StoreError> {
        let revision = intent.as_ref().map(|intent| signed(intent.revision.0));
        let holder = intent.map(|intent| intent.holder);
        let fence = signed(fence.0);
        self.write(key, SET_INTENT, &[&fence, &revision, &holder])
            .await
    }
}

/// Converts an error, but omits its details, because they can quote the row.
fn failed(error: tokio_postgres::Error) -> StoreError {
    match error.as_db_error() {
        Some(error) => StoreError::new(format!("{} ({})", error.message(), error.code().code())),
        None => StoreError::new(error),
    }
}

fn json_of(tokens: &TokenSet) -> Value {
    let expires_at = tokens.expires_at();
    let expires_at = expires_at.and_then(|moment| moment.duration_since(UNIX_EPOCH).ok());
    json!({
        "access_token": tokens.expose_access_token(),
        "refresh_token": tokens.expose_refresh_token(),
        "expires_at": expires_at.map(|time| time.as_secs()),
        "lifetime": tokens.lifetime().map(|time| time.as_secs()),
        "scope": tokens.scope(),
    })
}

fn tokens_from(value: &Value) -> Option<TokenSet> {
    let text = |name: &str| value[name].as_str();
    let seconds = |name: &str| value[name].as_u64().map(Duration::from_secs);
    // This program always writes both fields, but either may be null.
    value.get("access_token").and(value.get("refresh_token"))?;
    let mut tokens = match text("access_token") {
        Some(access) => TokenSet::new(access),
        None => TokenSet::empty(),
    };
    if let Some(refresh) = text("refresh_token") {
        tokens = tokens.with_refresh_token(refresh);
    }
    if let Some(time) = seconds("expires_at") {
        tokens = tokens.with_expires_at(SystemTime::UNIX_EPOCH + time);
    }
    if let Some(lifetime) = seconds("lifetime") {
        tokens = tokens.with_lifetime(lifetime);
    }
    if let Some(scope) = text("scope") {
        tokens = tokens.with_scope(scope);
    }
    Some(tokens)
}

/// Postgres has no unsigned integers, but these numbers never exceed the signed range.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}
