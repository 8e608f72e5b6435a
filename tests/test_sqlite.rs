//! What the SQLite store promises beyond the contract: files, tables, migrations, several
//! connections, and errors.

mod util;

use std::{
    path::Path,
    task::{Context, Waker},
    time::Duration,
};

use api_tokens::{
    Changes, Event, EventKind, Issuer, Keyring, ListFilter, PageKey, SqliteOptions, SqliteStore,
    StoreError, StoreErrorKind, Token, TokenId, TokenRecord, TokenStore, Usage, Verifier,
    VerifyError, WriteBatch, prefix,
};
use jiff::Timestamp;
use rusqlite::Connection;
use tempfile::TempDir;
use util::{ann, new_token};

struct Fixture {
    directory: TempDir,
}

impl Fixture {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().expect("a temporary directory") }
    }

    fn path(&self) -> std::path::PathBuf {
        self.directory.path().join("tokens.db")
    }

    fn options(&self) -> SqliteOptions {
        SqliteOptions::new(self.path())
    }

    #[track_caller]
    fn store(&self) -> SqliteStore {
        self.options().migrate().expect("migrate");
        self.options().open().expect("open")
    }

    /// A connection that is not the store's.
    #[track_caller]
    fn connection(&self) -> Connection {
        Connection::open(self.path()).expect("open")
    }
}

fn issuer(store: SqliteStore) -> (Issuer<SqliteStore>, Verifier<SqliteStore>) {
    let verifier = Verifier::new(prefix!("acme_live"), &Keyring::unkeyed(), store);
    (Issuer::new(&verifier), verifier)
}

async fn create(issuer: &Issuer<SqliteStore>) -> Token {
    issuer.create(new_token("a token"), &ann()).await.expect("create").token
}

fn usage(id: TokenId, last_used_at: Timestamp) -> Usage {
    let client_address = Some("2001:db8::1".parse().expect("an address"));
    Usage { id, last_used_at, client_address, user_agent: Some("curl/8.5".to_owned()) }
}

async fn is_accepted(verifier: &Verifier<SqliteStore>, token: &Token) -> bool {
    match verifier.verify(token.expose_secret().as_bytes()).await {
        Ok(_) => true,
        Err(VerifyError::NotActive { .. }) => false,
        Err(error) => panic!("{error}"),
    }
}

#[track_caller]
fn refused(result: Result<SqliteStore, StoreError>) -> String {
    result.expect_err("it opened").to_string()
}

#[cfg(unix)]
#[tokio::test]
async fn files_are_their_owners_alone() {
    use std::os::unix::fs::PermissionsExt;

    let fixture = Fixture::new();
    let (issuer, _) = issuer(fixture.store());
    create(&issuer).await;
    let mut names = Vec::new();
    for entry in std::fs::read_dir(fixture.directory.path()).expect("read the directory") {
        let entry = entry.expect("an entry");
        let mode = entry.metadata().expect("metadata").permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{:?} has mode {mode:o}", entry.file_name());
        names.push(entry.file_name().into_string().expect("a name"));
    }
    names.sort();
    assert_eq!(names, ["tokens.db", "tokens.db-shm", "tokens.db-wal"]);
}

#[tokio::test]
async fn tokens_survive_a_restart() {
    let fixture = Fixture::new();
    let (kept, revoked) = {
        let (issuer, _) = issuer(fixture.store());
        let (kept, revoked) = (create(&issuer).await, create(&issuer).await);
        issuer.revoke(revoked.id(), &ann(), None).await.unwrap();
        (kept, revoked)
    };
    let (_, verifier) = issuer(SqliteStore::open(fixture.path()).unwrap());
    assert!(is_accepted(&verifier, &kept).await);
    assert!(!is_accepted(&verifier, &revoked).await);
}

#[tokio::test]
async fn what_one_connection_changes_the_next_read_of_another_sees() {
    let fixture = Fixture::new();
    let (here, _) = issuer(fixture.store());
    let (_, there) = issuer(fixture.store());
    for _ in 0..20 {
        let token = create(&here).await;
        assert!(is_accepted(&there, &token).await);
        here.revoke(token.id(), &ann(), None).await.unwrap();
        assert!(!is_accepted(&there, &token).await);
    }
}

#[tokio::test]
async fn usage_and_events_are_shared_by_several_connections() {
    let fixture = Fixture::new();
    let (here, there) = (fixture.store(), fixture.store());
    let (issuer, _) = issuer(here.clone());
    let id = create(&issuer).await.id();
    let at = |second| usage(id, Timestamp::from_second(second).unwrap());
    for (store, other, second, latest) in
        [(&here, &there, 2, 2), (&there, &here, 1, 2), (&there, &here, 3, 3), (&here, &there, 3, 3)]
    {
        store.record_usage(&[at(second)]).await.unwrap();
        assert_eq!(other.usage(&[id]).await.unwrap(), [at(latest)]);
        let event = Event {
            at: at(second).last_used_at,
            token: Some(id),
            project: None,
            by: None,
            kind: EventKind::ReuseDetected,
        };
        let batch = WriteBatch { events: vec![event.clone()], ..WriteBatch::default() };
        store.write(&batch).await.unwrap();
        let events = other.events(&id, None, 1).await.unwrap();
        assert_eq!(events.first().map(|read| &read.event), Some(&event));
    }
    assert_eq!(here.events(&id, None, 100).await.unwrap().len(), 5);
    // A number is not given twice, even if the latest events are deleted.
    let last = here.events(&id, None, 1).await.unwrap()[0].number;
    fixture.connection().execute("DELETE FROM api_token_event", []).unwrap();
    issuer.revoke(id, &ann(), None).await.unwrap();
    assert!(there.events(&id, None, 1).await.unwrap()[0].number > last);
}

/// Each relies on the token that another handle changes; none relies on what is no longer so.
#[tokio::test(flavor = "multi_thread")]
async fn batches_of_several_connections_that_exclude_each_other_do_not_both_happen() {
    let fixture = Fixture::new();
    let stores = [fixture.store(), fixture.store()];
    let (issuer, _) = issuer(stores[0].clone());
    for _ in 0..50 {
        let mut records = Vec::new();
        for name in ["one", "two"] {
            records.push(issuer.create(new_token(name), &ann()).await.unwrap().record);
        }
        let mut tasks = tokio::task::JoinSet::new();
        for (store, side) in stores.iter().cloned().zip(0..) {
            let other = &records[1 - side];
            let batch = WriteBatch {
                unchanged: vec![(other.id, other.version)],
                ..WriteBatch::update(TokenRecord { version: 2, ..records[side].clone() })
            };
            tasks.spawn(async move { store.write(&batch).await.map_err(|error| error.kind()) });
        }
        let mut results = tasks.join_all().await;
        results.sort_by_key(Result::is_err);
        assert_eq!(results, [Ok(()), Err(StoreErrorKind::Conflict)]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_of_several_connections_at_once_all_happen() {
    let fixture = Fixture::new();
    let stores = [fixture.store(), fixture.store(), fixture.store()];
    let mut tasks = tokio::task::JoinSet::new();
    for store in &stores {
        for _ in 0..100 {
            let (issuer, _) = issuer(store.clone());
            tasks.spawn(async move {
                let token = create(&issuer).await;
                issuer.revoke(token.id(), &ann(), None).await.unwrap();
                token.id()
            });
        }
    }
    let mut ids: Vec<TokenId> = tasks.join_all().await;
    let [store, ..] = &stores;
    let listed = store.list(&ListFilter::default(), None, 1000).await.unwrap();
    let mut stored: Vec<TokenId> = listed.iter().map(|record| record.id).collect();
    ids.sort();
    stored.sort();
    assert_eq!(stored, ids);
    assert!(listed.iter().all(|record| record.revocation.is_some()));
    let Changes::Reset { next } = store.changes_since(None, 1).await.unwrap() else { panic!() };
    assert_eq!(next.revision.0, 300, "each revocation is one change");
}

#[tokio::test]
async fn dropping_the_store_waits_for_its_writes() {
    let fixture = Fixture::new();
    let (issuer, verifier) = issuer(fixture.store());
    drop(verifier);
    let actor = ann();
    for _ in 0..50 {
        // Polled once, so that the write is under way, then given up.
        let create = std::pin::pin!(issuer.create(new_token("given up"), &actor));
        let _ = create.poll(&mut Context::from_waker(Waker::noop()));
    }
    drop(issuer);
    let count: i64 = fixture
        .connection()
        .query_row("SELECT count(*) FROM api_token", [], |row| row.get(0))
        .unwrap();
    assert_eq!(count, 50);
}

#[tokio::test]
async fn a_write_that_waits_does_not_block_the_runtime_nor_reads() {
    let fixture = Fixture::new();
    let store = fixture.store();
    let (issuer, verifier) = issuer(store);
    let token = create(&issuer).await;
    let other = fixture.connection();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let actor = ann();
    let waiting = issuer.revoke(token.id(), &actor, None);
    tokio::pin!(waiting);
    for _ in 0..20 {
        tokio::select! {
            biased;
            _ = &mut waiting => panic!("it wrote while another connection held the lock"),
            () = tokio::time::sleep(Duration::from_millis(5)) => {}
        }
        assert!(is_accepted(&verifier, &token).await);
    }
    other.execute_batch("COMMIT").unwrap();
    waiting.await.unwrap();
    assert!(!is_accepted(&verifier, &token).await);
}

#[tokio::test]
async fn a_lock_that_is_not_released_is_an_outage() {
    let fixture = Fixture::new();
    fixture.options().migrate().unwrap();
    let store = fixture.options().busy_timeout(Duration::from_millis(50)).open().unwrap();
    let (issuer, _) = issuer(store.clone());
    let other = fixture.connection();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = issuer.create(new_token("too late"), &ann()).await.unwrap_err();
    let api_tokens::IssuerError::Store(error) = error else { panic!("{error}") };
    assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error}");
    other.execute_batch("ROLLBACK").unwrap();
    create(&issuer).await;
    assert_eq!(store.list(&ListFilter::default(), None, 10).await.unwrap().len(), 1);
}

/// Everything in the file that is not ours, as SQL.
fn schema(path: &Path, like: &str) -> Vec<String> {
    let connection = Connection::open(path).unwrap();
    let mut query = connection
        .prepare("SELECT name || ': ' || coalesce(sql, '') FROM sqlite_schema WHERE name LIKE ?1 ORDER BY name")
        .unwrap();
    query.query_map([like], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

#[tokio::test]
async fn our_tables_live_beside_the_hosts() {
    let fixture = Fixture::new();
    let host = fixture.connection();
    host.execute_batch(
        "CREATE TABLE token (mine TEXT); INSERT INTO token VALUES ('kept');
         CREATE TABLE project (id INTEGER PRIMARY KEY); PRAGMA user_version = 7;",
    )
    .unwrap();
    let before = schema(&fixture.path(), "%");
    let (first, _) = issuer(fixture.store());
    let other = fixture.options().table_prefix("other_");
    other.migrate().unwrap();
    let (second, _) = issuer(other.open().unwrap());
    let (one, two) = (create(&first).await.id(), create(&second).await.id());
    assert!(first.get(one, &ann()).await.unwrap().is_some());
    assert!(first.get(two, &ann()).await.unwrap().is_none(), "prefixes are apart");
    assert!(second.get(two, &ann()).await.unwrap().is_some());

    let mut after = schema(&fixture.path(), "%");
    after.retain(|sql| !sql.starts_with("api_token") && !sql.starts_with("other_token"));
    // SQLite's own.
    after.retain(|sql| !sql.starts_with("sqlite_"));
    assert_eq!(after, before);
    let kept: String = host.query_row("SELECT mine FROM token", [], |row| row.get(0)).unwrap();
    let version: i64 = host.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
    assert_eq!((kept.as_str(), version), ("kept", 7));
}

#[test]
fn a_table_of_the_hosts_that_is_in_the_way_is_left_alone() {
    let fixture = Fixture::new();
    let host = fixture.connection();
    host.execute_batch("CREATE TABLE api_token (mine TEXT)").unwrap();
    let error = fixture.options().migrate().unwrap_err().to_string();
    assert!(error.contains("table api_token already exists"), "{error}");
    assert_eq!(schema(&fixture.path(), "%"), ["api_token: CREATE TABLE api_token (mine TEXT)"]);
}

#[test]
fn migrating_again_or_at_once_changes_nothing() {
    let fixture = Fixture::new();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| fixture.options().migrate().expect("migrate"));
        }
    });
    let once = schema(&fixture.path(), "%");
    fixture.options().migrate().unwrap();
    assert_eq!(schema(&fixture.path(), "%"), once);
    fixture.options().open().unwrap();
}

#[test]
fn the_sql_text_makes_the_tables_that_migrate_makes() {
    let by_migrate = Fixture::new();
    by_migrate.options().table_prefix("x_").migrate().unwrap();
    let by_hand = Fixture::new();
    for migration in by_hand.options().table_prefix("x_").migrations().unwrap() {
        by_hand.connection().execute_batch(&migration).unwrap();
    }
    let tables = schema(&by_migrate.path(), "%");
    assert!(tables.iter().any(|sql| sql.starts_with("x_token: ")), "{tables:?}");
    assert_eq!(schema(&by_hand.path(), "%"), tables);
    by_hand.options().table_prefix("x_").open().unwrap();
}

#[test]
fn a_missing_file_is_an_error_and_is_not_made() {
    let fixture = Fixture::new();
    let error = refused(SqliteStore::open(fixture.path()));
    assert!(error.starts_with("store unavailable: open "), "{error}");
    assert!(error.contains("tokens.db"), "{error}");
    assert!(!fixture.path().exists());
}

#[test]
fn missing_tables_are_an_error_that_says_what_to_do() {
    let fixture = Fixture::new();
    fixture.connection().execute_batch("CREATE TABLE a (b)").unwrap();
    let error = refused(fixture.options().open());
    assert!(error.contains("at version 0 and this program needs 1"), "{error}");
    assert!(error.contains("run SqliteOptions::migrate"), "{error}");
}

#[test]
fn tables_of_a_newer_program_are_used_unless_that_says_no() {
    let fixture = Fixture::new();
    drop(fixture.store());
    let set = |version: i64, breaking: bool| {
        fixture
            .connection()
            .execute(
                "INSERT INTO api_token_migration (version, breaking) VALUES (?1, ?2)",
                (version, breaking),
            )
            .unwrap();
    };
    set(2, false);
    fixture.options().migrate().unwrap();
    fixture.options().open().unwrap();
    set(3, true);
    set(4, false);
    let error = refused(fixture.options().open());
    assert!(error.contains("at version 3, which this program is too old to read"), "{error}");
}

/// Such as a newer program may add without breaking older ones.
#[tokio::test]
async fn columns_that_this_program_does_not_know_are_left_alone() {
    let fixture = Fixture::new();
    let store = fixture.store();
    for table in ["api_token", "api_token_usage", "api_token_event"] {
        let add = format!("ALTER TABLE {table} ADD COLUMN new TEXT DEFAULT 'kept'");
        fixture.connection().execute(&add, []).unwrap();
    }
    let (issuer, verifier) = issuer(store.clone());
    let token = create(&issuer).await;
    let used = usage(token.id(), Timestamp::UNIX_EPOCH);
    store.record_usage(std::slice::from_ref(&used)).await.unwrap();
    issuer.revoke(token.id(), &ann(), None).await.unwrap();
    assert!(!is_accepted(&verifier, &token).await);
    assert_eq!(store.usage(&[token.id()]).await.unwrap(), [used]);
    assert_eq!(store.events(&token.id(), None, 10).await.unwrap().len(), 2);
    for table in ["api_token", "api_token_usage", "api_token_event"] {
        let new = format!("SELECT DISTINCT new FROM {table}");
        let new: String = fixture.connection().query_row(&new, [], |row| row.get(0)).unwrap();
        assert_eq!(new, "kept", "{table}");
    }
}

#[test]
fn a_file_that_is_no_database_is_an_error() {
    let fixture = Fixture::new();
    std::fs::write(fixture.path(), "not a database, but long enough to look like one".repeat(99))
        .unwrap();
    let error = fixture.options().migrate().unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Corrupt, "{error}");
}

#[test]
fn a_table_prefix_is_checked() {
    let fixture = Fixture::new();
    for prefix in ["", "_", "a_", "app1_", &"a".repeat(32)] {
        fixture.options().table_prefix(prefix).migrate().unwrap();
        fixture.options().table_prefix(prefix).open().unwrap();
    }
    for prefix in ["1a", "A_", "a-", "a b", "\"", "a;--", "sqlite_", "ä", &"a".repeat(33)] {
        let options = fixture.options().table_prefix(prefix);
        for error in [options.migrate().unwrap_err(), options.open().unwrap_err()] {
            assert!(error.to_string().contains("a table prefix must"), "{prefix}: {error}");
        }
        options.migrations().unwrap_err();
    }
}

/// A record that somebody else damaged: an outage for this token, which names the place.
#[tokio::test]
async fn a_damaged_row_is_reported_and_is_never_a_refusal() {
    let fixture = Fixture::new();
    let (issuer, verifier) = issuer(fixture.store());
    let connection = fixture.connection();
    let damages = [
        ("prefix", "'Not A Prefix'"),
        ("digest", "'sha256:short'"),
        ("project", "''"),
        ("name", "'a' || char(10) || 'b'"),
        ("owner", "' a'"),
        ("created_by", "''"),
        ("created_through", "'short'"),
        ("scopes", "'a\"b'"),
        ("metadata", "'{'"),
        ("metadata", "'{\"a\":1}'"),
        ("created_at", "9223372036854775807"),
        ("not_before", "-9223372036854775808"),
        ("revoked_by", "'eve'"),
        ("revocation_reason", "'lost'"),
        ("successor", "'Ky9Pf34qY6Nb3wWD'"),
        ("overlap_ends_at", "1"),
        ("predecessor", "'Ky9Pf34qY6Nb3wWD'"),
        ("family", "'?'"),
        ("family", "'Ky9Pf34qY6Nb3wWD'"),
        ("retires_predecessor", "1"),
        ("version", "-1"),
    ];
    for (column, value) in damages {
        let token = create(&issuer).await;
        let id = token.id();
        let damage = format!("UPDATE api_token SET {column} = {value} WHERE id = '{id}'");
        assert_eq!(connection.execute(&damage, []).unwrap(), 1);
        let error = verifier.verify(token.expose_secret().as_bytes()).await.unwrap_err();
        let VerifyError::Outage(error) = error else { panic!("{column} = {value}: {error}") };
        assert_eq!(error.kind(), StoreErrorKind::Corrupt, "{column} = {value}: {error}");
        let message = error.to_string();
        assert!(message.starts_with("store corrupt: table api_token, column "), "{message}");
        assert!(message.ends_with(&format!(", id {id}")), "{message}");
        connection.execute("DELETE FROM api_token", []).unwrap();
    }
}

/// Nobody expects what no record has, and those who share the transaction are not concerned.
#[tokio::test]
async fn a_damaged_version_is_a_conflict_for_its_own_write_alone() {
    let fixture = Fixture::new();
    let store = fixture.store();
    let (issuer, _) = issuer(store.clone());
    let mut records = Vec::new();
    for name in ["damaged", "well"] {
        records.push(issuer.create(new_token(name), &ann()).await.unwrap().record);
    }
    let connection = fixture.connection();
    let damage = "UPDATE api_token SET version = -1 WHERE name = 'damaged'";
    assert_eq!(connection.execute(damage, []).unwrap(), 1);
    // The first write waits for the lock, and the others for the first.
    connection.execute_batch("BEGIN IMMEDIATE").unwrap();
    let [damaged, well] =
        [0, 1].map(|i| WriteBatch::update(TokenRecord { version: 2, ..records[i].clone() }));
    let again = WriteBatch::insert(records[0].clone());
    let expecting = WriteBatch { unchanged: vec![(records[0].id, 1)], ..WriteBatch::default() };
    let nothing = WriteBatch::default();
    let commit = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        connection.execute_batch("COMMIT").unwrap();
    };
    let (first, damaged, again, expecting, well, ()) = tokio::join!(
        store.write(&nothing),
        store.write(&damaged),
        store.write(&again),
        store.write(&expecting),
        store.write(&well),
        commit,
    );
    first.unwrap();
    well.unwrap();
    for result in [damaged, again, expecting] {
        assert_eq!(result.unwrap_err().kind(), StoreErrorKind::Conflict);
    }
    assert_eq!(store.find(&records[1].id).await.unwrap().unwrap().record.version, 2);
}

#[tokio::test]
async fn a_damaged_event_or_usage_is_reported_by_table_column_and_row() {
    let fixture = Fixture::new();
    let store = fixture.store();
    let (issuer, _) = issuer(store.clone());
    let connection = fixture.connection();
    let damages = [
        ("api_token_event", "at", "9223372036854775807"),
        ("api_token_event", "project", "''"),
        ("api_token_event", "by_principal", "' ann'"),
        ("api_token_event", "by_principal", "NULL, by_token = 'Ky9Pf34qY6Nb3wWD'"),
        ("api_token_event", "by_token", "'short'"),
        ("api_token_event", "detail", "''"),
        ("api_token_event", "detail", "'{\"type\":\"unheard_of\"}'"),
        ("api_token_event", "detail", "'{\"type\":\"rotated\"}'"),
        ("api_token_usage", "last_used_at", "-9223372036854775808"),
        ("api_token_usage", "client_address", "'localhost'"),
        ("api_token_usage", "client_address", "''"),
    ];
    for (table, column, value) in damages {
        let id = create(&issuer).await.id();
        store.record_usage(&[usage(id, Timestamp::UNIX_EPOCH)]).await.unwrap();
        let (error, row) = if table == "api_token_event" {
            let number = store.events(&id, None, 1).await.unwrap()[0].number.0;
            let damage = format!("UPDATE {table} SET {column} = {value} WHERE number = {number}");
            assert_eq!(connection.execute(&damage, []).unwrap(), 1);
            (store.events(&id, None, 1).await.unwrap_err(), format!("number {number}"))
        } else {
            let damage = format!("UPDATE {table} SET {column} = {value} WHERE id = '{id}'");
            assert_eq!(connection.execute(&damage, []).unwrap(), 1);
            (store.usage(&[id]).await.unwrap_err(), format!("id {id}"))
        };
        assert_eq!(error.kind(), StoreErrorKind::Corrupt, "{column} = {value}: {error}");
        let message = format!("store corrupt: table {table}, column {column}, {row}");
        assert_eq!(error.to_string(), message, "{value}");
    }
}

#[tokio::test]
async fn a_history_that_was_forgotten_is_a_reset() {
    let fixture = Fixture::new();
    let store = fixture.store();
    let (issuer, _) = issuer(store.clone());
    let Changes::Reset { next: start } = store.changes_since(None, 1).await.unwrap() else {
        panic!("a reader begins with a reset")
    };
    for _ in 0..3 {
        let token = create(&issuer).await;
        issuer.revoke(token.id(), &ann(), None).await.unwrap();
    }
    let changes = store.changes_since(Some(&start), 10).await.unwrap();
    assert!(
        matches!(&changes, Changes::Since { changes, .. } if changes.len() == 3),
        "{changes:?}"
    );
    let connection = fixture.connection();
    connection.execute("DELETE FROM api_token_change WHERE revision <= 2", []).unwrap();
    let changes = store.changes_since(Some(&start), 10).await.unwrap();
    assert!(matches!(changes, Changes::Reset { next } if next.revision.0 == 3), "{changes:?}");
    connection.execute("DELETE FROM api_token_change", []).unwrap();
    let changes = store.changes_since(Some(&start), 10).await.unwrap();
    assert!(matches!(changes, Changes::Reset { next } if next.revision.0 == 3), "{changes:?}");
}

#[tokio::test]
async fn the_last_instant_there_is_comes_back_to_the_second() {
    let fixture = Fixture::new();
    let store = fixture.store();
    let (issuer, _) = issuer(store.clone());
    let mut record = issuer.create(new_token("for ever"), &ann()).await.unwrap().record;
    let (id, last) = (record.id, Timestamp::MAX);
    record.expires_at = Some(last);
    record.version = 2;
    let kind = EventKind::Enabled;
    let event = Event { at: last, token: Some(id), project: None, by: None, kind };
    let batch = WriteBatch { events: vec![event], ..WriteBatch::update(record) };
    store.write(&batch).await.unwrap();
    store.record_usage(&[usage(id, last)]).await.unwrap();
    let found = store.find(&id).await.unwrap().unwrap();
    let expires_at = found.record.expires_at.unwrap();
    let happened_at = store.events(&id, None, 1).await.unwrap()[0].event.at;
    let used_at = store.usage(&[id]).await.unwrap()[0].last_used_at;
    assert_eq!([expires_at, happened_at, used_at].map(Timestamp::as_second), [last.as_second(); 3]);
    let key = PageKey { created_at: last, id };
    assert_eq!(key.to_string().parse::<PageKey>().unwrap().created_at, expires_at);
}

/// The host's file is not switched to another mode by a call that fails.
#[test]
fn a_call_that_fails_leaves_the_hosts_file_as_it_is() {
    let fixture = Fixture::new();
    let host = fixture.connection();
    host.execute_batch("CREATE TABLE api_token (mine TEXT)").unwrap();
    fixture.options().open().unwrap_err();
    fixture.options().migrate().unwrap_err();
    let mode: String = host.query_row("PRAGMA journal_mode", [], |row| row.get(0)).unwrap();
    assert_eq!(mode, "delete");
}

#[test]
fn a_path_is_nothing_but_a_path() {
    let fixture = Fixture::new();
    for name in [":memory:", "file:a.db", "file:a.db?mode=memory", "a b%20c'd.db"] {
        let path = fixture.directory.path().join(name);
        let options = SqliteOptions::new(&path);
        options.migrate().unwrap();
        options.open().unwrap();
        assert!(std::fs::metadata(&path).unwrap().len() > 0, "{name}");
    }
}

#[test]
fn any_busy_timeout_will_do() {
    let fixture = Fixture::new();
    for timeout in [Duration::ZERO, Duration::from_nanos(1), Duration::MAX] {
        let options = fixture.options().busy_timeout(timeout);
        options.migrate().unwrap();
        options.open().unwrap();
    }
}
