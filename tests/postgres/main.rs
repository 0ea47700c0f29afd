//! The store of the example `postgres_store`, in a real Postgres.

#[path = "../../src/store/conformance.rs"]
mod conformance;
#[path = "../../examples/postgres_store/postgres.rs"]
mod postgres;
#[path = "../../examples/postgres_store/store.rs"]
mod store;

// What the conformance suite finds above itself.
use tower_auth::store::{
    Fence, Intent, LockAttempt, Revision, SaveRequest, StoreKey, Stored, TokenSet, TokenStore,
    WriteOutcome,
};

use postgres::Postgres;
use store::{PostgresStore, STATEMENTS};

/// P42, P12. Each part has a connection of its own, as another process does.
#[tokio::test]
async fn it_is_a_store() {
    let Some(postgres) = Postgres::start().await.unwrap() else {
        return;
    };
    let new = || PostgresStore::new(postgres.config());
    new().create_table().await.unwrap();
    conformance::run(new).await;
}

/// What the documentation tells users to write is what was tested.
#[test]
fn its_statements_are_those_of_the_documentation() {
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
