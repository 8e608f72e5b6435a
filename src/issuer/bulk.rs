use core::fmt;

use super::{Issuer, Selection};
use crate::{
    Actor, Event, EventKind, FieldError, IssuerError, PageKey, RevocationReason, TokenId,
    TokenRecord, TokenStore, WriteBatch,
    field::FieldProblem,
    shared::{ROUNDS, advance, contended, revoke},
    transition::State,
};

/// A change to many tokens: made by [`Issuer::revoke_all`] or [`Issuer::disable_all`], and done by
/// [`run`](Self::run).
#[must_use = "nothing is changed before `run`"]
pub struct Bulk<'a, S> {
    issuer: &'a Issuer<S>,
    actor: &'a Actor,
    selection: Selection,
    action: Action,
    changed: u64,
    /// Where to go on, and whether anything was found since the beginning of this reading.
    after: Option<PageKey>,
    has_found: bool,
}

enum Action {
    Revoke(Option<RevocationReason>),
    Disable,
}

impl<S: TokenStore> Issuer<S> {
    /// Begins to revoke all tokens that match, except the one that the actor acts through.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// # use api_tokens::{Actor, Issuer, Keyring, MemoryStore, Selection, Verifier, prefix};
    /// # let verifier = Verifier::new(prefix!("acme_live"), &Keyring::unkeyed(), MemoryStore::new());
    /// # let issuer = Issuer::new(&verifier);
    /// let admin: Actor = "ann".parse()?;
    /// let mut bulk = issuer.revoke_all(
    ///     Selection::of_owner("ben".parse()?), // who left
    ///     &admin,
    ///     Some("left the company".parse()?),
    /// )?;
    /// println!("revoking {} tokens", bulk.dry_run().await?.len());
    /// let revoked = bulk.run().await?;
    /// # Ok::<_, Box<dyn std::error::Error>>(()) }).unwrap();
    /// # Ok::<_, std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`IssuerError::Invalid`] if the selection chooses nothing, and so would mean every token of
    /// every project. For that, say so: `created_before` now.
    pub fn revoke_all<'a>(
        &'a self,
        selection: Selection,
        actor: &'a Actor,
        reason: Option<RevocationReason>,
    ) -> Result<Bulk<'a, S>, IssuerError> {
        Bulk::new(self, selection, actor, Action::Revoke(reason))
    }

    /// Begins to disable all tokens that match, except the one that the actor acts through.
    ///
    /// # Errors
    ///
    /// As [`revoke_all`](Self::revoke_all).
    pub fn disable_all<'a>(
        &'a self,
        selection: Selection,
        actor: &'a Actor,
    ) -> Result<Bulk<'a, S>, IssuerError> {
        Bulk::new(self, selection, actor, Action::Disable)
    }
}

impl<'a, S: TokenStore> Bulk<'a, S> {
    fn new(
        issuer: &'a Issuer<S>,
        mut selection: Selection,
        actor: &'a Actor,
        action: Action,
    ) -> Result<Self, IssuerError> {
        if !selection.is_restricted() {
            return Err(FieldError::new("selection", FieldProblem::NoCriterion).into());
        }
        selection.living = true;
        selection.except.extend(actor.token.as_ref().map(crate::Verified::id));
        let (changed, after, has_found) = (0, None, false);
        Ok(Self { issuer, actor, selection, action, changed, after, has_found })
    }

    /// The ids of the tokens that would be changed now, and changes none.
    ///
    /// # Errors
    ///
    /// [`IssuerError::ActorNotActive`], [`IssuerError::Store`].
    pub async fn dry_run(&self) -> Result<Vec<TokenId>, IssuerError> {
        let mut ids = Vec::new();
        let mut after = None;
        loop {
            let (records, next) =
                self.issuer.select(&self.selection, self.actor, after, BATCH).await?;
            ids.extend(records.iter().filter(|record| self.is_due(record)).map(|record| record.id));
            match next {
                Some(next) => after = Some(next),
                None => return Ok(ids),
            }
        }
    }

    /// Changes all tokens that match, and returns how many that were, with those that earlier
    /// calls changed.
    ///
    /// It reads them again and again until there is none left. So a token that somebody creates
    /// meanwhile is found too, unless they go on after this has returned: first take away what
    /// they create them with.
    ///
    /// # Errors
    ///
    /// [`IssuerError::ActorNotActive`], [`IssuerError::Store`]. Call it again to go on; in another
    /// process, begin again: what is changed already is passed over.
    pub async fn run(&mut self) -> Result<u64, IssuerError> {
        loop {
            let (records, next) =
                self.issuer.select(&self.selection, self.actor, self.after, BATCH).await?;
            let due: Vec<TokenRecord> =
                records.into_iter().filter(|record| self.is_due(record)).collect();
            // Also if somebody ends all of them before this does: by a rotation, whose new token
            // is found by the next reading only.
            self.has_found |= !due.is_empty();
            if !due.is_empty() && !self.change_together(&due).await? {
                // Somebody changed one of them meanwhile.
                for record in &due {
                    self.change_alone(record.id).await?;
                }
            }
            self.after = next;
            if next.is_none() && !core::mem::take(&mut self.has_found) {
                let kind = EventKind::BulkChanged { count: self.changed };
                let by = Some(self.actor.done_by());
                let event = Event::general(self.issuer.now(), by, kind);
                let batch = WriteBatch { events: vec![event], ..WriteBatch::default() };
                self.issuer.shared().write(&batch).await?;
                return Ok(self.changed);
            }
        }
    }

    /// How many tokens were changed so far.
    #[must_use]
    pub fn changed(&self) -> u64 {
        self.changed
    }

    fn is_due(&self, record: &TokenRecord) -> bool {
        match self.action {
            Action::Revoke(_) => true,
            Action::Disable => !record.disabled,
        }
    }

    async fn change_together(&mut self, records: &[TokenRecord]) -> Result<bool, IssuerError> {
        let limits = self.issuer.shared().limits(Some(self.actor)).await?;
        let now = self.issuer.now();
        let mut batch = WriteBatch::default();
        batch.unchanged.extend(limits.unchanged);
        for record in records {
            if State::of(record, now).is_final() {
                return Ok(false); // since it was read
            }
            let mut record = record.clone();
            let kind = match &self.action {
                Action::Revoke(reason) => {
                    revoke(&mut record, Some(self.actor), reason.as_ref(), now)
                }
                Action::Disable => {
                    record.disabled = true;
                    EventKind::Disabled
                }
            };
            advance(&mut record)?;
            batch.events.push(Event::of(&record, now, limits.by.clone(), kind));
            batch.updates.push(record);
        }
        let written = self.issuer.shared().write(&batch).await?;
        if written {
            let changed = u64::try_from(batch.updates.len()).unwrap_or(u64::MAX);
            self.changed = self.changed.saturating_add(changed);
        }
        Ok(written)
    }

    /// For one that somebody else changes at the same time.
    async fn change_alone(&mut self, id: TokenId) -> Result<(), IssuerError> {
        for _ in 0..ROUNDS {
            let Some(record) = self.issuer.shared().read(id).await? else { return Ok(()) };
            let policy = &self.issuer.policy;
            if !self.selection.matches(&record, self.issuer.now(), policy)
                || !self.is_due(&record)
                || self.change_together(&[record]).await?
            {
                return Ok(());
            }
        }
        Err(contended())
    }
}

/// How many tokens are changed in one transaction.
const BATCH: usize = 100;

impl<S> fmt::Debug for Bulk<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bulk")
            .field("selection", &self.selection)
            .field("changed", &self.changed)
            .finish_non_exhaustive()
    }
}
