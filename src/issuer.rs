//! Everything that changes tokens.

mod bulk;
mod change;
mod import;
mod keys;
mod lifetime;
mod new_token;
mod repeat;
mod rotation;
mod selection;

use core::fmt;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use jiff::Timestamp;
use rand::{TryCryptoRng, rngs::SysRng};

use crate::{
    Actor, Event, EventKind, EventNumber, IssuerError, NumberedEvent, PageKey, ParsedToken, Prefix,
    Token, TokenDigest, TokenId, TokenRecord, TokenStore, Usage, Verifier, WriteBatch,
    actor::Limits,
    error::Limit,
    shared::{ROUNDS, Shared, advance, contended, revoke},
};

pub use bulk::Bulk;
pub use change::Edit;
pub use import::Import;
pub use keys::KeyCount;
pub use lifetime::{Expiry, LifetimePolicy};
pub use new_token::NewToken;
pub use rotation::{Rotate, Rotated, RotationStatus};
pub use selection::Selection;

use self::{
    new_token::Made,
    repeat::{Scope, replaced},
};

/// Creates, lists, rotates, edits and revokes tokens.
///
/// An issuer is made from a [`Verifier`] and shares its prefix, keys, store and clock: what it
/// revokes, that verifier refuses at once. A clone is cheap and shares everything.
/// [`State`](crate::State) draws what may happen to a token when.
///
/// **Who may do what.** Every method that concerns single tokens takes the [`Actor`] who asks for
/// it; [`prune`](Self::prune), [`key_counts`](Self::key_counts) and
/// [`retire_key`](Self::retire_key) are the operator's. An actor that is a token never goes beyond
/// it. A person may do everything, unless the host limits them: only the host knows its people.
/// [`Actor::in_project`] makes the tokens of all other projects invisible. A store may serve
/// several prefixes: all methods but [`create`](Self::create) and [`rotate`](Self::rotate) see the
/// tokens of each, if it is not a token that acts, which sees those of its own prefix.
///
/// ```
/// # use api_tokens::{Actor, Issuer, IssuerError, MemoryStore, Principal, Project, TokenId};
/// async fn revoke(
///     issuer: &Issuer<MemoryStore>,
///     id: TokenId,       // from the URL
///     project: Project,  // from the URL, and the person may manage it
///     person: Principal, // who is signed in
/// ) -> Result<(), IssuerError> {
///     let actor = Actor::from(person).in_project(project);
///     issuer.revoke(id, &actor, None).await?; // not found if it is another project's
///     Ok(())
/// }
/// ```
///
/// # Defaults
///
/// - randomness: the system's generator, [`SysRng`]
/// - lifetimes: those of [`LifetimePolicy`]
pub struct Issuer<S> {
    verifier: Verifier<S>,
    generate: Arc<Mutex<Generate>>,
    policy: LifetimePolicy,
}

/// Draws a token, of an id that is given or drawn as well.
type Generate = dyn FnMut(&Prefix, Option<TokenId>) -> Result<Token, IssuerError> + Send;

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
        let generate = move |prefix: &Prefix, id: Option<TokenId>| {
            match id {
                Some(id) => Token::generate_with_id(id, prefix, &mut rng),
                None => Token::generate(prefix, &mut rng),
            }
            .map_err(|_| IssuerError::Random)
        };
        Self {
            verifier: verifier.clone(),
            generate: Arc::new(Mutex::new(generate)),
            policy: LifetimePolicy::default(),
        }
    }

    /// How long tokens may live.
    #[must_use]
    pub fn policy(&self) -> LifetimePolicy {
        self.policy
    }

    /// The same with this policy.
    #[must_use]
    pub fn with_policy(self, policy: LifetimePolicy) -> Self {
        Self { policy, ..self }
    }

    /// Creates a token. Its plaintext is in the answer and nowhere else: show it once.
    ///
    /// With an idempotency key, a request that is repeated because its answer was lost never
    /// leaves two tokens: the first one is revoked and replaced, unless it has been used, was
    /// changed, or is not what is asked for now. That it was used on another node is known once
    /// that node's background has written it, as a rule within a second; without a background,
    /// every token counts as used. The key counts for this prefix, project and actor, for 15
    /// repetitions, and for as long as the records are not all pruned.
    ///
    /// # Errors
    ///
    /// - [`IssuerError::Invalid`] if the expiry is not after now and `not_before`, or not allowed
    ///   by the [`LifetimePolicy`].
    /// - [`IssuerError::Exceeds`] if the token would exceed the actor.
    /// - [`IssuerError::Repeated`] if the first request's token must stay.
    /// - [`IssuerError::ActorNotActive`].
    /// - [`IssuerError::Random`] if the random number generator fails.
    /// - [`IssuerError::Store`] if the store fails. Should the record have been stored all the
    ///   same, nobody has its secret; it shows in lists and can be revoked.
    pub async fn create(&self, new: NewToken, actor: &Actor) -> Result<Created, IssuerError> {
        for _ in 0..ROUNDS {
            let limits = self.shared().limits(Some(actor)).await?;
            let now = self.now();
            let (token, record, lost) = self.plan_creation(&new, actor, &limits, now).await?;
            let mut batch = WriteBatch::insert(record.clone());
            batch.unchanged.extend(limits.unchanged);
            let replaced_id = lost.as_ref().map(|lost| lost.id);
            if let Some(mut lost) = lost {
                let kind = revoke(&mut lost, Some(actor), replaced().as_ref(), now);
                advance(&mut lost)?;
                batch.events.push(Event::of(&lost, now, limits.by.clone(), kind));
                batch.updates.push(lost);
            }
            batch.events.push(Event::of(&record, now, limits.by, EventKind::Created));
            if self.shared().write(&batch).await? {
                return Ok(Created { token, record, replaced: replaced_id });
            }
        }
        Err(contended())
    }

    async fn plan_creation(
        &self,
        new: &NewToken,
        actor: &Actor,
        limits: &Limits,
        now: Timestamp,
    ) -> Result<(Token, TokenRecord, Option<TokenRecord>), IssuerError> {
        if !limits.acts_in(&new.project) {
            return Err(IssuerError::Exceeds(Limit::Project));
        }
        let expires_at = self.policy.resolve(new.expiry, now, now, limits.ends_at)?;
        limits.check_owner(&new.owner)?;
        limits.check(&new.scopes, expires_at)?;
        let attempt = match (&new.idempotency_key, &limits.by) {
            (Some(key), Some(by)) => {
                let (prefix, project) = (&self.shared().prefix, &new.project);
                Some(self.attempt(key, &Scope::Create { prefix, project, by }).await?)
            }
            _ => None,
        };
        let token = self.generate(attempt.as_ref().map(|attempt| attempt.id))?;
        let digest = self.digest(&token)?;
        let through = limits.by.as_ref().and_then(|by| by.token);
        let made = Made { prefix: self.shared().prefix, actor, through, now, expires_at };
        let record = new.record(token.id(), digest, made)?;
        let lost = attempt.and_then(|attempt| attempt.lost);
        if let Some(lost) = &lost {
            self.check_lost(lost, new.is_of(lost)).await?;
        }
        Ok((token, record, lost))
    }

    /// Reads one record; `None` if there is no token of this id that the actor sees.
    ///
    /// # Errors
    ///
    /// [`IssuerError::ActorNotActive`], [`IssuerError::Store`].
    pub async fn get(
        &self,
        id: TokenId,
        actor: &Actor,
    ) -> Result<Option<TokenRecord>, IssuerError> {
        let limits = self.shared().limits(Some(actor)).await?;
        match self.shared().read_visible(id, &limits).await {
            Ok(record) => Ok(Some(record)),
            Err(IssuerError::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads one page of the records that match and that the actor sees, the newest first: up to
    /// `limit`, from 1 to [`Page::MAX_LIMIT`] (a number outside is clamped), after the place
    /// `after`, which is the `next` of the page before.
    ///
    /// # Errors
    ///
    /// [`IssuerError::ActorNotActive`], [`IssuerError::Store`].
    pub async fn list(
        &self,
        selection: &Selection,
        actor: &Actor,
        after: Option<PageKey>,
        limit: usize,
    ) -> Result<Page, IssuerError> {
        let limit = limit.clamp(1, Page::MAX_LIMIT);
        let (records, next) = self.select(selection, actor, after, limit).await?;
        Ok(Page { records, next })
    }

    async fn select(
        &self,
        selection: &Selection,
        actor: &Actor,
        mut after: Option<PageKey>,
        limit: usize,
    ) -> Result<(Vec<TokenRecord>, Option<PageKey>), IssuerError> {
        let limits = self.shared().limits(Some(actor)).await?;
        let now = self.now();
        let filter = selection.filter(limits.project());
        // One more than asked for tells whether there is a next page. Where many do not match, it
        // goes on in greater steps.
        let mut batch = limit.saturating_add(1);
        let mut records: Vec<TokenRecord> = Vec::new();
        loop {
            let mut read = self.shared().store.list(&filter, after.as_ref(), batch).await?;
            let complete = read.len() < batch;
            after = read.last().map(PageKey::of);
            read.retain(|record| {
                limits.sees(record) && selection.matches(record, now, &self.policy)
            });
            if selection.depends_on_usage() {
                let mut usages = self.usage(&read).await?.into_iter();
                read.retain(|record| selection.matches_usage(record, usages.next().flatten()));
            }
            records.extend(read);
            if records.len() > limit {
                records.truncate(limit);
                let next = records.last().map(PageKey::of);
                return Ok((records, next));
            }
            if complete {
                return Ok((records, None));
            }
            batch = Page::MAX_LIMIT;
        }
    }

    /// When and from where these tokens were last used, in their order; `None` for never. As the
    /// store has it, or as it is known on this node and not yet written.
    ///
    /// # Errors
    ///
    /// [`IssuerError::Store`].
    pub async fn usage(&self, records: &[TokenRecord]) -> Result<Vec<Option<Usage>>, IssuerError> {
        let ids: Vec<TokenId> = records.iter().map(|record| record.id).collect();
        let stored = self.shared().store.usage(&ids).await?;
        let stored: HashMap<TokenId, Usage> =
            stored.into_iter().map(|usage| (usage.id, usage)).collect();
        let pending = self.shared().pending.as_ref();
        let latest = |id: &TokenId| {
            let known = pending.and_then(|pending| pending.usage.usage(*id));
            let both = stored.get(id).cloned().into_iter().chain(known);
            both.max_by_key(|usage| usage.last_used_at)
        };
        Ok(ids.iter().map(latest).collect())
    }

    /// Reads up to `limit` events of one token, the newest first, before the number `before`.
    ///
    /// # Errors
    ///
    /// - [`IssuerError::NotFound`] if there is no token of this id that the actor sees.
    /// - [`IssuerError::ActorNotActive`], [`IssuerError::Store`].
    pub async fn events(
        &self,
        id: TokenId,
        actor: &Actor,
        before: Option<EventNumber>,
        limit: usize,
    ) -> Result<Vec<NumberedEvent>, IssuerError> {
        let limits = self.shared().limits(Some(actor)).await?;
        self.shared().read_visible(id, &limits).await?;
        Ok(self.shared().store.events(&id, before, limit.clamp(1, Page::MAX_LIMIT)).await?)
    }

    /// Deletes the records of tokens that have been dead since before `ended_before`: revoked,
    /// rotated out or expired. Returns how many. An instant that lies ahead counts as now. Their
    /// events stay.
    ///
    /// Works in batches, so it may run beside everything else. Whoever presents such a token
    /// afterwards is told what a stranger would be told, and the reuse of a replaced one is not
    /// noticed any more.
    ///
    /// # Errors
    ///
    /// [`IssuerError::Store`] if the store fails; the batches before are deleted.
    pub async fn prune(&self, ended_before: Timestamp) -> Result<u64, IssuerError> {
        const BATCH: usize = 1000;
        // What will have ended some day is still alive.
        let dead_before = ended_before.min(self.now());
        let mut count: u64 = 0;
        loop {
            let pruned = self.shared().store.prune(dead_before, BATCH).await?;
            count = count.saturating_add(u64::try_from(pruned).unwrap_or(u64::MAX));
            if pruned < BATCH {
                break;
            }
        }
        if count > 0 {
            let event = Event::general(self.now(), None, EventKind::Pruned { count });
            self.shared()
                .write(&WriteBatch { events: vec![event], ..WriteBatch::default() })
                .await?;
        }
        Ok(count)
    }

    #[cfg(any(feature = "management", feature = "reports"))]
    pub(crate) fn verifier(&self) -> &Verifier<S> {
        &self.verifier
    }

    #[cfg(feature = "management")]
    pub(crate) async fn usage_of_one(
        &self,
        record: &TokenRecord,
    ) -> Result<Option<Usage>, IssuerError> {
        Ok(self.usage(core::slice::from_ref(record)).await?.pop().flatten())
    }

    /// Whether this node notes when tokens are used.
    #[cfg(feature = "management")]
    pub(crate) fn notes_usage(&self) -> bool {
        self.shared().pending.is_some()
    }

    /// An id that no token has, by the same generator.
    #[cfg(feature = "management")]
    pub(crate) fn random_id(&self) -> Result<TokenId, IssuerError> {
        Ok(self.generate(None)?.id())
    }

    #[cfg(feature = "management")]
    pub(crate) fn prefix(&self) -> &Prefix {
        &self.shared().prefix
    }

    fn shared(&self) -> &Shared<S> {
        &self.verifier.shared
    }

    fn generate(&self, id: Option<TokenId>) -> Result<Token, IssuerError> {
        let mut generate = self.generate.lock().unwrap_or_else(PoisonError::into_inner);
        generate(&self.shared().prefix, id)
    }

    fn digest(&self, token: &Token) -> Result<TokenDigest, IssuerError> {
        // What was just written is always read.
        let parsed = ParsedToken::parse(&self.shared().prefix, token.expose_secret().as_bytes())
            .map_err(|_| IssuerError::Random)?;
        Ok(self.shared().digester.load().digest(&parsed))
    }

    /// The present instant, by the verifier's clock: for [`TokenRecord::status`] and
    /// [`State::of`](crate::State::of).
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.shared().now()
    }
}

impl<S> Clone for Issuer<S> {
    fn clone(&self) -> Self {
        let Self { verifier, generate, policy } = self;
        Self { verifier: verifier.clone(), generate: Arc::clone(generate), policy: *policy }
    }
}

impl<S> fmt::Debug for Issuer<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issuer")
            .field("verifier", &self.verifier)
            .field("policy", &self.policy)
            .finish_non_exhaustive()
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
    /// The token that the same request made before, if it was repeated: it is revoked now.
    pub replaced: Option<TokenId>,
}

/// A revocation that is stored.
#[derive(Debug)]
#[non_exhaustive]
pub struct Revoked {
    /// The record as it now is.
    pub record: TokenRecord,
    #[cfg(feature = "cache")]
    pub(crate) effective_at: tokio::time::Instant,
}

#[cfg(feature = "cache")]
impl Revoked {
    /// Waits until no node accepts the token any more, whatever fails: until the
    /// [`max_staleness`](crate::Cache::max_staleness) of the verifier that this issuer was made
    /// from has passed since the revocation. All nodes should have the same.
    ///
    /// The others usually refuse it much sooner. Needs tokio with its timer.
    pub async fn effective_everywhere(&self) {
        tokio::time::sleep_until(self.effective_at).await;
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

impl Page {
    /// A number of records that fits most pages.
    pub const DEFAULT_LIMIT: usize = 100;
    /// The greatest number of records on a page.
    pub const MAX_LIMIT: usize = 1000;
}
