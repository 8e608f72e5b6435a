//! What happened to tokens.

#![expect(
    clippy::missing_panics_doc,
    clippy::expect_used,
    reason = "these are the bodies of tests"
)]

use crate::{
    Event, EventKind, EventNumber, NumberedEvent, TokenId, TokenStore, WriteBatch,
    testing::fixture::{
        append, at_microsecond, at_second, event_of, events, every_event, insert, join_all,
        plain_record,
    },
};

/// `write` then `events`: an event of each kind, with everything that is optional and without,
/// in the order in which they stood in the batch.
pub async fn every_event_comes_back_as_it_was_written(store: &impl TokenStore) {
    let id = plain_record(1).id;
    let written = every_event(id);
    append(store, written.clone()).await;
    let mut read = events(store, &id).await;
    read.reverse();
    assert_eq!(read.len(), written.len());
    for (read, written) in read.iter().zip(written) {
        assert_eq!(read.event, written);
    }
}

/// The newest comes first, by the order of writing and whatever its time; a page goes on where
/// the one before ended. Numbers increase, from batch to batch and within one.
pub async fn events_come_newest_first_and_in_pages(store: &impl TokenStore) {
    let id = plain_record(1).id;
    let mut expected = Vec::new();
    for (batch, size) in (0..).zip([1, 3, 1, 2]) {
        let mut written = Vec::new();
        for i in 0..size {
            // A clock that was set back, and events of other tokens and of none in between.
            let at = at_second(1000_i64.saturating_sub(batch).saturating_add(i % 2));
            let count = u64::try_from(expected.len()).unwrap_or_default();
            let event = Event { at, ..event_of(1, EventKind::BulkChanged { count }) };
            expected.push(event.clone());
            written.extend([
                event_of(2, EventKind::Created),
                event,
                Event { token: None, project: None, ..event_of(1, EventKind::Created) },
            ]);
        }
        append(store, written).await;
    }
    expected.reverse();
    for limit in 1..=8 {
        let mut read: Vec<NumberedEvent> = Vec::new();
        loop {
            let before = read.last().map(|event| event.number);
            let page = store.events(&id, before, limit).await.expect("events");
            assert!(page.len() <= limit, "{} events for a limit of {limit}", page.len());
            let complete = page.len() < limit;
            read.extend(page);
            assert!(read.len() <= expected.len(), "a page begins too early: {read:?}");
            if complete {
                break;
            }
        }
        let numbers: Vec<_> = read.iter().map(|event| event.number).collect();
        assert!(numbers.is_sorted_by(|newer, older| newer > older), "{numbers:?}");
        let read: Vec<_> = read.into_iter().map(|event| event.event).collect();
        assert_eq!(read, expected, "pages of {limit}");
    }
    let oldest = events(store, &id).await.last().map(|event| event.number);
    for before in [Some(EventNumber(0)), Some(EventNumber(1)), oldest] {
        assert_eq!(store.events(&id, before, 10).await.expect("events"), [], "before {before:?}");
    }
    let last = store.events(&id, Some(EventNumber(u64::MAX)), 10).await.expect("events");
    assert_eq!(last, events(store, &id).await, "before the end of all numbers");
}

/// `events` of a token are its own and nobody else's; ids that differ in case alone are of
/// different tokens. The numbers are of all tokens together.
pub async fn events_are_of_one_token(store: &impl TokenStore) {
    let ids: [TokenId; 4] =
        ["AAAAAAAAAAAAAAAA", "AaAAAAAAAAAAAAAA", "aaaaaaaaaaaaaaaa", "AAAAAAAAAAAAAAAB"]
            .map(|id| id.parse().expect("an id"));
    let event = |id| Event { token: Some(id), ..event_of(1, EventKind::Created) };
    let [first, second, third, unused] = ids;
    let general = Event { token: None, ..event_of(1, EventKind::Pruned { count: 3 }) };
    append(store, vec![event(first), event(second), general, event(third)]).await;
    let mut numbers = Vec::new();
    for id in [first, second, third] {
        let read = events(store, &id).await;
        assert_eq!(read.iter().map(|event| &event.event).collect::<Vec<_>>(), [&event(id)]);
        numbers.extend(read.iter().map(|event| event.number));
    }
    assert!(numbers.is_sorted_by(|older, newer| older < newer), "{numbers:?}");
    assert_eq!(events(store, &unused).await, []);
}

/// An event need not belong to a record that exists, nor change the one it belongs to.
pub async fn events_need_no_record(store: &impl TokenStore) {
    let id = plain_record(1).id;
    let before = event_of(1, EventKind::ReuseDetected);
    append(store, vec![before.clone()]).await;
    assert!(store.find(&id).await.expect("find").is_none());
    insert(store, &plain_record(1)).await.expect("insert");
    let read: Vec<_> = events(store, &id).await.into_iter().map(|event| event.event).collect();
    assert_eq!(read, [before]);
}

/// 16 batches of events of one token, written together, are all kept, each in its own order.
pub async fn events_of_concurrent_writes_are_all_kept(store: &impl TokenStore) {
    const WRITERS: u64 = 16;

    let id = plain_record(1).id;
    let write = async |count: u64| {
        let event = |microsecond| Event {
            at: at_microsecond(microsecond),
            ..event_of(1, EventKind::BulkChanged { count })
        };
        let batch =
            WriteBatch { events: vec![event(1), event(2), event(3)], ..WriteBatch::default() };
        store.write(&batch).await.expect("write");
    };
    join_all((0..WRITERS).map(write)).await;
    let mut read = events(store, &id).await;
    read.reverse();
    assert!(read.is_sorted_by(|older, newer| older.number < newer.number), "{read:?}");
    for count in 0..WRITERS {
        let kind = EventKind::BulkChanged { count };
        let times: Vec<_> = read
            .iter()
            .filter(|event| event.event.kind == kind)
            .map(|event| event.event.at.as_microsecond())
            .collect();
        assert_eq!(times, [1, 2, 3], "the events of batch {count}");
    }
}
