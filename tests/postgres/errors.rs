//! Errors by their kind, and without secrets.

use api_tokens::{StoreError, StoreErrorKind};

use super::*;
use crate::postgres_support::GUARDED;

async fn refused(url: &str) -> StoreError {
    PostgresOptions::new(url).open().await.expect_err("it opened")
}

#[tokio::test]
async fn a_server_that_is_not_there_is_an_outage() {
    let port = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let url = format!("postgres://ann:tr0ub4dor@127.0.0.1:{port}/db");
    for error in [refused(&url).await, PostgresOptions::new(&url).migrate().await.unwrap_err()] {
        assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error}");
        assert!(!format!("{error} {error:?}").contains("tr0ub4dor"), "{error}");
    }
}

#[tokio::test]
async fn passwords_do_not_show() {
    let Some(server) = shared() else { return };
    let (role, password) = GUARDED;
    let url = |password: &str, database: &str| {
        server.url(database).replace("postgres@", &format!("{role}:{password}@"))
    };
    let options = PostgresOptions::new(&url(password, "postgres"));
    assert!(!format!("{options:?}").contains(password));
    // No tables for this role, so it got in.
    let error = refused(&url(password, "postgres")).await;
    assert_eq!(error.kind(), StoreErrorKind::Other, "{error}");
    let error = refused(&url("wr0ng", "postgres")).await;
    assert_eq!(error.kind(), StoreErrorKind::Other, "{error}");
    assert!(error.to_string().contains("28P01"), "{error}");
    // A host that is away says less, wherever it stands in the list.
    let (start, port) = (format!("postgres://{role}:wr0ng@"), server.port());
    for hosts in [format!("127.0.0.1:{port},127.0.0.1:1"), format!("127.0.0.1:1,127.0.0.1:{port}")]
    {
        let error = refused(&format!("{start}{hosts}/postgres")).await;
        assert!(error.to_string().contains("28P01"), "{hosts}: {error}");
    }
    let missing = refused(&url(password, "missing")).await;
    assert!(missing.to_string().contains("3D000"), "{missing}");
    for odd in [
        "postgres://ann:tr?0ub=4dor@localhost/db",
        "postgres://ann:tr0ub4dor@localhost/db?tr0ub4dor",
        "postgres://ann:tr0ub4dor@localhost:port/db",
        "host=localhost password=tr 0ub4dor",
        "tr0ub4dor",
        "",
    ] {
        let error = refused(odd).await;
        for error in [&error, &missing] {
            let text = format!("{error} {error:?}");
            assert!(!text.contains("0ub") && !text.contains("wr0ng"), "{text}");
        }
    }
}

#[tokio::test]
async fn tables_that_are_gone_are_no_outage_and_no_refusal() {
    let Some(fixture) = Fixture::new().await else { return };
    let store = fixture.store().await;
    insert(&store, id(1)).await;
    assert!(store.find(&id(1)).await.unwrap().is_some());
    fixture.sql("DROP TABLE token CASCADE").await;
    for error in [
        store.find(&id(1)).await.unwrap_err(),
        store.write(&WriteBatch::insert(record(id(2), 1))).await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), StoreErrorKind::Other, "{error}");
        assert!(error.to_string().contains("42P01"), "{error}");
    }
}

#[tokio::test]
async fn rows_are_not_quoted_in_errors() {
    let Some(fixture) = Fixture::new().await else { return };
    let store = fixture.store().await;
    fixture.sql("ALTER TABLE token ADD CHECK (name <> 'a token')").await;
    let error = store.write(&WriteBatch::insert(record(id(1), 1))).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Other, "{error}");
    let text = format!("{error} {error:?}");
    assert!(text.contains("23514") && !text.contains("sha256"), "{text}");
}

#[tokio::test]
async fn a_server_that_takes_no_writes_is_an_outage() {
    let Some(fixture) = Fixture::new().await else { return };
    let role = format!("{}_reader", fixture.schema);
    fixture
        .sql(&format!(
            "CREATE ROLE {role} SUPERUSER LOGIN; \
             ALTER ROLE {role} SET default_transaction_read_only = on"
        ))
        .await;
    let url = fixture.url.replace("postgres@", &format!("{role}@"));
    let error = PostgresOptions::new(&url).schema(&fixture.schema).open().await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error}");
}

#[tokio::test]
async fn a_server_that_stops_is_an_outage_until_it_is_back() {
    let Some(server) = Server::start() else { return };
    let options = PostgresOptions::new(&server.url("postgres"));
    options.migrate().await.unwrap();
    let store = options.open().await.unwrap();
    insert(&store, id(1)).await;
    update(&store, id(1), 2).await;
    let before = head(&store).await;
    for kill in [false, true] {
        if kill {
            server.kill();
        } else {
            server.stop();
        }
        for error in [
            store.find(&id(1)).await.unwrap_err(),
            store.find(&id(2)).await.unwrap_err(),
            store.changes_since(None, 1).await.unwrap_err(),
            store.write(&WriteBatch::update(record(id(1), 3))).await.unwrap_err(),
            store.record_usage(&[usage(id(1), 1)]).await.unwrap_err(),
        ] {
            assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error}");
        }
        server.restart();
        assert!(store.find(&id(1)).await.unwrap().is_some());
        assert_eq!(head(&store).await.revision, before.revision, "nothing is lost");
    }
}

/// As engines say of a commit whose answer was lost: it may have happened.
#[tokio::test]
async fn a_write_that_may_have_happened_is_not_tried_again() {
    let Some(fixture) = Fixture::new().await else { return };
    let store = fixture.store().await;
    // A sequence counts what is rolled back as well.
    fixture
        .sql(
            "CREATE SEQUENCE tries; \
             CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
             PERFORM nextval(TG_TABLE_SCHEMA || '.tries'); \
             RAISE EXCEPTION 'lost' USING ERRCODE = TG_ARGV[0]; END $$; \
             CREATE TRIGGER lose BEFORE INSERT ON token FOR EACH ROW EXECUTE FUNCTION lose('40003')",
        )
        .await;
    let write = async || store.write(&WriteBatch::insert(record(id(1), 1))).await.unwrap_err();
    let tries = async || fixture.sql("SELECT last_value FROM tries").await.expect("a number");
    let error = write().await;
    assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error}");
    assert_eq!(tries().await, "1");
    // What was rolled back is tried again.
    let trigger = "CREATE OR REPLACE TRIGGER lose BEFORE INSERT ON token FOR EACH ROW";
    fixture.sql(&format!("{trigger} EXECUTE FUNCTION lose('40001')")).await;
    let error = write().await;
    assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error}");
    assert!(tries().await.parse::<u32>().expect("a number") > 10);
}

/// A name of a statement that another client of the pooler has, or that it has forgotten.
#[tokio::test]
async fn a_pooler_that_was_forgotten_is_named() {
    let Some(fixture) = Fixture::new().await else { return };
    let store = fixture.store().await;
    for code in ["42P05", "26000"] {
        fixture
            .sql(&format!(
                "CREATE OR REPLACE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
                 RAISE EXCEPTION 'lost' USING ERRCODE = '{code}'; END $$; \
                 CREATE OR REPLACE TRIGGER lose BEFORE INSERT ON token \
                 FOR EACH ROW EXECUTE FUNCTION lose()"
            ))
            .await;
        let error = store.write(&WriteBatch::insert(record(id(1), 1))).await.unwrap_err();
        let text = error.to_string();
        assert!(text.contains(code) && text.contains("transaction_pooler"), "{text}");
    }
}
