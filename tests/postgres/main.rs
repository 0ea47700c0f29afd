//! The store of the `postgres_store` example, with a real Postgres server.

#[path = "../../src/store/conformance.rs"]
mod conformance;
#[path = "../../examples/postgres_store/postgres.rs"]
mod postgres;
#[path = "../../examples/postgres_store/store.rs"]
mod store;

// The conformance suite imports these from its parent module.
use tower_auth::store::{
    Fence, Intent, LockAttempt, Revision, SaveRequest, StoreKey, Stored, TokenSet, TokenStore,
    WriteOutcome,
};

use postgres::Postgres;
use store::{PostgresStore, STATEMENTS};

/// P42, P12. Each test has a separate connection, as a separate process would.
#[tokio::test]
async fn it_conforms_to_the_store_contract() {
    let Some(postgres) = Postgres::start().await.unwrap() else {
        return;
    };
    let new = || PostgresStore::new(postgres.config());
    new().create_table().await.unwrap();
    conformance::run(new).await;
}

/// The SQL that users copy is the SQL that is tested.
#[test]
fn the_documented_statements_are_the_tested_ones() {
    let docs = include_str!("../../src/store/mod.rs");
    let sql = docs.split("```sql").nth(1).unwrap();
    let sql = sql.split("```").next().unwrap();
    let lines = sql
        .lines()
        .map(|line| line.trim_start_matches("///").trim());
    let sql: Vec<_> = lines.filter(|line| !line.starts_with("--")).collect();
    let sql = sql.join(" ");
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let documented: Vec<_> = sql
        .split(';')
        .map(words)
        .filter(|it| !it.is_empty())
        .collect();
    assert_eq!(documented, STATEMENTS.map(words));
}
