//! Writes of several records and events at once.

#![expect(
    clippy::missing_panics_doc,
    clippy::expect_used,
    reason = "these are the bodies of tests"
)]

use core::{cell::Cell, pin::Pin};

use crate::{
    EventKind, ListFilter, StoreErrorKind, TokenId, TokenRecord, TokenStore, WriteBatch,
    testing::fixture::{
        append, at_second, begin, changes, event_of, events, find, full_record, give_way, insert,
        join_all, list_ids, next, plain_record,
    },
};

/// Inserts, updates and events of one batch are all there.
pub async fn a_batch_is_written_whole(store: &impl TokenStore) {
    let [one, two, three] = stored_records(store).await;
    let batch = WriteBatch {
        inserts: vec![full_record(10), plain_record(11)],
        updates: vec![next(&one), next(&two)],
        unchanged: vec![(three.id, three.version)],
        events: vec![event_of(10, EventKind::Created), event_of(1, EventKind::Disabled)],
    };
    store.write(&batch).await.expect("write");
    for record in batch.inserts.iter().chain(&batch.updates).chain([&three]) {
        assert_eq!(*find(store, &record.id).await, *record);
    }
    assert_eq!(list_ids(store, &ListFilter::default()).await.len(), 5);
    for event in batch.events {
        let id = event.token.expect("a token");
        let read = events(store, &id).await;
        assert_eq!(read.into_iter().map(|read| read.event).collect::<Vec<_>>(), [event]);
    }
}

/// Each update of a batch is noted, under a revision of its own; what is inserted or only has to
/// be unchanged is not.
pub async fn each_update_of_a_batch_is_one_change(store: &impl TokenStore) {
    let [one, two, three] = stored_records(store).await;
    let start = begin(store).await;
    let batch = WriteBatch {
        inserts: vec![plain_record(10), plain_record(11)],
        updates: vec![next(&two), next(&one)],
        unchanged: vec![(three.id, three.version)],
        events: vec![event_of(3, EventKind::Created)],
    };
    store.write(&batch).await.expect("write");
    let (noted, end) = changes(store, start, 10).await;
    let mut ids: Vec<TokenId> = noted.iter().map(|change| change.id).collect();
    ids.sort();
    assert_eq!(ids, [one.id, two.id], "the order within a batch is the store's to choose");
    assert!(noted.is_sorted_by(|a, b| a.revision < b.revision), "{noted:?}");
    assert_eq!(noted.last().map(|change| change.revision), Some(end.revision));
    for id in [one.id, two.id, three.id, plain_record(10).id] {
        let found = store.find(&id).await.expect("find").expect("the record");
        assert_eq!(found.as_of, end.revision);
    }
}

/// A batch of which any one expectation does not hold fails with `Conflict`, and neither records
/// nor changes nor events remain of it.
pub async fn a_batch_with_a_conflict_writes_nothing(store: &impl TokenStore) {
    let before = stored_records(store).await;
    let [one, two, three] = &before;
    let start = begin(store).await;
    let listed = list_ids(store, &ListFilter::default()).await;
    let right = || WriteBatch {
        inserts: vec![plain_record(10)],
        updates: vec![next(two)],
        unchanged: vec![(three.id, three.version)],
        events: vec![event_of(10, EventKind::Created), event_of(2, EventKind::Disabled)],
    };
    let version = |version| TokenRecord { version, ..one.clone() };
    let missing = |version| TokenRecord { version, ..plain_record(20) };
    let insert = |record| WriteBatch { inserts: vec![record], ..WriteBatch::default() };
    let update = |record| WriteBatch { updates: vec![record], ..WriteBatch::default() };
    let unchanged =
        |id, version| WriteBatch { unchanged: vec![(id, version)], ..WriteBatch::default() };
    let wrongs = [
        ("an insert of what is there", insert(one.clone())),
        ("an insert of what is there, at its next version", insert(next(one))),
        ("an update at the stored version", update(version(1))),
        ("an update two versions ahead", update(version(3))),
        ("an update of what is not there", update(missing(2))),
        ("an update of what is not there, as if new", update(missing(1))),
        ("an earlier version unchanged", unchanged(one.id, 0)),
        ("a later version unchanged", unchanged(one.id, 2)),
        ("what is not there unchanged", unchanged(plain_record(20).id, 1)),
        ("what is not there unchanged at 0", unchanged(plain_record(20).id, 0)),
        ("what the batch makes of a record unchanged", unchanged(two.id, next(two).version)),
        ("what the batch inserts unchanged", unchanged(plain_record(10).id, 1)),
    ];
    for (what, wrong) in wrongs {
        // Before what is right with the batch, and after it.
        for (first, last) in [(wrong.clone(), right()), (right(), wrong)] {
            let mut batch = first;
            batch.inserts.extend(last.inserts);
            batch.updates.extend(last.updates);
            batch.unchanged.extend(last.unchanged);
            batch.events.extend(last.events);
            let error = store.write(&batch).await.expect_err(what);
            assert_eq!(error.kind(), StoreErrorKind::Conflict, "{what}: {error}");
            for record in &before {
                assert_eq!(*find(store, &record.id).await, *record, "after {what}");
            }
            for number in [10, 20] {
                let found = store.find(&plain_record(number).id).await.expect("find");
                assert!(found.is_none(), "{found:?} after {what}");
            }
            assert_eq!(list_ids(store, &ListFilter::default()).await, listed, "after {what}");
            assert_eq!(changes(store, start, 10).await, (vec![], start), "after {what}");
            assert_eq!(begin(store).await, start, "after {what}");
            for number in [1, 2, 3, 10, 20] {
                assert_eq!(events(store, &plain_record(number).id).await, [], "after {what}");
            }
        }
    }
    store.write(&right()).await.expect("the batch without anything wrong");
}

/// What has to be unchanged is compared with what is stored before the batch, which may change
/// the same token; and several batches may rely on one token.
pub async fn expectations_are_about_what_was_before(store: &impl TokenStore) {
    let [one, two, three] = stored_records(store).await;
    for number in [10, 11] {
        let unchanged = vec![(three.id, three.version), (two.id, two.version)];
        let batch = WriteBatch { unchanged, ..WriteBatch::insert(plain_record(number)) };
        store.write(&batch).await.expect("write");
    }
    let unchanged = vec![(one.id, one.version), (three.id, three.version)];
    let batch = WriteBatch { unchanged, ..WriteBatch::update(next(&one)) };
    store.write(&batch).await.expect("update what was unchanged before");
    assert_eq!(*find(store, &one.id).await, next(&one));
}

/// A batch may expect something and write nothing but events, or nothing at all.
pub async fn a_batch_without_records_changes_none(store: &impl TokenStore) {
    let [one, ..] = stored_records(store).await;
    let start = begin(store).await;
    store.write(&WriteBatch::default()).await.expect("write nothing");
    let unchanged = vec![(one.id, one.version)];
    let expecting = WriteBatch { unchanged, ..WriteBatch::default() };
    store.write(&expecting).await.expect("expect something");
    append(store, vec![event_of(1, EventKind::ReuseDetected)]).await;
    assert_eq!(*find(store, &one.id).await, one);
    assert_eq!(begin(store).await, start);
    assert_eq!(events(store, &one.id).await.len(), 1);
}

/// Of 16 batches, begun together, that update one token and insert one each, one succeeds and
/// the others fail with `Conflict` and leave nothing.
pub async fn one_of_many_concurrent_batches_wins(store: &impl TokenStore) {
    let [one, ..] = stored_records(store).await;
    let write = async |number: u8| {
        let batch = WriteBatch {
            inserts: vec![plain_record(number)],
            events: vec![event_of(number, EventKind::Created)],
            ..WriteBatch::update(next(&one))
        };
        store.write(&batch).await.map_err(|error| error.kind())
    };
    let results = join_all((10..26).map(write)).await;
    let mut winners = 0;
    for (result, number) in results.into_iter().zip(10..) {
        let id = plain_record(number).id;
        let found = store.find(&id).await.expect("find");
        let has_events = !events(store, &id).await.is_empty();
        match result {
            Ok(()) => winners += 1,
            Err(kind) => assert_eq!(kind, StoreErrorKind::Conflict),
        }
        assert_eq!((found.is_some(), has_events), (result.is_ok(), result.is_ok()));
    }
    assert_eq!(winners, 1);
}

/// Of two batches, begun together, each of which updates what the other needs unchanged, one
/// succeeds: a store that only looks at what it relies on, and does not lock it, lets both.
pub async fn batches_that_exclude_each_other_do_not_both_happen(store: &impl TokenStore) {
    const PAIRS: u8 = 16;

    let record = |pair: u8, side: u8| plain_record(pair.wrapping_mul(2).wrapping_add(side));
    for pair in 0..PAIRS {
        let inserts = vec![record(pair, 0), record(pair, 1)];
        store.write(&WriteBatch { inserts, ..WriteBatch::default() }).await.expect("write");
    }
    let write = async |pair: u8, side: u8| {
        let other = record(pair, 1_u8.wrapping_sub(side));
        let batch = WriteBatch {
            unchanged: vec![(other.id, other.version)],
            ..WriteBatch::update(next(&record(pair, side)))
        };
        store.write(&batch).await.map_err(|error| error.kind())
    };
    let sides = (0..PAIRS).flat_map(|pair| [(pair, 0), (pair, 1)]);
    let results = join_all(sides.map(|(pair, side)| write(pair, side))).await;
    for (pair, results) in (0..).zip(results.chunks(2)) {
        let wins = results.iter().filter(|result| result.is_ok()).count();
        let conflicts =
            results.iter().filter(|result| **result == Err(StoreErrorKind::Conflict)).count();
        assert_eq!((wins, conflicts), (1, 1), "pair {pair}: {results:?}");
        for (result, side) in results.iter().zip(0..) {
            let version = find(store, &record(pair, side).id).await.version;
            assert_eq!(version == 2, result.is_ok(), "pair {pair}");
        }
    }
}

/// While two records are updated together and events appended, whoever has read one part of a
/// batch reads no other part as it was before.
pub async fn a_reader_sees_a_batch_whole(store: &impl TokenStore) {
    const LAST: u32 = 33;

    let records = [plain_record(1), plain_record(2)];
    for record in &records {
        insert(store, record).await.expect("insert");
    }
    let written = Cell::new(false);
    let write = async {
        for version in 2..=LAST {
            let updates = records.iter().map(|record| TokenRecord { version, ..record.clone() });
            let batch = WriteBatch {
                updates: updates.collect(),
                events: vec![event_of(3, EventKind::Edited { fields: vec![] })],
                ..WriteBatch::default()
            };
            store.write(&batch).await.expect("write");
            give_way().await;
        }
        written.set(true);
    };
    let version_of = async |record: &TokenRecord| find(store, &record.id).await.version;
    let [one, two] = &records;
    let read = async |pace: u32, first: &TokenRecord, second: &TokenRecord| {
        while !written.get() {
            let version = version_of(first).await;
            assert!(version_of(second).await >= version, "half a batch is seen");
            let count = store.events(&plain_record(3).id, None, 100).await.expect("events").len();
            let seen = u32::try_from(count).expect("a small number").saturating_add(1);
            assert!(seen >= version, "records are seen without their events");
            let listed = store.list(&ListFilter::default(), None, 10).await.expect("list");
            let versions: Vec<u32> = listed.iter().map(|record| record.version).collect();
            assert!(matches!(*versions, [a, b] if a == b && a >= seen), "{versions:?}, {seen}");
            for _ in 0..pace {
                give_way().await;
            }
        }
    };
    let running: [Pin<Box<dyn Future<Output = ()>>>; 4] = [
        Box::pin(write),
        Box::pin(read(1, one, two)),
        Box::pin(read(2, two, one)),
        Box::pin(read(3, one, two)),
    ];
    join_all(running).await;
    assert_eq!(version_of(one).await, LAST);
}

/// Three records, of versions 1, 1 and 3.
async fn stored_records(store: &impl TokenStore) -> [TokenRecord; 3] {
    let three = TokenRecord { version: 3, created_at: at_second(100), ..full_record(3) };
    let records = [plain_record(1), plain_record(2), three];
    for record in &records {
        insert(store, record).await.expect("insert");
    }
    records
}
