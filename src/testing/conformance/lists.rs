//! Lists and their pages.

#![expect(
    clippy::missing_panics_doc,
    clippy::expect_used,
    reason = "these are the bodies of tests"
)]

use crate::{
    ListFilter, PageKey, TokenRecord, TokenStore,
    testing::fixture::{at_second, insert, list_ids, plain_record},
};

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
        insert(store, record).await.expect("insert");
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
        insert(store, &record).await.expect("insert");
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
        insert(store, &record).await.expect("insert");
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
    insert(store, &newer).await.expect("insert");
    let rest = store.list(&ListFilter::default(), after.as_ref(), 10).await.expect("list");
    assert_eq!(Some(rest.as_slice()), expected.get(1..), "a newer record is before the page");
}
