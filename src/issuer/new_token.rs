use jiff::Timestamp;

use super::Expiry;
use crate::{
    Actor, FieldError, IdempotencyKey, Metadata, Prefix, Principal, Project, Scopes, TokenDigest,
    TokenId, TokenName, TokenRecord, clock::to_microseconds, field::FieldProblem,
};

/// What to create.
///
/// # Defaults
///
/// - `scopes`: none, so that every request that needs one is refused
/// - `metadata`: none
/// - `not_before`: valid at once
/// - `expiry`: as the issuer's policy has it
/// - `idempotency_key`: none
#[derive(Debug, Clone)]
pub struct NewToken {
    /// The project (tenant) the token belongs to.
    pub project: Project,
    /// Who the token acts for.
    pub owner: Principal,
    /// What people call it.
    pub name: TokenName,
    /// What it may do.
    pub scopes: Scopes,
    /// Texts of the host's own.
    pub metadata: Metadata,
    /// The first instant at which it is accepted. Kept to the microsecond.
    pub not_before: Option<Timestamp>,
    /// When it comes to its end.
    pub expiry: Expiry,
    /// Names the request: see [`Issuer::create`](crate::Issuer::create).
    pub idempotency_key: Option<IdempotencyKey>,
}

impl NewToken {
    /// A token with the defaults.
    #[must_use]
    pub fn new(project: Project, owner: Principal, name: TokenName) -> Self {
        Self {
            project,
            owner,
            name,
            scopes: Scopes::default(),
            metadata: Metadata::default(),
            not_before: None,
            expiry: Expiry::default(),
            idempotency_key: None,
        }
    }

    /// The same with these scopes.
    #[must_use]
    pub fn with_scopes(self, scopes: Scopes) -> Self {
        Self { scopes, ..self }
    }

    /// The same with this expiry.
    #[must_use]
    pub fn with_expiry(self, expiry: Expiry) -> Self {
        Self { expiry, ..self }
    }

    /// The record of a token of this kind that is made at `now`.
    pub(super) fn record(
        &self,
        id: TokenId,
        digest: TokenDigest,
        made: Made<'_>,
    ) -> Result<TokenRecord, FieldError> {
        let not_before = self.not_before.map(to_microseconds);
        let Made { prefix, actor, through, now, expires_at } = made;
        if let (Some(start), Some(end)) = (not_before, expires_at)
            && end <= start
        {
            return Err(FieldError::new("expires_at", FieldProblem::NeverValid));
        }
        Ok(TokenRecord {
            id,
            prefix,
            digest,
            project: self.project.clone(),
            name: self.name.clone(),
            owner: self.owner.clone(),
            created_by: actor.principal().clone(),
            created_through: through,
            scopes: self.scopes.clone(),
            metadata: self.metadata.clone(),
            created_at: now,
            not_before,
            expires_at,
            disabled: false,
            revocation: None,
            rotation: None,
            version: 1,
        })
    }

    /// Whether a request for this could have made that record.
    pub(super) fn is_of(&self, record: &TokenRecord) -> bool {
        self.owner == record.owner
            && self.name == record.name
            && self.scopes == record.scopes
            && self.metadata == record.metadata
            && self.not_before.map(to_microseconds) == record.not_before
            && match self.expiry {
                Expiry::At(end) => record.expires_at == Some(to_microseconds(end)),
                Expiry::Never => record.expires_at.is_none(),
                // These depend on when they were asked for.
                Expiry::Default | Expiry::After(_) => true,
            }
    }
}

/// The circumstances in which a record is made.
#[derive(Clone, Copy)]
pub(super) struct Made<'a> {
    pub(super) prefix: Prefix,
    pub(super) actor: &'a Actor,
    pub(super) through: Option<TokenId>,
    pub(super) now: Timestamp,
    pub(super) expires_at: Option<Timestamp>,
}
