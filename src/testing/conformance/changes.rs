//! The change log, and the revisions of records.

#![expect(
    clippy::missing_panics_doc,
    clippy::expect_used,
    reason = "these are the bodies of tests"
)]

use core::{cell::Cell, pin::Pin};

use crate::{
    Change, Changes, Cursor, Revision, TokenRecord, TokenStore, WriteBatch,
    testing::fixture::{
        begin, changes, give_way, insert, join_all, plain_record, update, update_once,
    },
};

/// `changes_since(None)` is a reset to where the history stands.
pub async fn a_reader_begins_with_a_reset(store: &impl TokenStore) {
    let cursor = begin(store).await;
    assert_eq!(changes(store, cursor, 10).await, (vec![], cursor), "nothing has changed");
    update_once(store, 1).await;
    let cursor = begin(store).await;
    assert_eq!(changes(store, cursor, 10).await, (vec![], cursor), "nothing has changed since");
}

/// Each update is noted under the next revision; a page goes on where the one before ended.
pub async fn changes_come_in_order_and_in_pages(store: &impl TokenStore) {
    let start = begin(store).await;
    let mut expected = Vec::new();
    for i in 1..=7 {
        expected.push(update_once(store, i).await);
    }
    for limit in 1..=8 {
        let mut cursor = start;
        let mut read: Vec<Change> = Vec::new();
        loop {
            let (page, next) = changes(store, cursor, limit).await;
            assert!(page.len() <= limit, "{} changes for a limit of {limit}", page.len());
            let last = page.last().map_or(cursor.revision, |change| change.revision);
            assert_eq!(next, Cursor { revision: last, ..start }, "the cursor after a page");
            cursor = next;
            let complete = page.len() < limit;
            read.extend(page);
            if complete {
                break;
            }
        }
        let ids: Vec<_> = read.iter().map(|change| change.id).collect();
        assert_eq!(ids, expected, "pages of {limit}");
        assert!(
            read.windows(2).all(|pair| matches!(pair, [a, b] if a.revision < b.revision)),
            "revisions increase"
        );
    }
}

/// Fewer changes than the limit mean that there are no more, whatever the limit is.
pub async fn a_page_of_changes_is_as_long_as_is_asked_for(store: &impl TokenStore) {
    const MANY: usize = 1_200;
    let records = |version| {
        let id = |number: usize| format!("{number:016}").parse().expect("an id");
        let record = |number| TokenRecord { id: id(number), version, ..plain_record(1) };
        (0..MANY).map(record).collect()
    };
    let inserts = WriteBatch { inserts: records(1), ..WriteBatch::default() };
    store.write(&inserts).await.expect("insert");
    let start = begin(store).await;
    let updates = WriteBatch { updates: records(2), ..WriteBatch::default() };
    store.write(&updates).await.expect("update");
    for limit in [1_000, MANY - 1, MANY, MANY + 1] {
        let (page, _) = changes(store, start, limit).await;
        assert_eq!(page.len(), limit.min(MANY), "changes for a limit of {limit}, of {MANY}");
    }
}

/// An update that fails with `Conflict` is not noted.
pub async fn a_refused_update_is_no_change(store: &impl TokenStore) {
    let record = plain_record(1);
    insert(store, &record).await.expect("insert");
    let cursor = begin(store).await;
    let stale = TokenRecord { version: 9, ..record };
    update(store, &stale).await.expect_err("updated another version");
    assert_eq!(changes(store, cursor, 10).await, (vec![], cursor));
}

/// Updates of 16 records run together while a reader follows; in the end the reader has seen
/// each of them once.
pub async fn a_reader_between_writers_misses_no_change(store: &impl TokenStore) {
    const WRITERS: u8 = 16;
    const ROUNDS: usize = 8;

    for i in 1..=WRITERS {
        insert(store, &plain_record(i)).await.expect("insert");
    }
    let start = begin(store).await;
    let write = async |i: u8| {
        for version in (2..).take(ROUNDS) {
            let record = TokenRecord { version, ..plain_record(i) };
            update(store, &record).await.expect("update");
        }
    };
    let written = Cell::new(false);
    let read = async {
        let mut cursor = start;
        let mut seen = Vec::new();
        loop {
            // Asked before the read, which then shows all that was written.
            let last = written.get();
            let (page, next) = changes(store, cursor, 5).await;
            if last && page.is_empty() {
                break seen;
            }
            seen.extend(page);
            cursor = next;
            give_way().await;
        }
    };
    let writers = async {
        join_all((1..=WRITERS).map(write)).await;
        written.set(true);
        Vec::new()
    };
    let both: [Pin<Box<dyn Future<Output = Vec<Change>>>>; 2] = [Box::pin(read), Box::pin(writers)];
    let seen = join_all(both).await.concat();
    for i in 1..=WRITERS {
        let id = plain_record(i).id;
        let count = seen.iter().filter(|change| change.id == id).count();
        assert_eq!(count, ROUNDS, "changes of {id}");
    }
}

/// While a record is updated, each `find` of it returns a revision whose changes, and all before,
/// show in the record it came with.
pub async fn a_record_read_between_writers_is_as_new_as_its_revision(store: &impl TokenStore) {
    const LAST: u32 = 65;
    type Reading<'a> = Pin<Box<dyn Future<Output = Vec<(u32, Revision)>> + 'a>>;

    let record = plain_record(1);
    insert(store, &record).await.expect("insert");
    let start = begin(store).await;
    let written = Cell::new(false);
    let write = async {
        for version in 2..=LAST {
            let record = TokenRecord { version, ..record.clone() };
            update(store, &record).await.expect("update");
            give_way().await;
        }
        written.set(true);
    };
    // Of different paces, so that some read falls between any two steps of a write.
    let read = async |pace: u32| {
        let mut seen = Vec::new();
        while !written.get() {
            let found = store.find(&record.id).await.expect("find").expect("the record");
            seen.push((found.record.version, found.as_of));
            for _ in 0..pace {
                give_way().await;
            }
        }
        seen
    };
    let writing = async {
        write.await;
        Vec::new()
    };
    let mut running: Vec<Reading<'_>> = vec![Box::pin(writing)];
    for pace in 1..=3 {
        running.push(Box::pin(read(pace)));
    }
    let seen = join_all(running).await.concat();
    let (noted, _) = changes(store, start, 1000).await;
    for (version, as_of) in seen {
        let shown = noted.iter().filter(|change| change.revision <= as_of).count();
        let needed = usize::try_from(version).expect("a small number").saturating_sub(1);
        assert!(shown <= needed, "version {version} as of {as_of:?}, which has {shown} changes");
    }
}

/// A cursor of another incarnation, or of a revision that was never reached, is reset.
pub async fn a_cursor_of_another_history_is_reset(store: &impl TokenStore) {
    update_once(store, 1).await;
    let now = begin(store).await;
    let others = [
        Cursor { incarnation: now.incarnation.wrapping_add(1), ..now },
        Cursor { revision: Revision(now.revision.0.saturating_add(1)), ..now },
        Cursor { revision: Revision(u64::MAX), ..now },
    ];
    for cursor in others {
        let answer = store.changes_since(Some(&cursor), 10).await.expect("changes_since");
        let reset = Changes::Reset { next: now };
        assert_eq!(answer, reset, "{cursor:?} is of another history, or ahead of this one");
    }
}

/// The revision that `find` returns with a record is neither older than a change that had been
/// made, nor newer than the history.
pub async fn a_record_is_as_new_as_its_revision(store: &impl TokenStore) {
    for i in 1..=3 {
        let id = update_once(store, i).await;
        let head = begin(store).await.revision;
        let found = store.find(&id).await.expect("find").expect("the record");
        assert_eq!(found.record.version, 2);
        assert_eq!(found.as_of, head);
    }
}
