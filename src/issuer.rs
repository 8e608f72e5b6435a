use core::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use rand::{TryCryptoRng, rngs::SysRng};

use crate::{
    FieldError, ListFilter, Metadata, PageKey, ParsedToken, Principal, Project, Revocation,
    RevocationReason, Scopes, Status, StoreError, StoreErrorKind, Token, TokenId, TokenName,
    TokenRecord, TokenStore, Verifier, clock::to_microseconds, field::FieldProblem,
};

/// Creates, lists and revokes tokens.
///
/// An issuer is made from a [`Verifier`] and shares its prefix, keys, store and clock: what it
/// revokes, that verifier refuses at once. A clone is cheap and shares everything.
///
/// **None of the methods asks whether the caller may do this**: the host knows its people. Check
/// that a token belongs to a project of theirs before acting on an id that came from them, and
/// set [`ListQuery::project`], or the tokens of all projects are listed. A store may serve several
/// prefixes: all methods but [`create`](Self::create) see the tokens of each.
///
/// ```
/// # use api_tokens::{Issuer, IssuerError, MemoryStore, Principal, Project, TokenId};
/// async fn revoke(
///     issuer: &Issuer<MemoryStore>,
///     id: TokenId,        // from the URL
///     person: Principal,  // who is signed in
///     projects: &[Project], // that they may manage
/// ) -> Result<(), IssuerError> {
///     let record = issuer.get(id).await?.ok_or(IssuerError::NotFound)?;
///     if !projects.contains(&record.project) {
///         return Err(IssuerError::NotFound); // as if it were not there
///     }
///     issuer.revoke(id, person, None).await?;
///     Ok(())
/// }
/// ```
///
/// # Defaults
///
/// - randomness: the system's generator, [`SysRng`]
pub struct Issuer<S> {
    verifier: Verifier<S>,
    generate: Arc<Mutex<Generate>>,
}

type Generate = dyn FnMut(&crate::Prefix) -> Result<Token, IssuerError> + Send;

impl<S: TokenStore> Issuer<S> {
    /// An issuer of the tokens that `verifier` verifies.
    #[must_use]
    pub fn new(verifier: &Verifier<S>) -> Self {
        Self::with_rng(verifier, SysRng)
    }

    /// Like [`new`](Self::new), with another random number generator than the system's.
    #[must_use]
    pub fn with_rng<R>(verifier: &Verifier<S>, mut rng: R) -> Self
    where
        R: TryCryptoRng + Send + 'static,
    {
        let generate = move |prefix: &crate::Prefix| {
            Token::generate(prefix, &mut rng).map_err(|_| IssuerError::Random)
        };
        Self { verifier: verifier.clone(), generate: Arc::new(Mutex::new(generate)) }
    }

    /// Creates a token. Its plaintext is in the answer and nowhere else: show it once.
    ///
    /// # Errors
    ///
    /// - [`IssuerError::Invalid`] if `expires_at` is not after now and `not_before`.
    /// - [`IssuerError::Random`] if the random number generator fails.
    /// - [`IssuerError::Store`] if the store fails. Should the record have been stored all the
    ///   same, nobody has its secret; it shows in lists and can be revoked.
    pub async fn create(&self, new: NewToken) -> Result<Created, IssuerError> {
        let now = self.now();
        new.check(now)?;
        let token = self.generate()?;
        let shared = &self.verifier.shared;
        // What was just written is always read.
        let parsed = ParsedToken::parse(&shared.prefix, token.expose_secret().as_bytes())
            .map_err(|_| IssuerError::Random)?;
        let record = TokenRecord {
            id: token.id(),
            prefix: shared.prefix,
            digest: shared.digester.digest(&parsed),
            project: new.project,
            name: new.name,
            created_by: new.created_by.unwrap_or_else(|| new.owner.clone()),
            owner: new.owner,
            scopes: new.scopes,
            metadata: new.metadata,
            created_at: now,
            not_before: new.not_before.map(to_microseconds),
            expires_at: new.expires_at.map(to_microseconds),
            disabled: false,
            revocation: None,
            rotation: None,
            version: 1,
        };
        shared.store.insert(&record).await?;
        Ok(Created { token, record })
    }

    /// Reads one record; `None` if there is no token of this id.
    ///
    /// # Errors
    ///
    /// [`IssuerError::Store`] if the store fails.
    pub async fn get(&self, id: TokenId) -> Result<Option<TokenRecord>, IssuerError> {
        let found = self.verifier.shared.store.find(&id).await?;
        Ok(found.map(|found| Arc::unwrap_or_clone(found.record)))
    }

    /// Reads one page of the records that match `query`, the newest first.
    ///
    /// Project and owner are looked up by index. Status and name are decided here, record by
    /// record, so a rare one costs reading the records that do not match.
    ///
    /// # Errors
    ///
    /// [`IssuerError::Store`] if the store fails.
    pub async fn list(&self, query: &ListQuery) -> Result<Page, IssuerError> {
        let now = self.now();
        let limit = query.limit.clamp(1, ListQuery::MAX_LIMIT);
        let filter = ListFilter { project: query.project.clone(), owner: query.owner.clone() };
        let name = query.name_contains.as_ref().map(|name| name.to_lowercase());
        let matches = |record: &TokenRecord| {
            query.status.is_none_or(|status| record.status(now) == status)
                && name
                    .as_ref()
                    .is_none_or(|name| record.name.as_str().to_lowercase().contains(name.as_str()))
        };
        let selective = query.status.is_some() || name.is_some();
        // One more than asked for tells whether there is a next page.
        let batch = if selective { ListQuery::MAX_LIMIT } else { limit.saturating_add(1) };
        let mut records: Vec<TokenRecord> = Vec::new();
        let mut after = query.after;
        loop {
            let read = self.verifier.shared.store.list(&filter, after.as_ref(), batch).await?;
            let complete = read.len() < batch;
            after = read.last().map(PageKey::of);
            records.extend(read.into_iter().filter(matches));
            if records.len() > limit {
                records.truncate(limit);
                let next = records.last().map(PageKey::of);
                return Ok(Page { records, next });
            }
            if complete {
                return Ok(Page { records, next: None });
            }
        }
    }

    /// Revokes a token, for good. When this returns, every [`Verifier`] on this store refuses it.
    ///
    /// Revoking a revoked token changes nothing: who did it first, when and why stays on record.
    ///
    /// # Errors
    ///
    /// - [`IssuerError::NotFound`] if there is no token of this id.
    /// - [`IssuerError::Store`] if the store fails: the token may be revoked or not; try again.
    pub async fn revoke(
        &self,
        id: TokenId,
        by: Principal,
        reason: Option<RevocationReason>,
    ) -> Result<Revoked, IssuerError> {
        let revocation = Revocation { at: self.now(), by, reason };
        let record = self
            .change(id, |record| {
                let change = record.revocation.is_none();
                if change {
                    record.revocation = Some(revocation.clone());
                }
                change
            })
            .await?;
        Ok(Revoked { record })
    }

    /// Deletes the records of tokens that have been dead since before `ended_before`: revoked,
    /// rotated out or expired. Returns how many. An instant that lies ahead counts as now.
    ///
    /// Works in batches, so it may run beside everything else. Whoever presents such a token
    /// afterwards is told what a stranger would be told.
    ///
    /// # Errors
    ///
    /// [`IssuerError::Store`] if the store fails; the batches before are deleted.
    pub async fn prune(&self, ended_before: Timestamp) -> Result<usize, IssuerError> {
        const BATCH: usize = 1000;
        // What will have ended some day is still alive.
        let dead_before = ended_before.min(self.now());
        let mut total: usize = 0;
        loop {
            let pruned = self.verifier.shared.store.prune(dead_before, BATCH).await?;
            total = total.saturating_add(pruned);
            if pruned < BATCH {
                return Ok(total);
            }
        }
    }

    /// Applies `change` to the newest version of a record, again if somebody else was faster;
    /// `change` says whether there is anything to store.
    async fn change(
        &self,
        id: TokenId,
        change: impl Fn(&mut TokenRecord) -> bool,
    ) -> Result<TokenRecord, IssuerError> {
        // Each round that is lost is a change that somebody else made; so many in a row do not
        // happen.
        const ROUNDS: u32 = 100;
        let mut round: u32 = 1;
        loop {
            let mut record = self.get(id).await?.ok_or(IssuerError::NotFound)?;
            if !change(&mut record) {
                return Ok(record);
            }
            record.version = record.version.checked_add(1).ok_or_else(|| {
                StoreError::new(StoreErrorKind::Other, "a record's version is at its end")
            })?;
            match self.verifier.shared.store.update(&record).await {
                Ok(()) => return Ok(record),
                Err(error) if error.kind() == StoreErrorKind::Conflict && round < ROUNDS => {
                    round = round.saturating_add(1);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn generate(&self) -> Result<Token, IssuerError> {
        let mut generate = self.generate.lock().unwrap_or_else(PoisonError::into_inner);
        generate(&self.verifier.shared.prefix)
    }

    fn now(&self) -> Timestamp {
        to_microseconds(self.verifier.shared.clock.now())
    }
}

impl<S> Clone for Issuer<S> {
    fn clone(&self) -> Self {
        Self { verifier: self.verifier.clone(), generate: Arc::clone(&self.generate) }
    }
}

impl<S> fmt::Debug for Issuer<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issuer").field("verifier", &self.verifier).finish_non_exhaustive()
    }
}

/// What to create.
///
/// # Defaults
///
/// - `created_by`: the owner
/// - `scopes`: none, so that every request that needs one is refused
/// - `metadata`: none
/// - `not_before`, `expires_at`: valid at once, for ever
#[derive(Debug, Clone)]
pub struct NewToken {
    /// The project (tenant) the token belongs to.
    pub project: Project,
    /// Who the token acts for.
    pub owner: Principal,
    /// What people call it.
    pub name: TokenName,
    /// Who creates it, if not the owner.
    pub created_by: Option<Principal>,
    /// What it may do.
    pub scopes: Scopes,
    /// Texts of the host's own.
    pub metadata: Metadata,
    /// The first instant at which it is accepted. Kept to the microsecond.
    pub not_before: Option<Timestamp>,
    /// The first instant at which it is no longer accepted. Kept to the microsecond.
    pub expires_at: Option<Timestamp>,
}

impl NewToken {
    /// A token with the defaults.
    #[must_use]
    pub fn new(project: Project, owner: Principal, name: TokenName) -> Self {
        Self {
            project,
            owner,
            name,
            created_by: None,
            scopes: Scopes::default(),
            metadata: Metadata::default(),
            not_before: None,
            expires_at: None,
        }
    }

    /// The same with these scopes.
    #[must_use]
    pub fn with_scopes(self, scopes: Scopes) -> Self {
        Self { scopes, ..self }
    }

    fn check(&self, now: Timestamp) -> Result<(), FieldError> {
        let Some(expires_at) = self.expires_at.map(to_microseconds) else { return Ok(()) };
        let problem = if expires_at <= now {
            FieldProblem::Past
        } else if self.not_before.is_some_and(|start| expires_at <= to_microseconds(start)) {
            FieldProblem::NeverValid
        } else {
            return Ok(());
        };
        Err(FieldError::new("expires_at", problem))
    }
}

/// A new token: its plaintext, which exists here only, and its record.
#[derive(Debug)]
#[non_exhaustive]
pub struct Created {
    /// The plaintext, to be shown once.
    pub token: Token,
    /// What was stored.
    pub record: TokenRecord,
}

/// A revocation that is stored.
#[derive(Debug)]
#[non_exhaustive]
pub struct Revoked {
    /// The record as it now is.
    pub record: TokenRecord,
}

/// Which records [`Issuer::list`] returns: those that match every field that is set.
#[derive(Debug, Clone)]
pub struct ListQuery {
    /// Only tokens of this project.
    pub project: Option<Project>,
    /// Only tokens that act for this owner.
    pub owner: Option<Principal>,
    /// Only tokens that now have this status.
    pub status: Option<Status>,
    /// Only tokens whose name contains this text, in upper or lower case.
    pub name_contains: Option<String>,
    /// Only tokens after this place: the `next` of the page before.
    pub after: Option<PageKey>,
    /// At most so many, from 1 to [`ListQuery::MAX_LIMIT`]; a number outside is clamped.
    /// 100 by default.
    pub limit: usize,
}

impl ListQuery {
    /// The greatest number of records on a page.
    pub const MAX_LIMIT: usize = 1000;
}

impl Default for ListQuery {
    fn default() -> Self {
        Self {
            project: None,
            owner: None,
            status: None,
            name_contains: None,
            after: None,
            limit: 100,
        }
    }
}

/// Some records, the newest first.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Page {
    /// The records.
    pub records: Vec<TokenRecord>,
    /// Where the next page begins; `None` on the last one.
    pub next: Option<PageKey>,
}

/// Why an [`Issuer`] did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IssuerError {
    /// A field was refused.
    #[error(transparent)]
    Invalid(#[from] FieldError),
    /// There is no token of this id.
    #[error("there is no such token")]
    NotFound,
    /// The random number generator failed.
    #[error("the random number generator failed")]
    Random,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
