//! What the PostgreSQL store promises beyond the contract: schemas, migrations, several nodes,
//! notifications, failures of servers and networks, and errors.

mod changes;
mod damage;
mod errors;
mod hindered;
mod history;
mod notifications;
mod pooler;
mod schema;
mod tls;
mod writes;

#[path = "../postgres_support/mod.rs"]
mod postgres_support;
#[path = "../util/mod.rs"]
mod util;

use api_tokens::{
    Changes, Cursor, Issuer, Keyring, PostgresOptions, PostgresStore, Token, TokenId, TokenRecord,
    TokenStore, Usage, Verifier, VerifyError, WriteBatch, prefix,
};
use jiff::Timestamp;

use self::{
    postgres_support::{Server, new_schema, options, shared, sql},
    util::{ann, id, new_token, record},
};

/// A schema of its own on the shared server, with tables.
struct Fixture {
    schema: String,
    url: String,
}

impl Fixture {
    async fn new() -> Option<Self> {
        let fixture = Self { schema: new_schema(), url: shared()?.url("postgres") };
        fixture.options().migrate().await.expect("migrate");
        Some(fixture)
    }

    fn options(&self) -> PostgresOptions {
        PostgresOptions::new(&self.url).schema(&self.schema)
    }

    async fn store(&self) -> PostgresStore {
        self.options().open().await.expect("open")
    }

    /// Runs SQL in the schema, on a connection that is not the store's.
    async fn sql(&self, text: &str) -> Option<String> {
        let text = format!("SET search_path = {}; {text}", self.schema);
        sql(&self.url, &text).await.unwrap_or_else(|error| panic!("{text}: {error:?}"))
    }
}

fn issuer(store: &PostgresStore) -> (Issuer<PostgresStore>, Verifier<PostgresStore>) {
    let verifier = Verifier::new(prefix!("acme_live"), &Keyring::unkeyed(), store.clone());
    (Issuer::new(&verifier), verifier)
}

async fn create(issuer: &Issuer<PostgresStore>) -> Token {
    issuer.create(new_token("a token"), &ann()).await.expect("create").token
}

async fn is_accepted(verifier: &Verifier<PostgresStore>, token: &Token) -> bool {
    match verifier.verify(token.expose_secret().as_bytes()).await {
        Ok(_) => true,
        Err(VerifyError::NotActive { .. }) => false,
        Err(error) => panic!("{error}"),
    }
}

fn usage(id: TokenId, second: i64) -> Usage {
    let client_address = Some("2001:db8::1".parse().expect("an address"));
    let last_used_at = Timestamp::from_second(second).expect("a time");
    Usage { id, last_used_at, client_address, user_agent: Some("curl/8.5".to_owned()) }
}

async fn insert(store: &PostgresStore, id: TokenId) {
    store.write(&WriteBatch::insert(record(id, 1))).await.expect("insert");
}

async fn update(store: &PostgresStore, id: TokenId, version: u32) {
    store.write(&WriteBatch::update(record(id, version))).await.expect("update");
}

/// Where the history stands.
async fn head(store: &PostgresStore) -> Cursor {
    match store.changes_since(None, 1).await.expect("changes_since") {
        Changes::Reset { next } => next,
        Changes::Since { .. } => panic!("a reader begins with a reset"),
    }
}
