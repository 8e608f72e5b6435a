//! What the conformance suite works with: records to store, short calls, futures run together.

#![expect(clippy::expect_used, clippy::panic, reason = "these serve the bodies of tests")]

use core::{future::poll_fn, task::Poll};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::{
    Change, Changes, Cursor, DoneBy, EditedField, Event, EventKind, KeyId, LeakSource, ListFilter,
    Metadata, NumberedEvent, RefusalReason, Revocation, Rotation, Scopes, StoreError, Successor,
    TokenId, TokenRecord, TokenStore, Usage, WriteBatch, prefix,
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
        created_through: None,
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
        created_through: Some(plain_record(number.wrapping_add(103)).id),
        not_before: Some(at_microsecond(1_234_567_890_123_456)),
        expires_at: Some(at_microsecond(2_234_567_890_123_457)),
        disabled: true,
        revocation: Some(Revocation {
            at: at_microsecond(1_834_567_890_123_458),
            by: Some("bob".parse().expect("a revoker")),
            reason: Some("laptop lost".parse().expect("a reason")),
        }),
        rotation: Some(Rotation {
            family: plain_record(number.wrapping_add(100)).id,
            predecessor: Some(plain_record(number.wrapping_add(101)).id),
            successor: Some(Successor {
                id: plain_record(number.wrapping_add(102)).id,
                overlap_ends_at: at_microsecond(1_934_567_890_123_459),
            }),
            retires_predecessor: true,
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
        created_through: from.created_through,
        created_at: from.created_at,
        ..to.clone()
    }
}

/// `record` after a change.
pub(super) fn next(record: &TokenRecord) -> TokenRecord {
    let version = record.version.wrapping_add(1);
    TokenRecord { version, disabled: !record.disabled, ..record.clone() }
}

/// A usage of the token of [`plain_record`], without anything optional.
pub(super) fn usage_of(number: u8, last_used_at: Timestamp) -> Usage {
    let id = plain_record(number).id;
    Usage { id, last_used_at, client_address: None, user_agent: None }
}

/// An event of the token of [`plain_record`].
pub(super) fn event_of(number: u8, kind: EventKind) -> Event {
    let TokenRecord { id, project, .. } = plain_record(number);
    Event { at: at_second(1), token: Some(id), project: Some(project), by: None, kind }
}

/// Events of one token: each kind there is with each kind of value in it, by each kind of actor.
pub(super) fn every_event(token: TokenId) -> Vec<Event> {
    let principal = "'; DROP TABLE \"ann\" \\ 漢字 🚀".parse().expect("a principal");
    let through = Some(plain_record(99).id);
    let actors = [
        None,
        Some(DoneBy { principal: "ann".parse().expect("a principal"), token: None }),
        Some(DoneBy { principal, token: through }),
    ];
    let projects = ["acme", "%_ NULL \\ 'é'"].map(|project| project.parse().ok());
    let times = [-1, 0, 1, 1_234_567_890_123_456].map(at_microsecond);
    every_kind()
        .into_iter()
        .zip(actors.into_iter().cycle())
        .zip(projects.into_iter().chain([None]).cycle().skip(1))
        .zip(times.into_iter().cycle())
        .map(|(((kind, by), project), at)| Event { at, token: Some(token), project, by, kind })
        .collect()
}

fn every_kind() -> Vec<EventKind> {
    use EventKind as Kind;

    // Add a kind that is new below as well.
    let _ = |kind: &Kind| match kind {
        Kind::Created
        | Kind::Imported
        | Kind::Rotated { .. }
        | Kind::RotationFinished { .. }
        | Kind::RotationCancelled { .. }
        | Kind::Edited { .. }
        | Kind::Disabled
        | Kind::Enabled
        | Kind::Revoked { .. }
        | Kind::ReuseDetected
        | Kind::LeakReported { .. }
        | Kind::BulkChanged { .. }
        | Kind::Pruned { .. }
        | Kind::KeyRetired { .. }
        | Kind::UsageLost { .. }
        | Kind::BackgroundDelayed { .. }
        | Kind::BackgroundResumed
        | Kind::Refused { .. }
        | Kind::RefusalsSuppressed { .. } => {}
    };
    let successor = plain_record(98).id;
    let key: KeyId = "0123456789ab".parse().expect("a key id");
    // More than a floating point number holds.
    let count = 9_007_199_254_740_993;
    let reason = "left: \"bye\" \\ 'é' 🚀".parse().expect("a reason");
    let source: LeakSource = "github: 'commit' \"漢字\"".parse().expect("a source");
    let url = "https://example.com/?a='b'&c=\"é\"#🚀".parse().expect("a url");
    let mut kinds = vec![
        Kind::UsageLost { count },
        Kind::BackgroundResumed,
        Kind::BackgroundDelayed { error: "store unavailable: \"é\" 🚀".to_owned() },
        Kind::Created,
        Kind::Imported,
        Kind::Rotated { successor, overlap_ends_at: at_microsecond(1_934_567_890_123_459) },
        Kind::RotationFinished { by_use: true },
        Kind::RotationFinished { by_use: false },
        Kind::RotationCancelled { successor },
        Kind::Edited { fields: vec![] },
        Kind::Edited {
            fields: vec![
                EditedField::ExpiresAt,
                EditedField::Metadata,
                EditedField::Scopes,
                EditedField::Name,
            ],
        },
        Kind::Disabled,
        Kind::Enabled,
        Kind::Revoked { reason: None },
        Kind::Revoked { reason: Some(reason) },
        Kind::ReuseDetected,
        Kind::LeakReported { source: source.clone(), url: None },
        Kind::LeakReported { source, url: Some(url) },
        Kind::BulkChanged { count },
        Kind::Pruned { count: 0 },
        Kind::KeyRetired { key: None, abandoned: 1 },
        Kind::KeyRetired { key: Some(key), abandoned: count },
        Kind::RefusalsSuppressed { reason: RefusalReason::Outage, count },
    ];
    kinds.extend(RefusalReason::ALL.map(|reason| Kind::Refused { reason }));
    kinds
}

pub(super) fn at_second(second: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs(second)
}

pub(super) fn at_microsecond(microsecond: i64) -> Timestamp {
    Timestamp::from_microsecond(microsecond).expect("a time in range")
}

pub(super) async fn insert(
    store: &impl TokenStore,
    record: &TokenRecord,
) -> Result<(), StoreError> {
    store.write(&WriteBatch::insert(record.clone())).await
}

pub(super) async fn update(
    store: &impl TokenStore,
    record: &TokenRecord,
) -> Result<(), StoreError> {
    store.write(&WriteBatch::update(record.clone())).await
}

/// Writes events, and nothing else.
pub(super) async fn append(store: &impl TokenStore, events: Vec<Event>) {
    store.write(&WriteBatch { events, ..WriteBatch::default() }).await.expect("write events");
}

/// All events of a token, the newest first.
pub(super) async fn events(store: &impl TokenStore, token: &TokenId) -> Vec<NumberedEvent> {
    store.events(token, None, 100).await.expect("events")
}

/// Usages sorted by id.
pub(super) async fn usage(store: &impl TokenStore, ids: &[TokenId]) -> Vec<Usage> {
    let mut usages = store.usage(ids).await.expect("usage");
    usages.sort_by_key(|usage| usage.id);
    usages
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
    insert(store, &record).await.expect("insert");
    update(store, &next(&record)).await.expect("update");
    record.id
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
