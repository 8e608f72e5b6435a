//! Calls that are given up, connections that are taken, servers that say nothing.

use std::{
    pin::pin,
    task::{Context, Waker},
    time::{Duration, Instant},
};

use api_tokens::{ListFilter, StoreError, StoreErrorKind};

use super::*;

/// For what must come, on a busy machine.
const SOON: Duration = Duration::from_secs(60);

/// Holds a lock on the records, in a transaction of the host's.
async fn locked(fixture: &Fixture) -> (tokio_postgres::Client, tokio::task::JoinHandle<()>) {
    let connect = tokio_postgres::connect(&fixture.url, tokio_postgres::NoTls);
    let (client, connection) = connect.await.expect("connect");
    let task = tokio::spawn(async move { connection.await.expect("the connection") });
    let lock = format!("BEGIN; LOCK TABLE {}.token IN ACCESS EXCLUSIVE MODE", fixture.schema);
    client.batch_execute(&lock).await.expect("lock");
    (client, task)
}

/// What a call answers that has little time, as soon as it can.
async fn soon<T>(call: impl AsyncFn() -> Result<T, StoreError>) -> T {
    let begun = Instant::now();
    loop {
        match call().await {
            Ok(answer) => return answer,
            Err(error) => assert!(begun.elapsed() < SOON, "{error}"),
        }
    }
}

async fn found(store: &PostgresStore) -> bool {
    soon(async || store.find(&id(1)).await).await.is_some()
}

#[tokio::test]
async fn a_lock_that_is_not_released_is_an_outage_until_it_is() {
    let Some(fixture) = Fixture::new().await else { return };
    insert(&fixture.store().await, id(1)).await;
    let options = fixture.options().timeout(Duration::from_secs(1));
    let options = options.max_connections(2);
    let store = soon(async || options.open().await).await;
    let (other, _connection) = locked(&fixture).await;
    for _ in 0..3 {
        let begun = Instant::now();
        let (id, usage) = (id(1), [usage(id(1), 1)]);
        let (found, written, third) =
            tokio::join!(store.find(&id), store.record_usage(&usage), store.find(&id));
        for error in [found.unwrap_err(), written.unwrap_err(), third.unwrap_err()] {
            assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error}");
        }
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    }
    other.batch_execute("ROLLBACK").await.unwrap();
    assert!(found(&store).await);
}

#[tokio::test]
async fn too_many_calls_are_an_outage_for_those_that_wait_too_long() {
    let Some(fixture) = Fixture::new().await else { return };
    let options = fixture.options().max_connections(1).timeout(Duration::from_secs(2));
    let store = soon(async || options.open().await).await;
    let (other, _connection) = locked(&fixture).await;
    let missing = id(1);
    for _ in 0..2 {
        let (found, events) = tokio::join!(store.find(&missing), store.events(&missing, None, 1));
        for error in [found.unwrap_err(), events.unwrap_err()] {
            assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error}");
        }
    }
    assert_eq!(soon(async || store.events(&missing, None, 1).await).await, []);
    other.batch_execute("ROLLBACK").await.unwrap();
    assert!(!found(&store).await);
}

/// It would do no better the next time, and whoever looks into it should see why.
#[tokio::test]
async fn a_statement_that_the_server_ends_for_its_time_is_not_tried_again() {
    let Some(fixture) = Fixture::new().await else { return };
    // Which the store leaves as it is behind a pooler.
    let url = format!("{}&options=-c%20statement_timeout%3D200", fixture.url);
    let options = PostgresOptions::new(&url).schema(&fixture.schema).transaction_pooler(true);
    let store = soon(async || options.open().await).await;
    let (other, _connection) = locked(&fixture).await;
    let error = store.find(&id(1)).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    assert!(error.to_string().contains("57014"), "{error}");
    other.batch_execute("ROLLBACK").await.unwrap();
    assert!(!found(&store).await);
}

/// A call that is dropped at any point leaves no connection behind that gives another call's
/// answer, or none.
#[tokio::test(flavor = "multi_thread")]
async fn calls_that_are_given_up_do_no_harm() {
    let Some(fixture) = Fixture::new().await else { return };
    let store = fixture.options().max_connections(3).open().await.unwrap();
    for number in 0..10 {
        insert(&store, id(number)).await;
    }
    let filter = api_tokens::ListFilter::default();
    for round in 0..300_usize {
        let number = id(round % 10);
        let find = store.find(&number);
        let given_up = Duration::from_micros(20 * (round % 50) as u64);
        let _ = tokio::time::timeout(given_up, find).await;
        let mut polled_once = pin!(store.list(&filter, None, 9));
        let _ = polled_once.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        let other = id((round + 1) % 10);
        let found = store.find(&other).await.expect("find").expect("a record");
        assert_eq!(found.record.id, other);
    }
    // All connections can be had at once.
    let (one, two, three) = (id(1), id(2), id(3));
    let (one, two, three) = tokio::join!(store.find(&one), store.find(&two), store.find(&three));
    assert!([one, two, three].into_iter().all(|found| found.unwrap().is_some()));
}

/// As behind a network that swallows everything: each call ends in time, and no connection of then
/// is used again.
#[tokio::test]
async fn a_server_that_says_nothing_is_an_outage_in_time() {
    let Some(server) = Server::start() else { return };
    let options = PostgresOptions::new(&server.url("postgres"));
    options.migrate().await.unwrap();
    let options = options.timeout(Duration::from_secs(1)).max_connections(2);
    let store = soon(async || options.open().await).await;
    assert!(!found(&store).await);
    server.freeze(true);
    for _ in 0..4 {
        let begun = Instant::now();
        let error = store.find(&id(1)).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error}");
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    }
    server.freeze(false);
    assert!(!found(&store).await);
}

/// The next host has its turn, even if the first one takes connections and says nothing.
#[tokio::test]
async fn a_host_that_says_nothing_does_not_keep_the_next_from_its_turn() {
    let Some(fixture) = Fixture::new().await else { return };
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let real = shared().unwrap().port();
    let url =
        format!("postgres://postgres@127.0.0.1:{port},127.0.0.1:{real}/postgres?sslmode=disable");
    let options = PostgresOptions::new(&url).schema(&fixture.schema);
    let store = options.timeout(Duration::from_secs(4)).open().await.unwrap();
    insert(&store, id(1)).await;
    assert!(store.find(&id(1)).await.unwrap().is_some());
}

/// A primary whose synchronous standby is away may have been replaced: nobody knows.
#[tokio::test]
async fn confirmed_reads_wait_for_the_synchronous_standby() {
    let Some(server) = postgres_support::Server::start() else { return };
    let options = PostgresOptions::new(&server.url("postgres")).notifications(false);
    options.migrate().await.unwrap();
    let store = options.open().await.unwrap();
    let options = options.timeout(Duration::from_secs(1)).confirmed_reads(true);
    let confirmed = soon(async || options.open().await).await;
    insert(&store, id(1)).await;
    for is_away in [false, true, false] {
        let standbys = if is_away { "nobody" } else { "" };
        server.psql(&format!("ALTER SYSTEM SET synchronous_standby_names = '{standbys}'"));
        server.psql("SELECT pg_reload_conf()");
        // Each server process hears of it by itself.
        let url = server.url("postgres");
        let shown = || sql(&url, "SHOW synchronous_standby_names");
        while shown().await.unwrap().as_deref() != Some(standbys) {}
        let until = Instant::now() + SOON;
        loop {
            let results = [
                confirmed.find(&id(1)).await.map(|found| found.is_some()),
                confirmed.find(&id(2)).await.map(|found| found.is_none()),
                confirmed.changes_since(None, 1).await.map(|_| true),
                confirmed.list(&ListFilter::default(), None, 9).await.map(|list| list.len() == 1),
            ];
            let as_expected = results.iter().all(|result| match result {
                Ok(is_right) => !is_away && *is_right,
                Err(error) => is_away && error.kind() == StoreErrorKind::Unavailable,
            });
            if as_expected {
                break;
            }
            assert!(Instant::now() < until, "{results:?}");
        }
        assert!(store.find(&id(1)).await.unwrap().is_some());
        assert!(store.changes_since(None, 1).await.is_ok());
        // Else the server would have no connections left for anybody.
        let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
        while sql(&url, waiting).await.unwrap().as_deref() != Some("0") {
            assert!(Instant::now() < until, "reads that nobody waits for");
        }
    }
}

/// After a restart of the primary, what no standby has is there to be read, and may yet be lost.
#[tokio::test]
async fn what_is_done_already_is_acknowledged_once_the_standby_has_it() {
    let Some(server) = postgres_support::Server::start() else { return };
    let options = PostgresOptions::new(&server.url("postgres")).notifications(false);
    options.migrate().await.unwrap();
    let token = create(&issuer(&options.open().await.unwrap()).0).await;
    let options = options.timeout(Duration::from_secs(1));
    let store = soon(async || options.open().await).await;
    let (issuer, _) = issuer(&store);
    server.psql("ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
    server.psql("SELECT pg_reload_conf()");
    let url = server.url("postgres");
    let shown = || sql(&url, "SHOW synchronous_standby_names");
    while shown().await.unwrap().as_deref() != Some("nobody") {}
    let revoke = async || issuer.revoke(token.id(), &ann(), None).await;
    let until = Instant::now() + SOON;
    while revoke().await.is_ok() {
        // A server process that has not heard of the setting yet.
        assert!(Instant::now() < until);
    }
    server.kill();
    server.restart();
    let is_revoked = async || {
        store
            .find(&token.id())
            .await
            .map(|found| found.is_some_and(|found| found.record.revocation.is_some()))
    };
    while is_revoked().await.is_err() {
        assert!(Instant::now() < until);
    }
    assert!(is_revoked().await.unwrap(), "it is there to be read");
    revoke().await.expect_err("and nobody knows whether it stays");
    issuer.revoke_family(token.id(), &ann(), None).await.expect_err("nor of a family");
    server.psql("ALTER SYSTEM RESET synchronous_standby_names");
    server.psql("SELECT pg_reload_conf()");
    while revoke().await.is_err() {
        assert!(Instant::now() < until + SOON);
    }
}

/// A client that hangs up in the middle of a verification costs no connection.
#[tokio::test]
async fn calls_that_are_given_up_keep_their_connections() {
    let Some(server) = shared() else { return };
    // Where nobody else connects.
    server.psql("CREATE DATABASE hung_up");
    let options = PostgresOptions::new(&server.url("hung_up")).notifications(false);
    options.migrate().await.unwrap();
    let store = options.max_connections(3).open().await.unwrap();
    insert(&store, id(1)).await;
    // How many sessions there ever were.
    let sessions = async || {
        let count = "SELECT sessions::text FROM pg_stat_database WHERE datname = 'hung_up'";
        sql(&server.url("postgres"), count).await.unwrap().unwrap().parse::<usize>().unwrap()
    };
    let before = sessions().await;
    for _ in 0..300 {
        let missing = id(1);
        let mut find = pin!(store.find(&missing));
        for _ in 0..3 {
            let _ = find.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            tokio::task::yield_now().await;
        }
    }
    let more = sessions().await - before;
    // The other two of three, and what was not yet counted.
    assert!(more < 10, "{more} sessions");
}
