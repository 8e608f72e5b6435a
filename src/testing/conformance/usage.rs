//! When and from where tokens were last used.

#![expect(
    clippy::missing_panics_doc,
    clippy::expect_used,
    reason = "these are the bodies of tests"
)]

use jiff::Timestamp;

use crate::{
    Client, TokenId, TokenRecord, TokenStore, Usage,
    testing::fixture::{
        at_microsecond, at_second, begin, changes, find, insert, join_all, plain_record, update,
        usage, usage_of,
    },
};

/// `record_usage` then `usage`: addresses of both kinds and none, texts that are special to
/// databases and none, times to the microsecond.
pub async fn usage_comes_back_as_it_was_written(store: &impl TokenStore) {
    let longest = "~".repeat(Client::MAX_USER_AGENT_LEN);
    let printable: String = (b' '..=b'~').map(char::from).collect();
    let clients = [
        (None, None),
        (Some("192.0.2.1"), Some("curl/8.5")),
        (Some("2001:db8::a"), None),
        (None, Some("'; DROP TABLE token_usage; --")),
        (Some("::ffff:192.0.2.1"), Some("NULL")),
        (Some("::"), Some(" \\N %_ $1 ?1 :name ")),
        (Some("255.255.255.255"), Some(longest.as_str())),
        (Some("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), Some(printable.as_str())),
    ];
    let times = [
        0,
        -1,
        1,
        999_999,
        1_000_000,
        1_234_567_890_123_456,
        -62_135_596_800_000_001,
        Timestamp::MAX.as_second().saturating_mul(1_000_000),
    ];
    let mut expected = Vec::new();
    for (((address, user_agent), time), number) in clients.into_iter().zip(times).zip(1..) {
        insert(store, &plain_record(number)).await.expect("insert");
        expected.push(Usage {
            client_address: address.map(|address| address.parse().expect("an address")),
            user_agent: user_agent.map(str::to_owned),
            ..usage_of(number, at_microsecond(time))
        });
    }
    store.record_usage(&expected).await.expect("record_usage");
    let ids: Vec<_> = expected.iter().map(|usage| usage.id).collect();
    assert_eq!(usage(store, &ids).await, expected);
    for expected in expected {
        assert_eq!(usage(store, &[expected.id]).await, [expected]);
    }
}

/// Ids that differ in case alone are of different tokens.
pub async fn usage_is_of_one_token(store: &impl TokenStore) {
    let mut expected = Vec::new();
    for (id, number) in ["AAAAAAAAAAAAAAAA", "AaAAAAAAAAAAAAAA", "aaaaaaaaaaaaaaaa"].iter().zip(1..)
    {
        let id: TokenId = id.parse().expect("an id");
        insert(store, &TokenRecord { id, ..plain_record(number) }).await.expect("insert");
        expected.push(Usage { id, ..usage_of(number, at_second(number.into())) });
    }
    store.record_usage(&expected).await.expect("record_usage");
    for expected in expected {
        assert_eq!(usage(store, &[expected.id]).await, [expected]);
    }
}

/// A usage that is earlier than the kept one, or of the same time, changes nothing; one that is
/// later replaces all of it.
pub async fn usage_never_goes_back(store: &impl TokenStore) {
    insert(store, &plain_record(1)).await.expect("insert");
    insert(store, &plain_record(2)).await.expect("insert");
    let kept = Usage {
        client_address: Some("192.0.2.1".parse().expect("an address")),
        user_agent: Some("curl/8.5".to_owned()),
        ..usage_of(1, at_microsecond(1_000_000_000_001))
    };
    store.record_usage(core::slice::from_ref(&kept)).await.expect("record_usage");
    let other = |microsecond| Usage {
        client_address: Some("2001:db8::1".parse().expect("an address")),
        user_agent: Some("wget".to_owned()),
        ..usage_of(1, at_microsecond(microsecond))
    };
    for microsecond in [-1, 0, 999_999_999_999, 1_000_000_000_000, 1_000_000_000_001] {
        // Beside one that is news.
        let beside = usage_of(2, at_microsecond(microsecond));
        store.record_usage(&[other(microsecond), beside.clone()]).await.expect("record_usage");
        let read = usage(store, &[kept.id, beside.id]).await;
        assert_eq!(read, [kept.clone(), beside], "after a usage at {microsecond}");
    }
    let later = other(1_000_000_000_002);
    let without_client = usage_of(1, at_microsecond(1_000_000_000_003));
    for news in [later, without_client] {
        store.record_usage(core::slice::from_ref(&news)).await.expect("record_usage");
        assert_eq!(usage(store, &[news.id]).await, [news]);
    }
}

/// Of 16 usages of one token, written together, the latest stays.
pub async fn the_latest_of_concurrent_usages_stays(store: &impl TokenStore) {
    insert(store, &plain_record(1)).await.expect("insert");
    let write = async |i: u8| {
        // Neither rising nor falling.
        let second = i64::from(i.wrapping_mul(7) % 16);
        let usage =
            Usage { user_agent: Some(second.to_string()), ..usage_of(1, at_second(second)) };
        store.record_usage(&[usage]).await.expect("record_usage");
    };
    join_all((0..16).map(write)).await;
    let latest = Usage { user_agent: Some("15".to_owned()), ..usage_of(1, at_second(15)) };
    assert_eq!(usage(store, &[latest.id]).await, [latest]);
}

/// A usage of a token that does not exist is left out, and those beside it are kept. `usage` has
/// nothing of such a token, nor of one that was never used.
pub async fn usage_of_unknown_tokens_is_ignored(store: &impl TokenStore) {
    insert(store, &plain_record(2)).await.expect("insert");
    insert(store, &plain_record(4)).await.expect("insert");
    let batch: Vec<_> = [1, 2, 3].map(|number| usage_of(number, at_second(1))).into();
    let ids: Vec<_> = (1..=4).map(|number| plain_record(number).id).collect();
    assert_eq!(usage(store, &ids).await, []);
    store.record_usage(&batch).await.expect("record_usage");
    store.record_usage(&[]).await.expect("record no usage");
    assert_eq!(usage(store, &ids).await, [usage_of(2, at_second(1))]);
    assert_eq!(usage(store, &[]).await, []);
    insert(store, &plain_record(1)).await.expect("insert");
    assert_eq!(usage(store, &ids).await, [usage_of(2, at_second(1))], "it was not kept for later");
}

/// Usage changes no record, and is not changed with one.
pub async fn usage_is_no_change(store: &impl TokenStore) {
    let record = plain_record(1);
    insert(store, &record).await.expect("insert");
    let cursor = begin(store).await;
    let used = usage_of(1, at_second(1));
    store.record_usage(core::slice::from_ref(&used)).await.expect("record_usage");
    assert_eq!(changes(store, cursor, 10).await, (vec![], cursor));
    assert_eq!(*find(store, &record.id).await, record);
    let next = TokenRecord { version: 2, disabled: true, ..record };
    update(store, &next).await.expect("update");
    assert_eq!(*find(store, &next.id).await, next);
    assert_eq!(usage(store, &[used.id]).await, [used]);
}
