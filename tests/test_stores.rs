//! What the conformance suite does not show of the stores of this crate: what other threads see
//! of a batch, and how many changes and events are kept.

mod postgres_support;
mod util;

use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use api_tokens::{
    Changes, Cursor, DynTokenStore, Event, EventKind, ListFilter, MemoryStore, Revision,
    SqliteOptions, TokenId, TokenStore, Usage, WriteBatch,
};
use jiff::Timestamp;
use util::record;

/// How long writers and readers race, and how often each must have its turn, whatever that takes.
const FOR: Duration = Duration::from_millis(500);
const TURNS: usize = 10;

fn run<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(future)
}

/// Ids that begin differently, since a store may have a lock for each beginning.
fn ids() -> Vec<TokenId> {
    ('a'..='p').map(|first| first.to_string().repeat(16).parse().expect("an id")).collect()
}

fn event(token: TokenId) -> Event {
    Event {
        at: Timestamp::UNIX_EPOCH,
        token: Some(token),
        project: None,
        by: None,
        kind: EventKind::ReuseDetected,
    }
}

/// Runs `write` with the numbers from 2 on in one thread and `read` in three others, both over
/// and over.
fn race(write: impl AsyncFn(u32), read: impl AsyncFn() + Sync) {
    let (written, readings) = (AtomicBool::new(false), AtomicUsize::new(0));
    let end = Instant::now() + FOR;
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                run(async {
                    while !written.load(Ordering::Relaxed) {
                        read().await;
                        readings.fetch_add(1, Ordering::Relaxed);
                    }
                });
            });
        }
        run(async {
            let mut next = 2;
            let enough = || readings.load(Ordering::Relaxed) > TURNS;
            while next as usize <= TURNS || !enough() || Instant::now() < end {
                write(next).await;
                next += 1;
            }
        });
        written.store(true, Ordering::Relaxed);
    });
}

/// While each batch updates all records, others read them one by one.
fn a_batch_is_seen_whole(store: &DynTokenStore) {
    let ids = ids();
    let inserts = ids.iter().map(|id| record(*id, 1)).collect();
    run(store.write(&WriteBatch { inserts, ..WriteBatch::default() })).expect("insert");
    let write = async |version| {
        let updates = ids.iter().map(|id| record(*id, version)).collect();
        let batch = WriteBatch { updates, events: vec![event(ids[0])], ..WriteBatch::default() };
        store.write(&batch).await.expect("update");
    };
    let read = async || {
        let mut newest = 0;
        for id in ids.iter().chain(ids.iter().rev()) {
            let found = store.find(id).await.expect("find").expect("the record");
            assert!(found.record.version >= newest, "half a batch is seen");
            newest = found.record.version;
        }
        let listed = store.list(&ListFilter::default(), None, 100).await.expect("list");
        assert_eq!(listed.len(), ids.len());
        let version = listed[0].version;
        assert!(version >= newest, "a list is older than a record");
        assert!(listed.iter().all(|record| record.version == version), "half a batch is listed");
        let events = store.events(&ids[0], None, 1).await.expect("events");
        let last = events.first().map_or(0, |event| event.number.0);
        assert!(last >= u64::from(version) - 1, "records are seen before their events");
    };
    race(write, read);
}

/// While each batch is about all tokens, others read their usage together.
fn usage_is_seen_whole(store: &DynTokenStore) {
    let ids = ids();
    let inserts = ids.iter().map(|id| record(*id, 1)).collect();
    run(store.write(&WriteBatch { inserts, ..WriteBatch::default() })).expect("insert");
    let write = async |second: u32| {
        let last_used_at = Timestamp::from_second(second.into()).expect("a time");
        let usage = |id: &TokenId| Usage {
            id: *id,
            last_used_at,
            client_address: None,
            user_agent: Some(second.to_string()),
        };
        let batch: Vec<_> = ids.iter().map(usage).collect();
        store.record_usage(&batch).await.expect("record_usage");
    };
    let read = async || {
        let usages = store.usage(&ids).await.expect("usage");
        assert!([0, ids.len()].contains(&usages.len()), "{usages:?}");
        let of = |usage: &Usage| (usage.last_used_at, usage.user_agent.clone());
        assert!(usages.windows(2).all(|pair| of(&pair[0]) == of(&pair[1])), "{usages:?}");
    };
    race(write, read);
}

/// The latest 10,000 changes and events are kept; `all` says whether the earlier ones are too.
async fn the_latest_are_kept(store: &DynTokenStore, all: bool) {
    let id = |i: usize| -> TokenId { format!("{i:016}").parse().expect("an id") };
    let (first, other) = (id(0), id(1));
    let inserts = (0..1_000).map(|i| record(id(i), 1)).collect();
    store.write(&WriteBatch { inserts, ..WriteBatch::default() }).await.expect("insert");
    let update = async |version| {
        let updates = (0..1_000).map(|i| record(id(i), version)).collect();
        store.write(&WriteBatch { updates, ..WriteBatch::default() }).await.expect("update");
    };
    update(2).await;
    let Ok(Changes::Reset { next: start }) = store.changes_since(None, 1).await else {
        panic!("a reader begins with a reset")
    };
    for version in 3..13 {
        update(version).await;
    }
    let answer = store.changes_since(Some(&start), usize::MAX).await.expect("changes");
    let Changes::Since { changes, .. } = answer else { panic!("10,000 changes are not kept") };
    assert_eq!(changes.len(), 10_000);
    assert!((0..1_000).all(|i| changes.iter().filter(|change| change.id == id(i)).count() == 10));
    let earlier = Cursor { revision: Revision(start.revision.0 - 1), ..start };
    let answer = store.changes_since(Some(&earlier), 1).await.expect("changes");
    assert_eq!(matches!(answer, Changes::Since { .. }), all);

    let append = async |token, count| {
        let events = vec![event(token); count];
        store.write(&WriteBatch { events, ..WriteBatch::default() }).await.expect("append");
    };
    let numbers = async |token| -> Vec<u64> {
        let events = store.events(token, None, usize::MAX).await.expect("events");
        events.iter().map(|event| event.number.0).collect()
    };
    append(first, 1).await;
    append(other, 9_999).await;
    assert_eq!((numbers(&first).await, numbers(&other).await.len()), (vec![1], 9_999));
    append(other, 1).await;
    assert_eq!(numbers(&first).await.len(), usize::from(all));
    assert_eq!(numbers(&other).await.first(), Some(&10_001), "numbers go on");
    assert_eq!(numbers(&other).await.last(), Some(&2));
}

#[test]
fn memory() {
    for check in [a_batch_is_seen_whole, usage_is_seen_whole] {
        check(&DynTokenStore::new(MemoryStore::new()));
    }
    run(the_latest_are_kept(&DynTokenStore::new(MemoryStore::new()), false));
}

#[test]
fn sqlite() {
    let keeps_the_latest = |store: &DynTokenStore| run(the_latest_are_kept(store, true));
    for check in [a_batch_is_seen_whole, usage_is_seen_whole, keeps_the_latest] {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let options = SqliteOptions::new(directory.path().join("tokens.db"));
        options.migrate().expect("migrate");
        check(&DynTokenStore::new(options.open().expect("open")));
    }
}

#[test]
fn postgres() {
    let keeps_the_latest = |store: &DynTokenStore| run(the_latest_are_kept(store, true));
    for check in [a_batch_is_seen_whole, usage_is_seen_whole, keeps_the_latest] {
        let Some(store) = postgres_support::blocking_store() else { return };
        check(&DynTokenStore::new(store));
    }
}
