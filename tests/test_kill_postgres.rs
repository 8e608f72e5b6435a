//! PostgreSQL is killed at random moments, all its processes at once, while clients create and
//! revoke: whatever was acknowledged still holds, and nothing is half there.
//!
//! The operating system survives, so this does not show that the disk was waited for: that commits
//! are synchronous whatever the default, the test `postgres` shows.

mod postgres_support;
mod util;

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use api_tokens::{
    Event, EventKind, PostgresOptions, PostgresStore, Revision, StoreErrorKind, TokenId,
    TokenRecord, TokenStore, WriteBatch,
};
use jiff::Timestamp;
use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};

use postgres_support::Server;
use util::{id, record, say};

const ROUNDS: u32 = 100;
const WORKERS: usize = 4;

fn event(token: TokenId) -> Event {
    let at = Timestamp::UNIX_EPOCH;
    Event { at, token: Some(token), project: None, by: None, kind: EventKind::ReuseDetected }
}

/// What a pair of tokens must be like, the second of which is made by the write that changes the
/// first.
#[derive(Clone, Copy, Default)]
struct Expected {
    created: bool,
    may_be_paired: bool,
    paired: bool,
}

type All = Arc<Mutex<HashMap<(TokenId, TokenId), Expected>>>;

fn pairing((first, second): (TokenId, TokenId)) -> WriteBatch {
    WriteBatch {
        inserts: vec![record(second, 1)],
        updates: vec![TokenRecord { disabled: true, ..record(first, 2) }],
        events: vec![event(first), event(second)],
        ..WriteBatch::default()
    }
}

/// Goes on until the server is gone.
async fn work(store: PostgresStore, all: All, ids: impl Iterator<Item = usize>, end: &AtomicBool) {
    let note = |pair, what: fn(&mut Expected)| {
        what(all.lock().expect("no panic").entry(pair).or_default());
    };
    for number in ids {
        let pair = (id(2 * number), id(2 * number + 1));
        let insert = WriteBatch::insert(record(pair.0, 1));
        let result = async {
            store.write(&insert).await?;
            note(pair, |expected| expected.created = true);
            note(pair, |expected| expected.may_be_paired = true);
            store.write(&pairing(pair)).await
        };
        match result.await {
            Ok(()) => note(pair, |expected| expected.paired = true),
            Err(error) => assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error}"),
        }
        if end.load(Ordering::SeqCst) {
            return;
        }
    }
}

async fn check(store: &PostgresStore, pair: (TokenId, TokenId), expected: Expected, when: &str) {
    let version = async |id| {
        let found = store.find(id).await.expect("find");
        found.map_or(0, |found| found.record.version)
    };
    let (first, second) = (version(&pair.0).await, version(&pair.1).await);
    let events = async |id| store.events(id, None, 9).await.expect("events").len();
    let (of_first, of_second) = (events(&pair.0).await, events(&pair.1).await);
    let paired = [(2, 1, 1, 1)].contains(&(first, second, of_first, of_second));
    let apart = first <= 1 && (second, of_first, of_second) == (0, 0, 0);
    assert!(paired || apart, "{when}: half there: {first} {second} {of_first} {of_second}");
    assert!(first > 0 || !expected.created, "{when}: a token was lost");
    assert!(paired || !expected.paired, "{when}: a change was lost");
    assert!(!paired || expected.may_be_paired, "{when}: a change that nobody made");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_changes_survive_a_kill_of_the_server() {
    let Some(server) = Server::start() else { return };
    let options = PostgresOptions::new(&server.url("postgres")).timeout(Duration::from_secs(20));
    options.migrate().await.expect("migrate");
    let store = options.open().await.expect("open");
    let mut rng = ChaCha8Rng::seed_from_u64(20_260_101);
    let mut everything = HashMap::new();
    for round in 0..ROUNDS {
        let (all, end) = (All::default(), Arc::new(AtomicBool::new(false)));
        let mut tasks = tokio::task::JoinSet::new();
        for worker in 0..WORKERS {
            let (store, all, end) = (store.clone(), Arc::clone(&all), Arc::clone(&end));
            let first = (round as usize * WORKERS + worker) * 100_000;
            tasks.spawn(async move { work(store, all, first..first + 100_000, &end).await });
        }
        tokio::time::sleep(Duration::from_micros(rng.random_range(5_000..60_000))).await;
        tokio::task::block_in_place(|| server.kill());
        end.store(true, Ordering::SeqCst);
        tasks.join_all().await;
        tokio::task::block_in_place(|| server.restart());
        let all = std::mem::take(&mut *all.lock().expect("no panic"));
        for (pair, expected) in &all {
            check(&store, *pair, *expected, &format!("round {round}")).await;
        }
        everything.extend(all);
    }
    for (pair, expected) in &everything {
        check(&store, *pair, *expected, "in the end").await;
    }
    let changes = store.changes_since(None, 1).await.expect("changes");
    let api_tokens::Changes::Reset { next } = changes else { panic!("a reset") };
    let start = api_tokens::Cursor { revision: Revision(0), ..next };
    let changes = store.changes_since(Some(&start), usize::MAX).await.expect("changes");
    let api_tokens::Changes::Since { changes, .. } = changes else { panic!("a gap") };
    let paired = everything.values().filter(|expected| expected.paired).count();
    let created = everything.values().filter(|expected| expected.created).count();
    say(&format!("{ROUNDS} kills; {created} creations and {paired} batches held"));
    assert!(changes.len() >= paired, "a change was not noted");
    assert!(created > 100 && paired > 50, "too few: {created}, {paired}");
}
