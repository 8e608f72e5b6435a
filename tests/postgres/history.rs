//! Another history after a failover, and after a dump was restored; the same after anything else.

use std::time::{Duration, Instant};

use api_tokens::StoreErrorKind;

use super::*;

async fn fresh() -> Option<(Server, PostgresOptions, PostgresStore)> {
    let server = Server::start()?;
    let options = PostgresOptions::new(&server.url("postgres"));
    options.migrate().await.expect("migrate");
    let store = options.open().await.expect("open");
    insert(&store, id(1)).await;
    update(&store, id(1), 2).await;
    Some((server, options, store))
}

#[tokio::test]
async fn every_node_names_the_same_history() {
    let Some(fixture) = Fixture::new().await else { return };
    let (here, there) = (fixture.store().await, fixture.store().await);
    assert_eq!(head(&here).await, head(&there).await);
    let pooled = fixture.options().transaction_pooler(true).open().await.unwrap();
    assert_eq!(head(&here).await, head(&pooled).await);
    let other = fixture.options().schema(&new_schema());
    other.migrate().await.unwrap();
    let other = other.open().await.unwrap();
    assert_ne!(head(&here).await.incarnation, head(&other).await.incarnation);
    let before = head(&here).await;
    fixture.sql("UPDATE token_head SET incarnation = incarnation + 1").await;
    assert_ne!(head(&here).await.incarnation, before.incarnation, "as its docs say");
}

#[tokio::test]
async fn a_standby_is_not_read_from_until_it_is_promoted_which_is_another_history() {
    let Some((primary, _, store)) = fresh().await else { return };
    let before = head(&store).await;
    let standby = primary.standby();
    let error = PostgresOptions::new(&standby.url("postgres")).open().await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error}");

    let both = format!(
        "postgres://postgres@127.0.0.1:{},127.0.0.1:{}/postgres?sslmode=disable",
        standby.port(),
        primary.port()
    );
    let store = PostgresOptions::new(&both).open().await.unwrap();
    assert_eq!(head(&store).await, before, "the primary, though it is the second");
    primary.kill();
    let error = store.find(&id(1)).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error}");
    standby.promote();
    let begun = Instant::now();
    let after = loop {
        match store.changes_since(Some(&before), 10).await {
            Ok(Changes::Reset { next }) => break next,
            Ok(changes) => panic!("the same history: {changes:?}"),
            Err(error) => assert!(begun.elapsed() < Duration::from_secs(60), "{error}"),
        }
    };
    assert_ne!(after.incarnation, before.incarnation);
    insert(&store, id(2)).await;
    assert_eq!(head(&store).await, after);
}

/// A timeline's number is no name: both standbys call theirs the second one.
#[tokio::test]
async fn promotions_one_after_the_other_are_different_histories() {
    let Some((primary, _, store)) = fresh().await else { return };
    insert(&store, id(2)).await;
    let standbys = [primary.standby(), primary.standby()];
    let [one, other] = standbys.each_ref().map(Server::port);
    let both = format!("postgres://postgres@127.0.0.1:{one},127.0.0.1:{other}/postgres");
    let begun = head(&store).await;
    primary.kill();
    standbys[0].promote();
    let store = PostgresOptions::new(&both).open().await.unwrap();
    // Which the other one never hears of.
    update(&store, id(1), 3).await;
    let cursor = head(&store).await;
    standbys[0].kill();
    standbys[1].promote();
    let begun_again = Instant::now();
    while let Err(error) = store.write(&WriteBatch::update(record(id(2), 2))).await {
        assert!(begun_again.elapsed() < Duration::from_secs(60), "{error}");
    }
    let next = head(&store).await;
    assert_eq!(
        [next.revision, cursor.revision].map(|revision| revision.0 - begun.revision.0),
        [1; 2]
    );
    assert_eq!(store.changes_since(Some(&cursor), 10).await.unwrap(), Changes::Reset { next });
}

/// What is started from a copy of the files may have lost what came after the copy.
#[tokio::test]
async fn a_server_that_was_started_again_is_another_history() {
    let Some((server, _, store)) = fresh().await else { return };
    let before = head(&store).await;
    server.stop();
    server.restart();
    let next = head(&store).await;
    assert_eq!(next.revision, before.revision);
    assert_eq!(store.changes_since(Some(&before), 10).await.unwrap(), Changes::Reset { next });
}

#[tokio::test]
async fn a_dump_that_was_restored_is_another_history() {
    let Some((server, options, store)) = fresh().await else { return };
    let before = head(&store).await;
    let dump = server
        .command("pg_dump")
        .args(["--schema", "api_tokens", "-d", &server.url("postgres")])
        .output()
        .expect("pg_dump");
    assert!(dump.status.success());
    // In its place, in another database, and in another cluster.
    let restore = |server: &Server, database: &str| {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(&file, &dump.stdout).expect("write the dump");
        let input = std::fs::File::open(&file).expect("the dump");
        let mut psql = server.command("psql");
        psql.args(["-q", "-v", "ON_ERROR_STOP=1", "-d", &server.url(database)]).stdin(input);
        assert!(psql.stdout(std::process::Stdio::null()).status().expect("psql").success());
    };
    server.psql("CREATE DATABASE other");
    restore(&server, "other");
    let other = PostgresOptions::new(&server.url("other")).open().await.unwrap();
    server.psql("DROP SCHEMA api_tokens CASCADE");
    restore(&server, "postgres");
    let elsewhere = Server::start().expect("another server");
    restore(&elsewhere, "postgres");
    let elsewhere = PostgresOptions::new(&elsewhere.url("postgres")).open().await.unwrap();
    let in_place = options.open().await.unwrap();
    let mut seen = vec![before.incarnation];
    for restored in [&in_place, &other, &elsewhere] {
        let found = restored.find(&id(1)).await.unwrap().unwrap();
        assert_eq!(found.record.version, 2);
        let after = head(restored).await;
        assert_eq!(after.revision, before.revision);
        assert!(!seen.contains(&after.incarnation));
        seen.push(after.incarnation);
        update(restored, id(1), 3).await;
    }
}
