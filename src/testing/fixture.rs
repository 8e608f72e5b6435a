//! What the conformance suite works with: records to store, short calls, futures run together.

#![expect(clippy::expect_used, clippy::panic, reason = "these serve the bodies of tests")]

use core::{future::poll_fn, task::Poll};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::{
    Change, Changes, Cursor, ListFilter, Metadata, Revocation, Rotation, Scopes, Successor,
    TokenId, TokenRecord, TokenStore, prefix,
};

/// A record without anything optional; those of different numbers differ in id and time.
pub(super) fn plain_record(number: u8) -> TokenRecord {
    TokenRecord {
        id: format!("{number:016}").parse().expect("an id"),
        prefix: prefix!("test"),
        digest: format!("sha256:{number:042}A").parse().expect("a digest"),
        project: "acme".parse().expect("a project"),
        name: "Production REST API".parse().expect("a name"),
        owner: "ann".parse().expect("an owner"),
        created_by: "ann".parse().expect("a creator"),
        scopes: Scopes::default(),
        metadata: Metadata::default(),
        created_at: at_second(i64::from(number)),
        not_before: None,
        expires_at: None,
        disabled: false,
        revocation: None,
        rotation: None,
        version: 1,
    }
}

/// A record with everything optional.
pub(super) fn full_record(number: u8) -> TokenRecord {
    let mut metadata = Metadata::default();
    metadata.insert("ticket", "OPS-42").expect("metadata");
    metadata.insert("team", "naïve \"quotes\"").expect("metadata");
    TokenRecord {
        digest: format!("hmac-sha256:0123456789ab:{number:042}A").parse().expect("a digest"),
        scopes: "flows:run sources:*".parse().expect("scopes"),
        metadata,
        created_by: "eve".parse().expect("a creator"),
        not_before: Some(at_microsecond(1_234_567_890_123_456)),
        expires_at: Some(at_microsecond(2_234_567_890_123_457)),
        disabled: true,
        revocation: Some(Revocation {
            at: at_microsecond(1_834_567_890_123_458),
            by: "bob".parse().expect("a revoker"),
            reason: Some("laptop lost".parse().expect("a reason")),
        }),
        rotation: Some(Rotation {
            family: plain_record(number.wrapping_add(100)).id,
            predecessor: Some(plain_record(number.wrapping_add(101)).id),
            successor: Some(Successor {
                id: plain_record(number.wrapping_add(102)).id,
                overlap_ends_at: at_microsecond(1_934_567_890_123_459),
            }),
        }),
        ..plain_record(number)
    }
}

/// `to`, as far as an update may make it of `from`.
pub(super) fn changed(from: &TokenRecord, to: &TokenRecord) -> TokenRecord {
    TokenRecord {
        id: from.id,
        prefix: from.prefix,
        project: from.project.clone(),
        owner: from.owner.clone(),
        created_by: from.created_by.clone(),
        created_at: from.created_at,
        ..to.clone()
    }
}

pub(super) fn at_second(second: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs(second)
}

pub(super) fn at_microsecond(microsecond: i64) -> Timestamp {
    Timestamp::from_microsecond(microsecond).expect("a time in range")
}

#[track_caller]
pub(super) fn find<'a, S: TokenStore>(
    store: &'a S,
    id: &'a TokenId,
) -> impl Future<Output = Arc<TokenRecord>> + 'a {
    let caller = core::panic::Location::caller();
    async move {
        match store.find(id).await {
            Ok(Some(found)) => found.record,
            Ok(None) => panic!("no record of {id}, at {caller}"),
            Err(error) => panic!("find failed: {error}, at {caller}"),
        }
    }
}

pub(super) async fn list_ids(store: &impl TokenStore, filter: &ListFilter) -> Vec<TokenId> {
    let listed = store.list(filter, None, 100).await.expect("list");
    listed.iter().map(|record| record.id).collect()
}

/// Inserts a record and updates it, which makes one change.
pub(super) async fn update_once(store: &impl TokenStore, number: u8) -> TokenId {
    let record = plain_record(number);
    store.insert(&record).await.expect("insert");
    let update = TokenRecord { version: 2, disabled: true, ..record };
    store.update(&update).await.expect("update");
    update.id
}

pub(super) async fn begin(store: &impl TokenStore) -> Cursor {
    match store.changes_since(None, 10).await.expect("changes_since") {
        Changes::Reset { next } => next,
        Changes::Since { .. } => panic!("a reader without a cursor must be reset"),
    }
}

pub(super) async fn changes(
    store: &impl TokenStore,
    cursor: Cursor,
    limit: usize,
) -> (Vec<Change>, Cursor) {
    match store.changes_since(Some(&cursor), limit).await.expect("changes_since") {
        Changes::Since { changes, next } => (changes, next),
        Changes::Reset { .. } => panic!("{cursor:?} is not of another history"),
    }
}

/// Lets the other futures of [`join_all`] go on, even if the store never waits.
pub(super) async fn give_way() {
    let mut yielded = false;
    poll_fn(|context| {
        if yielded {
            return Poll::Ready(());
        }
        yielded = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Runs futures together on whatever runtime this is.
pub(super) async fn join_all<F: Future>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let mut running: Vec<_> = futures.into_iter().map(|future| (Box::pin(future), None)).collect();
    poll_fn(|context| {
        let mut ready = true;
        for (future, output) in &mut running {
            if output.is_none() {
                match future.as_mut().poll(context) {
                    Poll::Ready(value) => *output = Some(value),
                    Poll::Pending => ready = false,
                }
            }
        }
        if ready { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    running.into_iter().filter_map(|(_, output)| output).collect()
}
