//! What a verifier, the issuers made from it and its background have in common, and the one way
//! to change a record.

use std::sync::Arc;

use arc_swap::ArcSwap;
use jiff::Timestamp;

use crate::{
    Actor, Clock, Digester, Event, EventKind, EventSink, ImportFormat, IssuerError, OwnerRights,
    Prefix, RevocationReason, Scopes, Status, StoreError, StoreErrorKind, TokenId, TokenRecord,
    TokenStore, Verified, VerifyError, WriteBatch,
    actor::Limits,
    clock::to_microseconds,
    error::Limit,
    owner::DynOwnerPolicy,
    pending::Pending,
    record::Revocation,
    transition::{Operation, State},
};

pub(crate) struct Shared<S> {
    pub(crate) prefix: Prefix,
    pub(crate) digester: ArcSwap<Digester>,
    pub(crate) store: S,
    pub(crate) clock: Box<dyn Clock>,
    pub(crate) imports: Vec<ImportFormat>,
    pub(crate) owner_policy: Option<Box<dyn DynOwnerPolicy>>,
    pub(crate) sink: Box<dyn EventSink>,
    /// `None` if there is no background.
    pub(crate) pending: Option<Pending>,
    #[cfg(feature = "cache")]
    pub(crate) cache: Option<crate::cache::CachedRecords>,
}

/// How often a change is tried again because somebody else was faster. Each round that is lost is
/// a change that somebody else made, so that many in a row do not happen.
pub(crate) const ROUNDS: u32 = 100;

/// The error after [`ROUNDS`]: trying again later may help.
pub(crate) fn contended<E: From<StoreError>>() -> E {
    StoreError::new(StoreErrorKind::Unavailable, "the records changed again and again").into()
}

impl<S: TokenStore> Shared<S> {
    pub(crate) fn now(&self) -> Timestamp {
        to_microseconds(self.clock.now())
    }

    pub(crate) async fn read(&self, id: TokenId) -> Result<Option<TokenRecord>, StoreError> {
        let found = self.store.find(&id).await?;
        Ok(found.map(|found| Arc::unwrap_or_clone(found.record)))
    }

    /// Writes a batch, and passes its events on. `false` if a stored record was not as expected.
    pub(crate) async fn write(&self, batch: &WriteBatch) -> Result<bool, StoreError> {
        let written = self.store.write(batch).await;
        // Also after an error: it may have been written.
        batch.inserts.iter().chain(&batch.updates).for_each(|record| self.forget(&record.id));
        match written {
            Ok(()) => {
                for event in &batch.events {
                    self.sink.record(event);
                }
                Ok(true)
            }
            Err(error) if error.kind() == StoreErrorKind::Conflict => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether the token is accepted now, and what its owner may do, if that is not everything.
    pub(crate) async fn check(
        &self,
        record: &TokenRecord,
    ) -> Result<Option<Arc<Scopes>>, VerifyError> {
        match record.status_by(|| self.clock.now()) {
            Status::Active => {}
            status => return Err(VerifyError::NotActive { id: record.id, status }),
        }
        match self.rights(record).await? {
            OwnerRights::All => Ok(None),
            OwnerRights::Only(scopes) => Ok(Some(scopes)),
            OwnerRights::None => Err(VerifyError::OwnerWithoutAccess { id: record.id }),
        }
    }

    /// What the owner of a token may do now.
    pub(crate) async fn rights(&self, record: &TokenRecord) -> Result<OwnerRights, StoreError> {
        match &self.owner_policy {
            Some(policy) => policy.rights(record).await,
            None => Ok(OwnerRights::All),
        }
    }

    /// How far an actor can go now; nobody (a policy) can go anywhere.
    ///
    /// Here as elsewhere, the time is read after the records. By an earlier one, a token that
    /// somebody has just ended, by rotating it or finishing that, would not have ended yet.
    pub(crate) async fn limits(&self, actor: Option<&Actor>) -> Result<Limits, IssuerError> {
        let Some(actor) = actor else { return Ok(Limits::default()) };
        let Some(token) = &actor.token else { return Ok(Limits::new(actor, None, None)) };
        let record = self.read(token.id()).await?.ok_or(IssuerError::ActorNotActive(None))?;
        match record.status(self.now()) {
            Status::Active if record.prefix == self.prefix => {}
            // A token of another environment that shares the store is a stranger here.
            Status::Active => return Err(IssuerError::Exceeds(Limit::Project)),
            status => return Err(IssuerError::ActorNotActive(Some(status))),
        }
        let owner_scopes = match self.rights(&record).await? {
            OwnerRights::All => None,
            OwnerRights::Only(scopes) => Some(scopes),
            OwnerRights::None => return Err(IssuerError::ActorNotActive(None)),
        };
        let mut limits = Limits::new(actor, Some(&record), owner_scopes);
        self.check_ancestors(&record, &mut limits).await?;
        Ok(limits)
    }

    /// Whoever holds a token that is revoked must not go on with what they made through it: else a
    /// bulk revocation would run after the newest of these for ever.
    async fn check_ancestors(
        &self,
        record: &TokenRecord,
        limits: &mut Limits,
    ) -> Result<(), IssuerError> {
        const MAX_DEPTH: usize = 16;
        // A token that rotates itself once a day is made through its predecessors, all of which
        // have ended.
        const MAX_ENDED: usize = 1000;
        let (mut living, mut ended): (usize, usize) = (0, 0);
        let mut next = record.created_through;
        // One that was pruned had ended long ago.
        while let Some(id) = next
            && let Some(ancestor) = self.read(id).await?
        {
            let count = match ancestor.status(self.now()) {
                status @ (Status::Revoked | Status::Disabled) => {
                    return Err(IssuerError::ActorNotActive(Some(status)));
                }
                Status::Expired | Status::RotatedOut => &mut ended,
                Status::Active | Status::NotYetValid => &mut living,
            };
            *count = count.saturating_add(1);
            if living > MAX_DEPTH || ended > MAX_ENDED {
                return Err(IssuerError::Exceeds(Limit::Depth));
            }
            limits.unchanged.push((id, ancestor.version));
            next = ancestor.created_through;
        }
        Ok(())
    }

    /// Reads a record that the actor sees and whose state allows the operation, and at what time
    /// it does.
    pub(crate) async fn read_for(
        &self,
        id: TokenId,
        operation: Operation,
        limits: &Limits,
    ) -> Result<(TokenRecord, Timestamp), IssuerError> {
        let record = self.read_visible(id, limits).await?;
        let now = self.now();
        let state = State::of(&record, now);
        if state.allows(operation) {
            Ok((record, now))
        } else {
            Err(IssuerError::NotAllowed { operation, state })
        }
    }

    pub(crate) async fn read_visible(
        &self,
        id: TokenId,
        limits: &Limits,
    ) -> Result<TokenRecord, IssuerError> {
        let record = self.read(id).await?.ok_or(IssuerError::NotFound)?;
        if limits.sees(&record) { Ok(record) } else { Err(IssuerError::NotFound) }
    }

    /// Applies `apply` to the newest version of one record, again if somebody else was faster.
    /// Writes nothing if it changes nothing.
    pub(crate) async fn change(
        &self,
        id: TokenId,
        operation: Operation,
        actor: Option<&Actor>,
        apply: impl Fn(&mut TokenRecord, &Limits, Timestamp) -> Result<EventKind, IssuerError>,
    ) -> Result<TokenRecord, IssuerError> {
        for _ in 0..ROUNDS {
            let limits = self.limits(actor).await?;
            let (before, now) = self.read_for(id, operation, &limits).await?;
            let mut record = before.clone();
            let kind = apply(&mut record, &limits, now)?;
            if record == before {
                if self.confirm(&record, limits.unchanged).await? {
                    return Ok(record);
                }
                continue;
            }
            advance(&mut record)?;
            let batch = WriteBatch {
                events: vec![Event::of(&record, now, limits.by, kind)],
                updates: vec![record.clone()],
                unchanged: limits.unchanged,
                ..WriteBatch::default()
            };
            if self.write(&batch).await? {
                return Ok(record);
            }
        }
        Err(contended())
    }

    /// Makes sure of what somebody else has done, or an earlier call that failed, before it is
    /// acknowledged again: what is read may yet be lost, as from a primary whose standby is away,
    /// and what is written is not. And it is news to this node, perhaps.
    ///
    /// `false` if the record has changed since.
    pub(crate) async fn confirm(
        &self,
        record: &TokenRecord,
        mut unchanged: Vec<(TokenId, u32)>,
    ) -> Result<bool, StoreError> {
        unchanged.push((record.id, record.version));
        let written = self.write(&WriteBatch { unchanged, ..WriteBatch::default() }).await;
        self.forget(&record.id);
        written
    }

    pub(crate) async fn revoke(
        &self,
        id: TokenId,
        actor: Option<&Actor>,
        reason: Option<&RevocationReason>,
    ) -> Result<TokenRecord, IssuerError> {
        self.change(id, Operation::Revoke, actor, |record, _, now| {
            Ok(revoke(record, actor, reason, now))
        })
        .await
    }

    /// Revokes a token and all that it was rotated from and to. Returns how many were not revoked
    /// before.
    ///
    /// No link is ever missing: a token is rotated only after its predecessor's end, so families
    /// are pruned from their beginning.
    pub(crate) async fn revoke_family(
        &self,
        id: TokenId,
        actor: Option<&Actor>,
        reason: Option<&RevocationReason>,
    ) -> Result<u64, IssuerError> {
        let own = actor.and_then(|actor| actor.token.as_ref()).map(Verified::id);
        let limits = self.limits(actor).await?;
        let mut revoked: u64 = 0;
        let mut revokes_own = false;
        let mut revoke = async |record: TokenRecord| {
            if record.revocation.is_some() {
                // What is revoked does not change any more.
                self.confirm(&record, Vec::new()).await?;
                return Ok(record);
            }
            revoked = revoked.saturating_add(1);
            if own == Some(record.id) {
                // The last of all, since nothing can be done through it afterwards.
                revokes_own = true;
                return Ok(record);
            }
            self.revoke(record.id, actor, reason).await
        };
        let first = self.read_visible(id, &limits).await?;
        let (mut came_from, mut earlier) =
            (id, first.rotation.and_then(|rotation| rotation.predecessor));
        // Towards the latest first, which is most likely the one in use.
        let mut later = Some(first);
        loop {
            while let Some(record) = later {
                // A rotation that came before this shows in the record that it returns.
                let rotation = revoke(record).await?.rotation;
                later = match rotation.and_then(|rotation| rotation.successor) {
                    Some(successor) => self.read(successor.id).await?,
                    None => None,
                };
            }
            let Some(id) = earlier else { break };
            let Some(record) = self.read(id).await? else { break };
            let rotation = revoke(record).await?.rotation;
            earlier = rotation.and_then(|rotation| rotation.predecessor);
            // The way here came from a successor that was cancelled or lost: there is another one.
            later = match rotation.and_then(|rotation| rotation.successor) {
                Some(successor) if successor.id != came_from => self.read(successor.id).await?,
                _ => None,
            };
            came_from = id;
        }
        if let Some(own) = own.filter(|_| revokes_own) {
            self.revoke(own, actor, reason).await?;
        }
        Ok(revoked)
    }

    /// Ends the overlap with the successor now, if it has not ended before; if `used` is the
    /// reason, then only with that successor.
    pub(crate) async fn finish_rotation(
        &self,
        id: TokenId,
        actor: Option<&Actor>,
        used: Option<TokenId>,
    ) -> Result<TokenRecord, IssuerError> {
        self.change(id, Operation::FinishRotation, actor, |record, _, now| {
            if let Some(successor) =
                record.rotation.as_mut().and_then(|rotation| rotation.successor.as_mut())
                && used.is_none_or(|used| used == successor.id)
            {
                successor.overlap_ends_at = successor.overlap_ends_at.min(now);
            }
            Ok(EventKind::RotationFinished { by_use: used.is_some() })
        })
        .await
    }
}

/// Revokes a record, unless it is: who did it first, when and why stays.
pub(crate) fn revoke(
    record: &mut TokenRecord,
    actor: Option<&Actor>,
    reason: Option<&RevocationReason>,
    now: Timestamp,
) -> EventKind {
    record.revocation.get_or_insert_with(|| Revocation {
        at: now,
        by: actor.map(|actor| actor.principal().clone()),
        reason: reason.cloned(),
    });
    EventKind::Revoked { reason: reason.cloned() }
}

/// Gives a changed record its version.
pub(crate) fn advance(record: &mut TokenRecord) -> Result<(), StoreError> {
    record.version = record.version.checked_add(1).ok_or_else(|| {
        StoreError::new(StoreErrorKind::Other, "a record's version is at its end")
    })?;
    Ok(())
}
