//! A store in Postgres: the table and the statements that the documentation of `TokenStore` gives.

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
const ENTRY: &str = "insert into tokens (key) values ($1) on conflict do nothing";
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
const HELD: &str = "
select extract(epoch from locked_until - clock_timestamp())::float8 from tokens where key = $1";
const RENEW: &str = "
update tokens set locked_until = clock_timestamp() + make_interval(secs => $3)
    where key = $1 and fence = $2";
const UNLOCK: &str = "update tokens set locked_until = 'epoch' where key = $1 and fence = $2";
const SET_INTENT: &str = "
update tokens set intent_revision = $3, intent_holder = $4
    where key = $1 and fence = $2 and ($3::bigint is null or revision = $3)";

/// All of them, for a test that compares them with the documentation.
#[allow(dead_code, reason = "for the test")]
pub(crate) const STATEMENTS: [&str; 10] = [
    TABLE, ENTRY, LOAD, SAVE, DELETE, TRY_LOCK, HELD, RENEW, UNLOCK, SET_INTENT,
];

type Parameter<'a> = &'a (dyn ToSql + Sync);

/// Clones share one connection, which is made anew when it has broken.
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

    /// What a migration does in a real program.
    pub(crate) async fn create_table(&self) -> Result<(), StoreError> {
        let client = self.client().await?;
        client.batch_execute(TABLE).await.map_err(failed)
    }

    async fn client(&self) -> Result<Arc<Client>, StoreError> {
        let mut slot = self.client.lock().await;
        if let Some(client) = slot.as_ref().filter(|client| !client.is_closed()) {
            return Ok(Arc::clone(client));
        }
        let (client, connection) = self.config.connect(NoTls).await.map_err(failed)?;
        // It ends with an error when the server goes away; those who use the client learn of it.
        tokio::spawn(async { drop(connection.await) });
        Ok(Arc::clone(slot.insert(Arc::new(client))))
    }

    /// Runs a statement on the row of a key, which is made before, and gives the row that comes back.
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
        let made = client.execute(ENTRY, &[&key]).await;
        made.map_err(failed)?;
        let row = client.query_opt(statement, &all).await;
        row.map_err(failed)
    }

    /// The same, for a statement that changes the row or does not.
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
        let tokens =
            match row.get::<_, Option<Value>>(1) {
                None => None,
                Some(value) => Some(tokens_from(&value).ok_or_else(|| {
                    StoreError::new(format!("the tokens of `{key}` cannot be read"))
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
            None => Err(StoreError::new("somebody has removed the row")),
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
        let row = self.row(key, HELD, &[]).await?;
        // It may have ended between the two statements.
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

/// What Postgres said, without its details: they can quote the row.
fn failed(error: tokio_postgres::Error) -> StoreError {
    match error.as_db_error() {
        Some(said) => StoreError::new(format!("{} ({})", said.message(), said.code().code())),
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
    // What this program wrote has both fields, and either may be null.
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

/// Postgres has no unsigned numbers; these never get that large.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}
