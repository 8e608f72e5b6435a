//! Hints that there was a change.

use std::time::Duration;

use tokio::time::timeout;

use super::*;

const SOON: Duration = Duration::from_secs(60);
const NOT: Duration = Duration::from_millis(300);

/// Waits until the store listens and has nothing more to tell.
async fn listening(store: &PostgresStore, url: &str, schema: &str) {
    let (begun, changed) = (std::time::Instant::now(), store.changed());
    tokio::pin!(changed);
    // The hint that a listener gives when it begins may have come before this.
    while timeout(Duration::from_secs(1), &mut changed).await.is_err() {
        assert!(begun.elapsed() < SOON, "it does not listen");
        sql(url, &format!("NOTIFY \"{schema}_changed\"")).await.expect("notify");
    }
    while timeout(NOT, store.changed()).await.is_ok() {}
}

#[tokio::test]
async fn an_update_of_one_node_is_announced_to_the_others_and_nothing_else_is() {
    let Some(fixture) = Fixture::new().await else { return };
    let (here, there) = (fixture.store().await, fixture.store().await);
    listening(&there, &fixture.url, &fixture.schema).await;
    let changed = there.changed();
    tokio::pin!(changed);
    let waits = timeout(NOT, &mut changed).await;
    assert!(waits.is_err(), "for nothing");
    insert(&here, id(1)).await;
    here.record_usage(&[usage(id(1), 1)]).await.unwrap();
    here.find(&id(1)).await.unwrap();
    assert!(timeout(NOT, &mut changed).await.is_err(), "for an insert");
    let conflict = WriteBatch::update(record(id(1), 9));
    here.write(&conflict).await.unwrap_err();
    assert!(timeout(NOT, &mut changed).await.is_err(), "for a conflict");
    update(&here, id(1), 2).await;
    timeout(SOON, &mut changed).await.expect("a hint");
    let (one, other) = (there.changed(), there.changed());
    tokio::pin!(one, other);
    assert!(timeout(NOT, &mut one).await.is_err(), "the same hint again");
    assert!(timeout(NOT, &mut other).await.is_err());
    update(&here, id(1), 3).await;
    timeout(SOON, one).await.expect("a hint");
    timeout(SOON, other).await.expect("a hint for everyone");
}

#[tokio::test]
async fn a_listener_comes_back_with_the_server_and_says_so() {
    let Some(server) = Server::start() else { return };
    let (url, schema) = (server.url("postgres"), "api_tokens");
    let options = PostgresOptions::new(&url).schema(schema);
    options.migrate().await.unwrap();
    let (here, there) = (options.open().await.unwrap(), options.open().await.unwrap());
    insert(&here, id(1)).await;
    listening(&there, &url, schema).await;
    let changed = there.changed();
    tokio::pin!(changed);
    assert!(timeout(NOT, &mut changed).await.is_err());
    server.kill();
    server.restart();
    timeout(SOON, &mut changed).await.expect("a hint when it listens again");
    listening(&there, &url, schema).await;
    let changed = there.changed();
    tokio::pin!(changed);
    assert!(timeout(NOT, &mut changed).await.is_err());
    update(&here, id(1), 2).await;
    timeout(SOON, changed).await.expect("a hint");
}

#[tokio::test]
async fn a_store_without_notifications_works_and_gives_no_hint() {
    let Some(fixture) = Fixture::new().await else { return };
    let silent = fixture.options().notifications(false).open().await.unwrap();
    let listening_store = fixture.store().await;
    listening(&listening_store, &fixture.url, &fixture.schema).await;
    insert(&silent, id(1)).await;
    update(&silent, id(1), 2).await;
    assert!(timeout(NOT, listening_store.changed()).await.is_err(), "it announced");
    let changed = silent.changed();
    tokio::pin!(changed);
    update(&listening_store, id(1), 3).await;
    assert!(timeout(NOT, &mut changed).await.is_err(), "it listens");
    assert_eq!(head(&silent).await.revision.0, 2);
}

#[tokio::test]
async fn the_listener_ends_with_the_last_clone() {
    let Some(fixture) = Fixture::new().await else { return };
    let listeners = async || {
        let query = format!(
            "SELECT count(*) FROM pg_stat_activity WHERE query = 'LISTEN \"{}_changed\"'",
            fixture.schema
        );
        fixture.sql(&query).await.expect("a number")
    };
    let store = fixture.store().await;
    listening(&store, &fixture.url, &fixture.schema).await;
    let clone = store.clone();
    drop(store);
    assert_eq!(listeners().await, "1");
    drop(clone);
    let begun = std::time::Instant::now();
    while listeners().await != "0" {
        assert!(begun.elapsed() < SOON, "it listens for ever");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
