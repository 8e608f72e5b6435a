//! What a report changes: all of it in one transaction.

use jiff::Timestamp;

use super::{Leak, LeakAction, LeakPlace, LeakPolicy};
use crate::{
    Event, EventKind, NumberedEvent, Operation, RevocationReason, State, StoreError, TokenId,
    TokenRecord, TokenStore, WriteBatch,
    shared::{ROUNDS, Shared, advance, contended, revoke},
};

/// Among how many of its latest events a token's places are looked for.
const LOOKED_AT: usize = 100;

impl<S: TokenStore> Shared<S> {
    /// Records that the token was found at these places, and does about it what `policy` says.
    /// `None` if there is no such token any more.
    ///
    /// Whoever calls this has proof.
    pub(super) async fn record_leak(
        &self,
        id: TokenId,
        policy: LeakPolicy,
        places: &[LeakPlace],
    ) -> Result<Option<Leak>, StoreError> {
        for _ in 0..ROUNDS {
            // The record first: whoever records a place after this has changed it.
            let Some(before) = self.read(id).await? else { return Ok(None) };
            let recorded = self.store.events(&id, None, LOOKED_AT).await?;
            let now = self.now();
            let mut record = before.clone();
            let mut places = unrecorded(places, &recorded);
            let (action, change) = apply(policy, &mut record, &places, now);
            places.truncate(room(&recorded, action));
            let is_written = if places.is_empty() {
                self.confirm(&before, Vec::new()).await?
            } else {
                advance(&mut record)?;
                let reported = places.iter().cloned();
                let reported = reported
                    .map(|LeakPlace { source, url }| EventKind::LeakReported { source, url });
                let kinds = reported.chain(change);
                let batch = WriteBatch {
                    events: kinds.map(|kind| Event::of(&record, now, None, kind)).collect(),
                    updates: vec![record.clone()],
                    ..WriteBatch::default()
                };
                self.write(&batch).await?
            };
            if is_written {
                let status = record.status(now);
                return Ok(Some(Leak { record, status, action, places }));
            }
        }
        Err(contended())
    }
}

/// Changes the record as the policy says, if it was found at a place that is new and has not come to
/// its end.
fn apply(
    policy: LeakPolicy,
    record: &mut TokenRecord,
    places: &[LeakPlace],
    now: Timestamp,
) -> (LeakAction, Option<EventKind>) {
    let state = State::of(record, now);
    match policy {
        _ if places.is_empty() => (LeakAction::None, None),
        // Whatever has ended could still be revoked, and nobody would gain anything.
        LeakPolicy::Revoke if !state.is_final() && state.allows(Operation::Revoke) => {
            let reason = reason(places);
            (LeakAction::Revoked, Some(revoke(record, None, reason.as_ref(), now)))
        }
        LeakPolicy::Quarantine if !record.disabled && state.allows(Operation::Disable) => {
            record.disabled = true;
            (LeakAction::Disabled, Some(EventKind::Disabled))
        }
        LeakPolicy::Revoke | LeakPolicy::Quarantine => (LeakAction::None, None),
    }
}

fn reason(places: &[LeakPlace]) -> Option<RevocationReason> {
    let source = places.first().map(|place| place.source.as_str())?;
    format!("reported as leaked by {source}").parse().ok()
}

/// The places that have no event yet, each once.
fn unrecorded(places: &[LeakPlace], recorded: &[NumberedEvent]) -> Vec<LeakPlace> {
    let mut new: Vec<LeakPlace> = Vec::new();
    for place in places {
        let is_known = new.contains(place) || recorded.iter().any(|known| is_at(known, place));
        if !is_known {
            new.push(place.clone());
        }
    }
    new
}

fn is_at(event: &NumberedEvent, place: &LeakPlace) -> bool {
    matches!(&event.event.kind, EventKind::LeakReported { source, url }
        if *source == place.source && *url == place.url)
}

/// How many places more can be recorded. A change never goes without one.
fn room(recorded: &[NumberedEvent], action: LeakAction) -> usize {
    let is_report =
        |event: &&NumberedEvent| matches!(event.event.kind, EventKind::LeakReported { .. });
    let room = LeakPlace::MAX_RECORDED.saturating_sub(recorded.iter().filter(is_report).count());
    room.max(usize::from(action != LeakAction::None))
}
