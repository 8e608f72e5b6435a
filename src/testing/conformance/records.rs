//! One record, written and read.

#![expect(
    clippy::missing_panics_doc,
    clippy::expect_used,
    reason = "these are the bodies of tests"
)]

use jiff::Timestamp;

use crate::{
    ListFilter, Revocation, Rotation, StoreErrorKind, TokenRecord, TokenStore,
    testing::fixture::{
        at_microsecond, at_second, changed, find, full_record, insert, join_all, list_ids,
        plain_record, update,
    },
};

/// An insert then `find`, with every field set, with none that is optional, and with some.
pub async fn a_record_comes_back_as_it_was_written(store: &impl TokenStore) {
    let revocation = Revocation { at: at_microsecond(1), by: None, reason: None };
    let family = plain_record(3).id;
    let rotation =
        Rotation { family, predecessor: None, successor: None, retires_predecessor: false };
    let revoked_by_policy =
        TokenRecord { revocation: Some(revocation), rotation: Some(rotation), ..plain_record(3) };
    for record in [full_record(1), plain_record(2), revoked_by_policy] {
        insert(store, &record).await.expect("insert");
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
        insert(store, &record).await.expect("insert");
        assert_eq!(*find(store, &record.id).await, record);
        let filter = ListFilter { project: Some(record.project.clone()), owner: None };
        assert_eq!(list_ids(store, &filter).await, [record.id], "list by {text:?}");
    }
}

/// `find` of an id that was never inserted is `None`, and no error.
pub async fn an_unknown_id_is_not_found(store: &impl TokenStore) {
    insert(store, &plain_record(1)).await.expect("insert");
    assert!(store.find(&plain_record(2).id).await.expect("find").is_none());
}

/// An insert of an id that exists fails with `Conflict` and changes nothing.
pub async fn insert_refuses_an_id_that_exists(store: &impl TokenStore) {
    let record = plain_record(1);
    insert(store, &record).await.expect("insert");
    let mut other = full_record(2);
    other.id = record.id;
    let error = insert(store, &other).await.expect_err("inserted one id twice");
    assert_eq!(error.kind(), StoreErrorKind::Conflict, "{error}");
    assert_eq!(*find(store, &record.id).await, record);
}

/// An update replaces every field that may change, and sets and clears optional ones.
pub async fn update_replaces_the_record(store: &impl TokenStore) {
    let plain = plain_record(1);
    let full = TokenRecord { version: 2, ..changed(&plain, &full_record(2)) };
    let plain_again = TokenRecord { version: 3, ..plain.clone() };
    insert(store, &plain).await.expect("insert");
    for record in [full, plain_again] {
        update(store, &record).await.expect("update");
        assert_eq!(*find(store, &record.id).await, record);
        let listed = store.list(&ListFilter::default(), None, 10).await.expect("list");
        assert_eq!(listed, [record], "list shows the update");
    }
}

/// An update fails with `Conflict` unless the stored version is one less, and changes nothing.
pub async fn update_refuses_another_version(store: &impl TokenStore) {
    let record = TokenRecord { version: 5, ..plain_record(1) };
    insert(store, &record).await.expect("insert");
    for version in [1, 4, 5, 7, u32::MAX] {
        let record = TokenRecord { version, disabled: true, ..record.clone() };
        let error = update(store, &record).await.expect_err("updated another version");
        assert_eq!(error.kind(), StoreErrorKind::Conflict, "version {version}: {error}");
    }
    assert_eq!(*find(store, &record.id).await, record);
}

/// An update of a record that is not there fails with `Conflict` and inserts nothing.
pub async fn update_refuses_a_missing_record(store: &impl TokenStore) {
    for version in [0, 1, 2] {
        let record = TokenRecord { version, ..plain_record(1) };
        let error = update(store, &record).await.expect_err("updated a missing record");
        assert_eq!(error.kind(), StoreErrorKind::Conflict, "{error}");
        assert!(store.find(&record.id).await.expect("find").is_none());
    }
}

/// Of 16 updates of one version, begun together, one succeeds and the others fail with
/// `Conflict`.
pub async fn one_of_many_concurrent_updates_wins(store: &impl TokenStore) {
    let record = plain_record(1);
    insert(store, &record).await.expect("insert");
    let write = async |i: i64| {
        let record = TokenRecord { version: 2, not_before: Some(at_second(i)), ..record.clone() };
        update(store, &record).await.map(|()| record)
    };
    let results = join_all((0..16).map(write)).await;
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

/// Of 16 inserts of one id, begun together, one succeeds and the others fail with `Conflict`.
pub async fn one_of_many_concurrent_inserts_wins(store: &impl TokenStore) {
    let write = async |i: i64| {
        let record = TokenRecord { not_before: Some(at_second(i)), ..plain_record(1) };
        insert(store, &record).await.map(|()| record)
    };
    let results = join_all((0..16).map(write)).await;
    let stored = find(store, &plain_record(1).id).await;
    let mut winners = 0;
    for result in results {
        match result {
            Ok(record) => {
                winners += 1;
                assert_eq!(*stored, record, "the winner is what is stored");
            }
            Err(error) => assert_eq!(error.kind(), StoreErrorKind::Conflict, "{error}"),
        }
    }
    assert_eq!(winners, 1);
}
