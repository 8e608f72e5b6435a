use jiff::Timestamp;

use super::{Expiry, Issuer, Revoked};
use crate::{
    Actor, EditedField, EventKind, FieldError, IssuerError, Metadata, RevocationReason, Scopes,
    TokenId, TokenName, TokenRecord, TokenStore, actor::Limits, field::FieldProblem,
    transition::Operation,
};

/// What to change of a token: every field that is set, if its record has the version that is
/// expected.
///
/// ```
/// # use api_tokens::{Actor, Edit, Issuer, IssuerError, MemoryStore, TokenName, TokenRecord};
/// async fn rename(
///     issuer: &Issuer<MemoryStore>,
///     seen: &TokenRecord, // as the person who renames it has seen it
///     name: TokenName,
///     actor: &Actor,
/// ) -> Result<TokenRecord, IssuerError> {
///     let edit =
///         Edit { name: Some(name), expected_version: Some(seen.version), ..Edit::default() };
///     issuer.edit(seen.id, actor, edit).await
/// }
/// ```
#[derive(Debug, Clone, Default)]
pub struct Edit {
    /// The name.
    pub name: Option<TokenName>,
    /// The scopes, all of them.
    pub scopes: Option<Scopes>,
    /// The metadata, all of it.
    pub metadata: Option<Metadata>,
    /// The expiry; [`Expiry::Default`] and [`Expiry::After`] count from now.
    pub expiry: Option<Expiry>,
    /// The version that the record must have, so that nobody else's change is overwritten unseen;
    /// `None` for any.
    pub expected_version: Option<u32>,
}

impl<S: TokenStore> Issuer<S> {
    /// Changes name, scopes, metadata or expiry of a token.
    ///
    /// Anybody may narrow the scopes and shorten the life. To widen, the actor must cover the
    /// scopes that are new and outlive the token; to lengthen, cover all of the token's scopes and
    /// outlive it. No edit lengthens beyond the issuer's policy, counted from the token's creation.
    ///
    /// # Errors
    ///
    /// - [`IssuerError::NotFound`] if there is no token of this id that the actor sees.
    /// - [`IssuerError::NotAllowed`] if the token has come to its end.
    /// - [`IssuerError::Exceeds`] if the token would exceed the actor.
    /// - [`IssuerError::Invalid`] if the new expiry is not in the future, not after `not_before`,
    ///   or not allowed by the policy.
    /// - [`IssuerError::Changed`] if the record does not have the version that was expected.
    /// - [`IssuerError::ActorNotActive`], [`IssuerError::Store`].
    pub async fn edit(
        &self,
        id: TokenId,
        actor: &Actor,
        edit: Edit,
    ) -> Result<TokenRecord, IssuerError> {
        self.shared()
            .change(id, Operation::Edit, Some(actor), |record, limits, now| {
                self.apply(&edit, record, limits, now)
            })
            .await
    }

    fn apply(
        &self,
        edit: &Edit,
        record: &mut TokenRecord,
        limits: &Limits,
        now: Timestamp,
    ) -> Result<EventKind, IssuerError> {
        let Edit { name, scopes, metadata, expiry, expected_version } = edit;
        if expected_version.is_some_and(|expected| expected != record.version) {
            return Err(IssuerError::Changed { version: record.version });
        }
        let mut fields = Vec::new();
        if let Some(name) = name.as_ref().filter(|name| **name != record.name) {
            record.name = name.clone();
            fields.push(EditedField::Name);
        }
        if let Some(metadata) = metadata.as_ref().filter(|new| **new != record.metadata) {
            record.metadata = metadata.clone();
            fields.push(EditedField::Metadata);
        }
        if let Some(expiry) = *expiry {
            let expires_at = self.edited_end(record, expiry, limits, now)?;
            if expires_at != record.expires_at {
                record.expires_at = expires_at;
                fields.push(EditedField::ExpiresAt);
            }
        }
        if let Some(scopes) = scopes.as_ref().filter(|scopes| **scopes != record.scopes) {
            let added = scopes.without(&record.scopes);
            if !added.is_empty() {
                // For as long as the token now lives: what is new must not outlive the actor.
                limits.check(&added, record.ends_at())?;
            }
            record.scopes = scopes.clone();
            fields.push(EditedField::Scopes);
        }
        Ok(EventKind::Edited { fields })
    }

    fn edited_end(
        &self,
        record: &TokenRecord,
        expiry: Expiry,
        limits: &Limits,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, IssuerError> {
        let limit = limits.ends_at;
        let resolved = self.policy.resolve(expiry, record.created_at, now, limit);
        let expires_at = match resolved {
            Ok(end) => end,
            // What shortens is allowed even if it does not reach the policy.
            Err(error) => match expiry {
                Expiry::At(end) if end > now && !lengthens(Some(end), record.expires_at) => {
                    Some(end)
                }
                _ => return Err(error.into()),
            },
        };
        if record.not_before.is_some_and(|start| expires_at.is_some_and(|end| end <= start)) {
            return Err(FieldError::new("expires_at", FieldProblem::NeverValid).into());
        }
        if lengthens(expires_at, record.expires_at) {
            limits.check(&record.scopes, expires_at)?;
        }
        Ok(expires_at)
    }

    /// Switches a token off until [`enable`](Self::enable). When this returns, the verifier that
    /// this issuer was made from refuses it, and so does every other on this store; one with a
    /// `Cache`, within its `max_staleness`.
    ///
    /// # Errors
    ///
    /// - [`IssuerError::NotFound`] if there is no token of this id that the actor sees.
    /// - [`IssuerError::NotAllowed`] if the token has come to its end.
    /// - [`IssuerError::ActorNotActive`], [`IssuerError::Store`].
    pub async fn disable(&self, id: TokenId, actor: &Actor) -> Result<TokenRecord, IssuerError> {
        self.shared()
            .change(id, Operation::Disable, Some(actor), |record, _, _| {
                record.disabled = true;
                Ok(EventKind::Disabled)
            })
            .await
    }

    /// Switches a token on again.
    ///
    /// # Errors
    ///
    /// As [`disable`](Self::disable), and [`IssuerError::Exceeds`] if the token exceeds the actor.
    pub async fn enable(&self, id: TokenId, actor: &Actor) -> Result<TokenRecord, IssuerError> {
        self.shared()
            .change(id, Operation::Enable, Some(actor), |record, limits, _| {
                if record.disabled {
                    limits.check(&record.scopes, record.ends_at())?;
                }
                record.disabled = false;
                Ok(EventKind::Enabled)
            })
            .await
    }

    /// Revokes a token, for good. When this returns, the verifier that this issuer was made from
    /// refuses it, and so does every other on this store; one with a `Cache`, within its
    /// `max_staleness`.
    ///
    /// Revoking a revoked token changes nothing: who did it first, when and why stays on record.
    ///
    /// # Errors
    ///
    /// - [`IssuerError::NotFound`] if there is no token of this id that the actor sees.
    /// - [`IssuerError::Store`] if the store fails: the token may be revoked or not; try again.
    /// - [`IssuerError::ActorNotActive`].
    pub async fn revoke(
        &self,
        id: TokenId,
        actor: &Actor,
        reason: Option<RevocationReason>,
    ) -> Result<Revoked, IssuerError> {
        let record = self.shared().revoke(id, Some(actor), reason.as_ref()).await?;
        Ok(Revoked {
            record,
            #[cfg(feature = "cache")]
            effective_at: tokio::time::Instant::now() + self.shared().max_staleness(),
        })
    }

    /// Revokes a token and all that it was rotated from and to, also if it is rotated meanwhile.
    /// Returns how many were not revoked before.
    ///
    /// # Errors
    ///
    /// As [`revoke`](Self::revoke). Calling it again goes on.
    pub async fn revoke_family(
        &self,
        id: TokenId,
        actor: &Actor,
        reason: Option<RevocationReason>,
    ) -> Result<u64, IssuerError> {
        self.shared().revoke_family(id, Some(actor), reason.as_ref()).await
    }
}

fn lengthens(new: Option<Timestamp>, old: Option<Timestamp>) -> bool {
    match (new, old) {
        (_, None) => false,
        (None, Some(_)) => true,
        (Some(new), Some(old)) => new > old,
    }
}
