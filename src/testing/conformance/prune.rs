//! Pruning.

#![expect(
    clippy::missing_panics_doc,
    clippy::expect_used,
    reason = "these are the bodies of tests"
)]

use crate::{
    EventKind, ListFilter, Revocation, Rotation, Successor, TokenRecord, TokenStore, WriteBatch,
    testing::fixture::{
        append, at_microsecond, at_second, event_of, events, find, insert, list_ids, plain_record,
        update, usage, usage_of,
    },
};

/// `prune` deletes what ended strictly before the given instant, at most `limit` at a time, and
/// tells how many.
pub async fn prune_deletes_what_has_ended_and_no_more(store: &impl TokenStore) {
    let border = at_second(1_000_000);
    let before = at_microsecond(border.as_microsecond().saturating_sub(1));
    let revocation = Revocation { at: before, by: None, reason: None };
    let successor = Successor { id: plain_record(99).id, overlap_ends_at: before };
    let rotation = Rotation {
        family: plain_record(99).id,
        predecessor: None,
        successor: Some(successor),
        retires_predecessor: false,
    };
    let ended = [
        TokenRecord { expires_at: Some(before), ..plain_record(1) },
        TokenRecord { revocation: Some(revocation), ..plain_record(2) },
        TokenRecord { rotation: Some(rotation), ..plain_record(3) },
    ];
    let kept = [
        TokenRecord { expires_at: Some(border), ..plain_record(4) },
        TokenRecord { disabled: true, ..plain_record(5) },
        plain_record(6),
    ];
    for record in ended.iter().chain(&kept) {
        insert(store, record).await.expect("insert");
    }
    // One that comes to its end by an update.
    let updated = TokenRecord { version: 2, expires_at: Some(before), ..plain_record(7) };
    insert(store, &plain_record(7)).await.expect("insert");
    update(store, &updated).await.expect("update");

    let mut pruned = Vec::new();
    for _ in 0..3 {
        pruned.push(store.prune(border, 3).await.expect("prune"));
    }
    assert_eq!(pruned, [3, 1, 0]);
    for record in ended.iter().chain([&updated]) {
        assert!(store.find(&record.id).await.expect("find").is_none(), "{record:?}");
    }
    for record in &kept {
        assert_eq!(*find(store, &record.id).await, *record);
    }
    assert_eq!(list_ids(store, &ListFilter::default()).await.len(), kept.len());
}

/// The usage of a record is deleted with it, and not before; a token of the same id that comes
/// later has none.
pub async fn usage_is_pruned_with_its_record(store: &impl TokenStore) {
    let border = at_second(1_000_000);
    for number in 1..=8 {
        // All but two have ended, not in the order of their ids, and two at once.
        let ended_at = at_second(1000_i64.saturating_sub(i64::from(number / 2)));
        let ends_at = if number < 7 { ended_at } else { border };
        let record = TokenRecord { expires_at: Some(ends_at), ..plain_record(number) };
        insert(store, &record).await.expect("insert");
    }
    let batch: Vec<_> = (1..=8).map(|number| usage_of(number, at_second(5))).collect();
    let ids: Vec<_> = batch.iter().map(|usage| usage.id).collect();
    store.record_usage(&batch).await.expect("record_usage");
    for (limit, expected) in [(1, 1), (3, 3), (5, 2), (5, 0)] {
        assert_eq!(store.prune(border, limit).await.expect("prune"), expected);
        let mut left = list_ids(store, &ListFilter::default()).await;
        left.sort();
        let used: Vec<_> = usage(store, &ids).await.iter().map(|usage| usage.id).collect();
        assert_eq!(used, left, "a usage for each record that is left");
    }
    insert(store, &plain_record(1)).await.expect("insert");
    assert_eq!(usage(store, &[plain_record(1).id]).await, []);
}

/// The events of a record stay when it is pruned, and go on.
pub async fn events_are_not_pruned(store: &impl TokenStore) {
    let record = TokenRecord { expires_at: Some(at_second(5)), ..plain_record(1) };
    let created = event_of(1, EventKind::Created);
    let batch = WriteBatch { events: vec![created.clone()], ..WriteBatch::insert(record) };
    store.write(&batch).await.expect("write");
    assert_eq!(store.prune(at_second(10), 10).await.expect("prune"), 1);
    let pruned = event_of(1, EventKind::Pruned { count: 1 });
    append(store, vec![pruned.clone()]).await;
    let read = events(store, &plain_record(1).id).await;
    assert_eq!(read.into_iter().map(|read| read.event).collect::<Vec<_>>(), [pruned, created]);
}
