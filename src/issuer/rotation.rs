use jiff::{SignedDuration, Timestamp};

use super::{
    Expiry, Issuer,
    repeat::{Attempt, Scope, replaced},
};
use crate::{
    Actor, Event, EventKind, FieldError, IdempotencyKey, IssuerError, Rotation, Successor, Token,
    TokenId, TokenRecord, TokenStore, Usage, WriteBatch,
    actor::Limits,
    clock::{after, to_microseconds},
    field::FieldProblem,
    shared::{ROUNDS, advance, contended, revoke},
    transition::{Operation, State},
};

/// How to rotate a token.
///
/// # Defaults
///
/// - `overlap`: none, so that the old token is refused at once
/// - `retire_on_use`: no
/// - `expiry`: as long a life as the old token was given, from now
/// - `idempotency_key`: none
#[derive(Debug, Clone, Default)]
pub struct Rotate {
    /// How long the old token is accepted beside the new one, if it does not expire before.
    pub overlap: SignedDuration,
    /// Whether the overlap ends as soon as the new token is used. The background does that, within
    /// a moment.
    pub retire_on_use: bool,
    /// When the new token comes to its end.
    pub expiry: Expiry,
    /// Names the request: see [`Issuer::rotate`].
    pub idempotency_key: Option<IdempotencyKey>,
}

impl Rotate {
    /// With the old token accepted for so long.
    #[must_use]
    pub fn with_overlap(overlap: SignedDuration) -> Self {
        Self { overlap, ..Self::default() }
    }
}

/// A rotation that is stored.
#[derive(Debug)]
#[non_exhaustive]
pub struct Rotated {
    /// The plaintext of the new token, to be shown once.
    pub token: Token,
    /// The new token's record.
    pub record: TokenRecord,
    /// The old token's record.
    pub predecessor: TokenRecord,
    /// The successor that the same request made before, if it was repeated: it is revoked now.
    pub replaced: Option<TokenId>,
}

/// How far a rotation has come. See [`Issuer::rotation_status`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RotationStatus {
    /// The old token.
    pub predecessor: TokenRecord,
    /// The new token.
    pub successor: TokenRecord,
    /// The first instant at which the old one is no longer accepted.
    pub overlap_ends_at: Timestamp,
    /// When and from where the old token was last used; `None` for never.
    pub predecessor_usage: Option<Usage>,
    /// When and from where the new token was last used; `None` for never.
    pub successor_usage: Option<Usage>,
}

impl RotationStatus {
    /// Whether the old token was used after the new one was made: somebody has not changed over
    /// yet, or their last use was then.
    #[must_use]
    pub fn predecessor_is_still_used(&self) -> bool {
        self.predecessor_usage
            .as_ref()
            .is_some_and(|usage| usage.last_used_at >= self.successor.created_at)
    }
}

impl<S: TokenStore> Issuer<S> {
    /// Replaces a token by a successor of the same name, project, owner, scopes and metadata. Its
    /// plaintext is in the answer and nowhere else. The old token is accepted until the overlap
    /// ends, and not at that instant.
    ///
    /// Of two that rotate a token at once, one succeeds. With an idempotency key, a repeated
    /// request replaces the successor of the first, whose plaintext was lost, and leaves the end
    /// of the overlap as it was; so at most one successor is ever accepted.
    ///
    /// # Errors
    ///
    /// - [`IssuerError::NotFound`] if there is no token of this id that the actor sees.
    /// - [`IssuerError::NotAllowed`] if the token is anything but active: not yet valid, disabled,
    ///   being replaced already, or at its end.
    /// - [`IssuerError::PredecessorInUse`] if it is itself the new token of a rotation whose
    ///   overlap is not over.
    /// - [`IssuerError::OtherPrefix`] if the token has another prefix than the issuer gives.
    /// - [`IssuerError::Exceeds`] if the new token would exceed the actor.
    /// - [`IssuerError::Repeated`] if the first request's token was used, or has ended.
    /// - [`IssuerError::Invalid`] if the overlap is negative, or the expiry not allowed.
    /// - [`IssuerError::ActorNotActive`], [`IssuerError::Random`], [`IssuerError::Store`].
    pub async fn rotate(
        &self,
        id: TokenId,
        actor: &Actor,
        rotate: Rotate,
    ) -> Result<Rotated, IssuerError> {
        if rotate.overlap.is_negative() {
            return Err(FieldError::new("overlap", FieldProblem::Negative).into());
        }
        for _ in 0..ROUNDS {
            let limits = self.shared().limits(Some(actor)).await?;
            let predecessor = self.shared().read_visible(id, &limits).await?;
            if predecessor.prefix != self.shared().prefix {
                return Err(IssuerError::OtherPrefix);
            }
            let attempt = match &rotate.idempotency_key {
                Some(key) => Some(self.attempt(key, &Scope::Rotate { predecessor: id }).await?),
                None => None,
            };
            let now = self.now();
            let version = predecessor.version;
            let plan = match self.plan(predecessor, attempt, &rotate, actor, &limits, now).await {
                // The predecessor and what earlier requests made of it were read one after the
                // other. If it was rotated in between, they do not belong together.
                Err(_) if rotate.idempotency_key.is_some() && self.is_past(id, version).await? => {
                    continue;
                }
                plan => plan?,
            };
            if self.shared().write(&plan.batch).await? {
                return Ok(plan.rotated);
            }
        }
        Err(contended())
    }

    async fn is_past(&self, id: TokenId, version: u32) -> Result<bool, IssuerError> {
        let now = self.shared().read(id).await?;
        Ok(now.is_none_or(|now| now.version != version))
    }

    async fn plan(
        &self,
        mut predecessor: TokenRecord,
        attempt: Option<Attempt>,
        rotate: &Rotate,
        actor: &Actor,
        limits: &Limits,
        now: Timestamp,
    ) -> Result<Plan, IssuerError> {
        let (new_id, lost) = match attempt {
            Some(attempt) => (Some(attempt.id), attempt.lost),
            None => (None, None),
        };
        let state = State::of(&predecessor, now);
        let successor = predecessor.rotation.and_then(|rotation| rotation.successor);
        let is_repeated = lost.as_ref().map(|lost| lost.id) == successor.map(|it| it.id)
            && successor.is_some()
            && state != State::Revoked;
        let overlap_ends_at = match (&lost, successor) {
            (Some(lost), Some(successor)) if is_repeated => {
                let is_same = lost.name == predecessor.name
                    && lost.scopes == predecessor.scopes
                    && lost.metadata == predecessor.metadata;
                self.check_lost(lost, is_same).await?;
                successor.overlap_ends_at
            }
            _ if !state.allows(Operation::Rotate) => {
                return Err(IssuerError::NotAllowed { operation: Operation::Rotate, state });
            }
            _ => {
                self.check_predecessor_is_over(&predecessor, now).await?;
                to_microseconds(after(now, rotate.overlap))
            }
        };
        let expires_at = self.successor_end(&predecessor, rotate.expiry, limits, now)?;
        limits.check_owner(&predecessor.owner)?;
        limits.check(&predecessor.scopes, expires_at)?;

        let token = self.generate(new_id)?;
        let family = predecessor.rotation.map_or(predecessor.id, |rotation| rotation.family);
        let record = TokenRecord {
            created_by: actor.principal().clone(),
            created_through: limits.by.as_ref().and_then(|by| by.token),
            created_at: now,
            not_before: None,
            expires_at,
            rotation: Some(Rotation {
                family,
                predecessor: Some(predecessor.id),
                successor: None,
                retires_predecessor: rotate.retire_on_use,
            }),
            id: token.id(),
            digest: self.digest(&token)?,
            disabled: false,
            version: 1,
            ..predecessor.clone()
        };
        let kind = EventKind::Rotated { successor: record.id, overlap_ends_at };
        let mut events = vec![Event::of(&predecessor, now, limits.by.clone(), kind)];
        predecessor.rotation = Some(Rotation {
            successor: Some(Successor { id: record.id, overlap_ends_at }),
            ..predecessor.rotation.unwrap_or(Rotation {
                family,
                predecessor: None,
                successor: None,
                retires_predecessor: false,
            })
        });
        advance(&mut predecessor)?;
        let mut updates = vec![predecessor.clone()];
        let lost = lost.filter(|_| is_repeated);
        let replaced_id = lost.as_ref().map(|lost| lost.id);
        if let Some(mut lost) = lost {
            let kind = revoke(&mut lost, Some(actor), replaced().as_ref(), now);
            advance(&mut lost)?;
            events.insert(0, Event::of(&lost, now, limits.by.clone(), kind));
            updates.push(lost);
        }
        let batch = WriteBatch {
            inserts: vec![record.clone()],
            updates,
            unchanged: limits.unchanged.clone(),
            events,
        };
        let rotated = Rotated { token, record, predecessor, replaced: replaced_id };
        Ok(Plan { batch, rotated })
    }

    /// At most two tokens of a family are accepted at a time.
    async fn check_predecessor_is_over(
        &self,
        record: &TokenRecord,
        now: Timestamp,
    ) -> Result<(), IssuerError> {
        let Some(id) = record.rotation.and_then(|rotation| rotation.predecessor) else {
            return Ok(());
        };
        match self.shared().read(id).await? {
            Some(predecessor)
                if successor_of(&predecessor).is_some_and(|it| it.id == record.id)
                    && !State::of(&predecessor, now).is_final() =>
            {
                Err(IssuerError::PredecessorInUse { predecessor: id })
            }
            _ => Ok(()),
        }
    }

    /// By default, as long a life as the predecessor was given, from now, but within the policy
    /// and the actor's own.
    fn successor_end(
        &self,
        predecessor: &TokenRecord,
        expiry: Expiry,
        limits: &Limits,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, IssuerError> {
        let policy = &self.policy;
        let lifetime = match (expiry, predecessor.expires_at) {
            (Expiry::Default, Some(end)) => end.duration_since(predecessor.created_at),
            _ => return Ok(policy.resolve(expiry, now, now, limits.ends_at)?),
        };
        let lifetime = policy.max.map_or(lifetime, |max| lifetime.min(max));
        let end = to_microseconds(after(now, lifetime));
        let end = limits.ends_at.map_or(end, |limit| end.min(limit));
        Ok(policy.resolve(Expiry::At(end), now, now, None)?)
    }

    /// Ends the overlap now: the old token, of this id, is refused from here on. Once it is over,
    /// nothing is changed.
    ///
    /// # Errors
    ///
    /// - [`IssuerError::NotFound`] if there is no token of this id that the actor sees.
    /// - [`IssuerError::NotAllowed`] if the token has no successor, or has come to another end.
    /// - [`IssuerError::ActorNotActive`], [`IssuerError::Store`].
    pub async fn finish_rotation(
        &self,
        id: TokenId,
        actor: &Actor,
    ) -> Result<TokenRecord, IssuerError> {
        self.shared().finish_rotation(id, Some(actor), None).await
    }

    /// Revokes the successor, and lets the old token, of this id, go on as if nothing had happened.
    /// Possible until the overlap ends. Look at [`rotation_status`](Self::rotation_status) before:
    /// whoever changed over already is cut off.
    ///
    /// # Errors
    ///
    /// - [`IssuerError::NotFound`] if there is no token of this id that the actor sees.
    /// - [`IssuerError::NotAllowed`] if the token is not being replaced (any more).
    /// - [`IssuerError::Exceeds`] if the old token, which gets its lifetime back, exceeds the
    ///   actor.
    /// - [`IssuerError::ActorNotActive`], [`IssuerError::Store`].
    pub async fn cancel_rotation(
        &self,
        id: TokenId,
        actor: &Actor,
    ) -> Result<TokenRecord, IssuerError> {
        for _ in 0..ROUNDS {
            let limits = self.shared().limits(Some(actor)).await?;
            let (mut record, now) =
                self.shared().read_for(id, Operation::CancelRotation, &limits).await?;
            limits.check(&record.scopes, record.expires_at)?;
            let Some(rotation) = &mut record.rotation else { continue };
            let Some(successor) = rotation.successor.take() else { continue };
            advance(&mut record)?;
            let kind = EventKind::RotationCancelled { successor: successor.id };
            let mut batch = WriteBatch::update(record.clone());
            batch.unchanged.extend(limits.unchanged);
            batch.events.push(Event::of(&record, now, limits.by.clone(), kind));
            let successor = self.shared().read(successor.id).await?;
            if successor.as_ref().and_then(successor_of).is_some() {
                // It was replaced itself, which is possible only after the overlap: by another
                // clock, that is over.
                let (operation, state) = (Operation::CancelRotation, State::RotatedOut);
                return Err(IssuerError::NotAllowed { operation, state });
            }
            if let Some(mut successor) = successor.filter(|it| it.revocation.is_none()) {
                let kind = revoke(&mut successor, Some(actor), None, now);
                advance(&mut successor)?;
                batch.events.push(Event::of(&successor, now, limits.by, kind));
                batch.updates.push(successor);
            }
            if self.shared().write(&batch).await? {
                return Ok(record);
            }
        }
        Err(contended())
    }

    /// How far the rotation of a token has come, given the id of the old or of the new one: so
    /// that people dare to end an overlap. `None` if the token has neither.
    ///
    /// # Errors
    ///
    /// [`IssuerError::NotFound`], [`IssuerError::ActorNotActive`], [`IssuerError::Store`].
    pub async fn rotation_status(
        &self,
        id: TokenId,
        actor: &Actor,
    ) -> Result<Option<RotationStatus>, IssuerError> {
        let limits = self.shared().limits(Some(actor)).await?;
        let record = self.shared().read_visible(id, &limits).await?;
        let Some(rotation) = record.rotation else { return Ok(None) };
        let pair = match (rotation.successor, rotation.predecessor) {
            (Some(successor), _) => {
                self.shared().read(successor.id).await?.map(|successor| (record, successor))
            }
            (None, Some(predecessor)) => {
                self.shared().read(predecessor).await?.map(|predecessor| (predecessor, record))
            }
            (None, None) => None,
        };
        let Some((predecessor, successor)) = pair else { return Ok(None) };
        let Some(link) = successor_of(&predecessor).filter(|link| link.id == successor.id) else {
            return Ok(None); // cancelled
        };
        let pair = [predecessor, successor];
        let mut usages = self.usage(&pair).await?.into_iter().flatten().peekable();
        let [predecessor, successor] = pair;
        let mut usage_of = |id| usages.next_if(|usage: &Usage| usage.id == id);
        Ok(Some(RotationStatus {
            overlap_ends_at: link.overlap_ends_at,
            predecessor_usage: usage_of(predecessor.id),
            successor_usage: usage_of(successor.id),
            predecessor,
            successor,
        }))
    }
}

struct Plan {
    batch: WriteBatch,
    rotated: Rotated,
}

fn successor_of(record: &TokenRecord) -> Option<Successor> {
    record.rotation?.successor
}
