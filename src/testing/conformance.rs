//! What every [`TokenStore`] must do: one function for each promise of its contract.
//!
//! Each takes an empty store and panics, with a message, where the store breaks the promise.
//!
//! Those that run several calls at once run them in one task, so a store whose futures are ready
//! when first polled is not raced. Not shown by any: that what is acknowledged survives a crash,
//! that other processes see it, how many changes are kept, and that no thread is blocked. Test
//! these as your back end needs.

#![expect(
    clippy::missing_panics_doc,
    clippy::expect_used,
    reason = "these are the bodies of tests"
)]

use core::{cell::Cell, pin::Pin};

use jiff::Timestamp;

use super::fixture::{
    at_microsecond, at_second, begin, changed, changes, find, full_record, give_way, join_all,
    list_ids, plain_record, update_once,
};
use crate::{
    Change, Changes, Cursor, ListFilter, PageKey, Revision, Revocation, Rotation, StoreErrorKind,
    Successor, TokenRecord, TokenStore,
};

/// Makes the tests of the conformance suite, one for each function of
/// [`testing::conformance`](crate::testing::conformance).
///
/// Takes the attribute that makes a test of an `async fn`, and an expression for an empty store
/// and whatever must outlive it, as a pair. The expression may `.await`.
#[macro_export]
macro_rules! conformance_tests {
    ($(#[$attribute:meta])+ $open:expr) => {
        $crate::conformance_tests! {
            @each [$(#[$attribute])+] $open;
            a_record_comes_back_as_it_was_written
            extreme_values_come_back_as_they_were_written
            an_unknown_id_is_not_found
            insert_refuses_an_id_that_exists
            update_replaces_the_record
            update_refuses_another_version
            update_refuses_a_missing_record
            one_of_many_concurrent_updates_wins
            one_of_many_concurrent_inserts_wins
            list_is_newest_first
            list_filters_by_project_and_owner
            pages_cover_every_record_once
            a_reader_begins_with_a_reset
            changes_come_in_order_and_in_pages
            a_refused_update_is_no_change
            a_reader_between_writers_misses_no_change
            a_record_read_between_writers_is_as_new_as_its_revision
            a_cursor_of_another_history_is_reset
            a_record_is_as_new_as_its_revision
            prune_deletes_what_has_ended_and_no_more
        }
    };
    (@each $attributes:tt $open:expr; $($name:ident)+) => {
        $($crate::conformance_tests! { @one $attributes $open; $name })+
    };
    (@one [$($attribute:tt)+] $open:expr; $name:ident) => {
        $($attribute)+
        async fn $name() {
            let (store, _guard) = $open;
            $crate::testing::conformance::$name(&store).await;
        }
    };
}

/// `insert` then `find`, with every field set and with none that is optional.
pub async fn a_record_comes_back_as_it_was_written(store: &impl TokenStore) {
    for record in [full_record(1), plain_record(2)] {
        store.insert(&record).await.expect("insert");
        assert_eq!(*find(store, &record.id).await, record);
    }
}

/// Texts that are special to databases and programs, and times at the ends of their range.
pub async fn extreme_values_come_back_as_they_were_written(store: &impl TokenStore) {
    let texts = [
        "'; DROP TABLE token; --",
        "\"quoted\" \\ back\\slash %_ $1 ?1 :name",
        "ÅÉÎ 漢字 🚀 \u{1f468}\u{200d}\u{1f469}",
        "NULL",
    ];
    let times = [
        Timestamp::MIN,
        Timestamp::UNIX_EPOCH,
        at_microsecond(-1),
        at_second(Timestamp::MAX.as_second()),
    ];
    for ((text, time), i) in texts.into_iter().zip(times).zip(1..) {
        let mut record = full_record(i);
        record.project = text.parse().expect("a project");
        record.name = text.parse().expect("a name");
        record.owner = text.parse().expect("an owner");
        record.metadata.insert("text", text).expect("metadata");
        record.created_at = time;
        record.not_before = Some(time);
        record.expires_at = Some(time);
        store.insert(&record).await.expect("insert");
        assert_eq!(*find(store, &record.id).await, record);
        let filter = ListFilter { project: Some(record.project.clone()), owner: None };
        assert_eq!(list_ids(store, &filter).await, [record.id], "list by {text:?}");
    }
}

/// `find` of an id that was never inserted is `None`, and no error.
pub async fn an_unknown_id_is_not_found(store: &impl TokenStore) {
    store.insert(&plain_record(1)).await.expect("insert");
    assert!(store.find(&plain_record(2).id).await.expect("find").is_none());
}

/// `insert` of an id that exists fails with `AlreadyExists` and changes nothing.
pub async fn insert_refuses_an_id_that_exists(store: &impl TokenStore) {
    let record = plain_record(1);
    store.insert(&record).await.expect("insert");
    let mut other = full_record(2);
    other.id = record.id;
    let error = store.insert(&other).await.expect_err("inserted one id twice");
    assert_eq!(error.kind(), StoreErrorKind::AlreadyExists, "{error}");
    assert_eq!(*find(store, &record.id).await, record);
}

/// `update` replaces every field that may change, and sets and clears optional ones.
pub async fn update_replaces_the_record(store: &impl TokenStore) {
    let plain = plain_record(1);
    let full = TokenRecord { version: 2, ..changed(&plain, &full_record(2)) };
    let plain_again = TokenRecord { version: 3, ..plain.clone() };
    store.insert(&plain).await.expect("insert");
    for record in [full, plain_again] {
        store.update(&record).await.expect("update");
        assert_eq!(*find(store, &record.id).await, record);
        let listed = store.list(&ListFilter::default(), None, 10).await.expect("list");
        assert_eq!(listed, [record], "list shows the update");
    }
}

/// `update` fails with `Conflict` unless the stored version is one less, and changes nothing.
pub async fn update_refuses_another_version(store: &impl TokenStore) {
    let record = TokenRecord { version: 5, ..plain_record(1) };
    store.insert(&record).await.expect("insert");
    for version in [1, 4, 5, 7, u32::MAX] {
        let update = TokenRecord { version, disabled: true, ..record.clone() };
        let error = store.update(&update).await.expect_err("updated another version");
        assert_eq!(error.kind(), StoreErrorKind::Conflict, "version {version}: {error}");
    }
    assert_eq!(*find(store, &record.id).await, record);
}

/// `update` of a record that is not there fails with `Conflict` and inserts nothing.
pub async fn update_refuses_a_missing_record(store: &impl TokenStore) {
    for version in [0, 1, 2] {
        let record = TokenRecord { version, ..plain_record(1) };
        let error = store.update(&record).await.expect_err("updated a missing record");
        assert_eq!(error.kind(), StoreErrorKind::Conflict, "{error}");
        assert!(store.find(&record.id).await.expect("find").is_none());
    }
}

/// Of 16 updates of one version, begun together, one succeeds and the others fail with
/// `Conflict`.
pub async fn one_of_many_concurrent_updates_wins(store: &impl TokenStore) {
    let record = plain_record(1);
    store.insert(&record).await.expect("insert");
    let update = async |i: i64| {
        let update = TokenRecord { version: 2, not_before: Some(at_second(i)), ..record.clone() };
        store.update(&update).await.map(|()| update)
    };
    let results = join_all((0..16).map(update)).await;
    let stored = find(store, &record.id).await;
    let mut winners = 0;
    for result in results {
        match result {
            Ok(update) => {
                winners += 1;
                assert_eq!(*stored, update, "the winner is what is stored");
            }
            Err(error) => assert_eq!(error.kind(), StoreErrorKind::Conflict, "{error}"),
        }
    }
    assert_eq!(winners, 1);
}

/// Of 16 inserts of one id, begun together, one succeeds and the others fail with
/// `AlreadyExists`.
pub async fn one_of_many_concurrent_inserts_wins(store: &impl TokenStore) {
    let insert = async |i: i64| {
        let record = TokenRecord { not_before: Some(at_second(i)), ..plain_record(1) };
        store.insert(&record).await.map(|()| record)
    };
    let results = join_all((0..16).map(insert)).await;
    let stored = find(store, &plain_record(1).id).await;
    let mut winners = 0;
    for result in results {
        match result {
            Ok(record) => {
                winners += 1;
                assert_eq!(*stored, record, "the winner is what is stored");
            }
            Err(error) => assert_eq!(error.kind(), StoreErrorKind::AlreadyExists, "{error}"),
        }
    }
    assert_eq!(winners, 1);
}

/// `list` orders by creation and then id, both descending, whatever the order of insertion.
pub async fn list_is_newest_first(store: &impl TokenStore) {
    let mut records: Vec<_> = [3_u8, 1, 4, 2].map(plain_record).into();
    // Some of the same instant, to be ordered by id, byte by byte: `B` before `a`.
    for (id, i) in ["BBBBBBBBBBBBBBBB", "aaaaaaaaaaaaaaaa", "aAaaaaaaaaaaaaaa", "9999999999999999"]
        .into_iter()
        .zip(5..)
    {
        let created_at = plain_record(3).created_at;
        records.push(TokenRecord { id: id.parse().expect("an id"), created_at, ..plain_record(i) });
    }
    for record in &records {
        store.insert(record).await.expect("insert");
    }
    records.sort_by_key(|record| core::cmp::Reverse(PageKey::of(record)));
    let listed = store.list(&ListFilter::default(), None, 10).await.expect("list");
    assert_eq!(listed, records);
}

/// `list` with project, with owner, with both, and with one that has no records.
pub async fn list_filters_by_project_and_owner(store: &impl TokenStore) {
    let parties = [("acme", "ann"), ("acme", "bob"), ("Acme", "ann"), ("acm", "ann")];
    let mut ids = Vec::new();
    for ((project, owner), i) in parties.into_iter().zip(1..) {
        let record = TokenRecord {
            project: project.parse().expect("a project"),
            owner: owner.parse().expect("an owner"),
            ..plain_record(i)
        };
        store.insert(&record).await.expect("insert");
        ids.push(record.id);
    }
    let [ann, bob, upper, short] = ids.try_into().expect("four ids");
    for (project, owner, expected) in [
        (None, None, vec![short, upper, bob, ann]),
        (Some("acme"), None, vec![bob, ann]),
        (None, Some("ann"), vec![short, upper, ann]),
        (Some("acme"), Some("ann"), vec![ann]),
        (Some("acme"), Some("eve"), vec![]),
        (Some("nobody's"), None, vec![]),
    ] {
        let filter = ListFilter {
            project: project.map(|project| project.parse().expect("a project")),
            owner: owner.map(|owner| owner.parse().expect("an owner")),
        };
        assert_eq!(list_ids(store, &filter).await, expected, "{filter:?}");
    }
}

/// Page after page, with records of equal times across the borders and a record that is inserted
/// meanwhile, shows each of the records once and in order.
pub async fn pages_cover_every_record_once(store: &impl TokenStore) {
    let mut expected = Vec::new();
    for i in 1..=7_u8 {
        let created_at = at_second(i64::from(i / 3));
        let record = TokenRecord { created_at, ..plain_record(i) };
        store.insert(&record).await.expect("insert");
        expected.push(record);
    }
    expected.sort_by_key(|record| core::cmp::Reverse(PageKey::of(record)));
    let of = |project: Option<_>, owner: Option<_>| ListFilter { project, owner };
    let first = plain_record(1);
    let filters = [
        of(None, None),
        of(Some(first.project.clone()), None),
        of(None, Some(first.owner.clone())),
        of(Some(first.project), Some(first.owner)),
    ];
    for (limit, filter) in
        (1..=8).flat_map(|limit| filters.iter().map(move |filter| (limit, filter)))
    {
        let mut listed: Vec<TokenRecord> = Vec::new();
        loop {
            let after = listed.last().map(PageKey::of);
            let page = store.list(filter, after.as_ref(), limit).await.expect("list");
            assert!(page.len() <= limit, "{} records for a limit of {limit}", page.len());
            let complete = page.len() < limit;
            listed.extend(page);
            assert!(listed.len() <= expected.len(), "a page begins too early: {listed:?}");
            if complete {
                break;
            }
        }
        assert_eq!(listed, expected, "pages of {limit}");
    }
    let after = expected.first().map(PageKey::of);
    let newer = TokenRecord { created_at: at_second(1000), ..plain_record(9) };
    store.insert(&newer).await.expect("insert");
    let rest = store.list(&ListFilter::default(), after.as_ref(), 10).await.expect("list");
    assert_eq!(Some(rest.as_slice()), expected.get(1..), "a newer record is before the page");
}

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

/// An update that fails with `Conflict` is not noted.
pub async fn a_refused_update_is_no_change(store: &impl TokenStore) {
    let record = plain_record(1);
    store.insert(&record).await.expect("insert");
    let cursor = begin(store).await;
    let stale = TokenRecord { version: 9, ..record };
    store.update(&stale).await.expect_err("updated another version");
    assert_eq!(changes(store, cursor, 10).await, (vec![], cursor));
}

/// Updates of 16 records run together while a reader follows; in the end the reader has seen
/// each of them once.
pub async fn a_reader_between_writers_misses_no_change(store: &impl TokenStore) {
    const WRITERS: u8 = 16;
    const ROUNDS: usize = 8;

    for i in 1..=WRITERS {
        store.insert(&plain_record(i)).await.expect("insert");
    }
    let start = begin(store).await;
    let write = async |i: u8| {
        for version in (2..).take(ROUNDS) {
            let update = TokenRecord { version, ..plain_record(i) };
            store.update(&update).await.expect("update");
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
    store.insert(&record).await.expect("insert");
    let start = begin(store).await;
    let written = Cell::new(false);
    let write = async {
        for version in 2..=LAST {
            let update = TokenRecord { version, ..record.clone() };
            store.update(&update).await.expect("update");
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

/// `prune` deletes what ended strictly before the given instant, at most `limit` at a time, and
/// tells how many.
pub async fn prune_deletes_what_has_ended_and_no_more(store: &impl TokenStore) {
    let border = at_second(1_000_000);
    let before = at_microsecond(border.as_microsecond().saturating_sub(1));
    let revocation = Revocation { at: before, by: "ann".parse().expect("a name"), reason: None };
    let successor = Successor { id: plain_record(99).id, overlap_ends_at: before };
    let rotation =
        Rotation { family: plain_record(99).id, predecessor: None, successor: Some(successor) };
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
        store.insert(record).await.expect("insert");
    }
    // One that comes to its end by an update.
    let updated = TokenRecord { version: 2, expires_at: Some(before), ..plain_record(7) };
    store.insert(&plain_record(7)).await.expect("insert");
    store.update(&updated).await.expect("update");

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
