//! Reports of leaked tokens: what GitHub, GitLab and whoever finds one tell, and what is done about
//! it.
//!
//! [`Reports`] has the issuers whose tokens may be reported, and gives out routes for axum 0.8:
//!
//! | | who calls it | what proves the report |
//! |---|---|---|
//! | [`signed`](Reports::signed) | GitHub's secret scanning partner programme, deps.dev, and services of the same shape | a signature over the body |
//! | [`gitlab`](Reports::gitlab) | GitLab's token revocation API | a shared token |
//! | [`found`](Reports::found) | anybody | nothing is needed |
//!
//! In all three, what counts is the reported token itself: **possession is proof**. A report does
//! something only if its token has the right secret. Signature and shared token are there to keep
//! strangers from making work. White space (ASCII) around a token is no part of it.
//!
//! ```
//! use api_tokens::{
//!     Issuer, Keyring, MemoryStore, Verifier,
//!     leak::reports::{LeakPolicy, Reports},
//!     prefix,
//! };
//! use axum::Router;
//!
//! let store = MemoryStore::new();
//! let live = Verifier::new(prefix!("acme_live"), &Keyring::unkeyed(), store);
//! let test = Verifier::new(prefix!("acme_test"), &Keyring::unkeyed(), MemoryStore::new());
//!
//! let reports = Reports::new()
//!     .issuer(&Issuer::new(&live), LeakPolicy::Quarantine)
//!     .issuer(&Issuer::new(&test), LeakPolicy::Revoke);
//! let app: Router = Router::new().route("/report-a-token", reports.found());
//! ```
//!
//! # What a report does
//!
//! - **The reported token** is revoked or disabled, by the [`LeakPolicy`] of its prefix; neither its
//!   predecessor nor its successor, which have secrets of their own. A token that has come to its
//!   end (expired, replaced, revoked) stays as it is.
//! - **An event** [`LeakReported`](crate::EventKind::LeakReported) with source and URL is stored in
//!   the same transaction, and one of the change.
//! - **The owner is told** by the host's [`LeakNotifier`], once that is committed.
//!
//! # Once
//!
//! A report of a token at a place (source and URL) that is on record changes nothing, however often
//! it comes, and on however many nodes at once: so whoever sends an old report again does nothing,
//! either. After a token was quarantined and somebody has enabled it again, only a report of another
//! place disables it. On record means: among the latest 100 events of the token.
//!
//! [`LeakPlace::MAX_RECORDED`] places are recorded among these 100 events; those beyond are not,
//! unless the token is changed by them, and so can change it again later. So nobody fills the store, not even who has the token and
//! makes places up. Each report that is recorded counts as a change of the record's `version`, which
//! makes this exact: of two nodes that record the same, one loses.
//!
//! What is not a token with the right secret has no event, changes nothing and writes nothing. It
//! costs one read of the store, if it has the form of a token at all. An unknown id or a wrong
//! secret is counted among the verifier's refusals.
//!
//! # Outages
//!
//! If the store cannot answer, or a key is missing, the answer is 503 to all three: never that a
//! token is none of ours. What of a batch could be done is done, and stays done when it is sent
//! again.
//!
//! # Limits
//!
//! A body has at most 1 MiB, and 16 KiB for `found`. A batch has at most 10,000 entries. Of a URL,
//! the first 1,000 characters are kept, without control and invisible characters. **A token in
//! it** is replaced by its id; if one hides behind percent-encoding, none of the URL is kept. 16
//! batches are worked on at once, and 1,024 tokens that were `found`; whoever sends one more is told to
//! wait.
//!
//! The routes need a tokio runtime. They see plaintexts: leave the bodies of these routes out of
//! logs.

mod answer;
mod batch;
mod body;
mod found;
mod gitlab;
mod keys;
mod leak;
mod notify;
mod place;
mod record;
#[cfg(feature = "reqwest")]
mod reqwest;
mod signed;
mod tokens;

use core::fmt;
use std::sync::Arc;

use axum::{Router, routing::MethodRouter};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub use gitlab::{GitLabToken, GitLabTokenError};
pub use keys::{KeySource, KeySourceError};
pub use leak::{Leak, LeakAction};
pub use notify::{LeakNotifier, NotifyError};
pub use place::LeakPlace;
#[cfg(feature = "reqwest")]
pub use reqwest::HttpKeys;
pub use signed::SignedReports;

use self::{
    batch::Batch,
    notify::DynLeakNotifier,
    place::Claim,
    tokens::{DynTokens, Tokens},
};
use super::Finder;
use crate::{Issuer, LeakSource, TokenStore, VerifyError};

/// How many batches are worked on at once.
const MAX_BATCHES: usize = 16;

/// How many single tokens that somebody has found.
const MAX_FOUND: usize = 1024;

/// What to do about a reported token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LeakPolicy {
    /// Revoke it at once, for good: for tokens that can do harm.
    Revoke,
    /// Disable it, so that its owner, who is told, can replace and revoke it, or enable it again.
    /// One that is disabled already stays so.
    Quarantine,
}

/// Receives reports of leaked tokens. See the [module](self).
///
/// A clone is cheap and shares everything.
///
/// # Defaults
///
/// - issuers: none, so that every token is unknown
/// - notifier: none
#[derive(Clone)]
pub struct Reports {
    tokens: Vec<Arc<dyn DynTokens>>,
    /// Of all their prefixes.
    finder: Finder,
    notifier: Option<Arc<dyn DynLeakNotifier>>,
    batches: AtOnce,
    found: AtOnce,
}

/// How many more may be worked on.
#[derive(Clone)]
struct AtOnce(Arc<Semaphore>);

impl AtOnce {
    fn new(limit: usize) -> Self {
        Self(Arc::new(Semaphore::new(limit)))
    }

    /// A place for one, if there is one left.
    fn begin(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.0).try_acquire_owned().ok()
    }
}

impl Default for Reports {
    fn default() -> Self {
        Self::new()
    }
}

impl Reports {
    /// Of no tokens yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            tokens: Vec::new(),
            finder: Finder::new([]),
            notifier: None,
            batches: AtOnce::new(MAX_BATCHES),
            found: AtOnce::new(MAX_FOUND),
        }
    }

    /// Also of the tokens of this issuer: those of its prefix, and those of other systems that its
    /// verifier accepts.
    #[must_use]
    pub fn issuer<S: TokenStore>(mut self, issuer: &Issuer<S>, policy: LeakPolicy) -> Self {
        let verifier = issuer.verifier();
        self.finder = self.finder.with_prefix(verifier.shared.prefix);
        self.tokens.push(Arc::new(Tokens { verifier: verifier.clone(), policy }));
        self
    }

    /// Tells owners by this, instead of nobody.
    #[must_use]
    pub fn notifier(self, notifier: impl LeakNotifier) -> Self {
        Self { notifier: Some(Arc::new(notifier)), ..self }
    }

    /// A report that came to the host in another way, such as by mail: by `source`, found at `url`.
    /// Returns what was done about it; `None` if `token` is not one with the right secret.
    ///
    /// Goes on in a task of its own, whether or not the future is dropped. Must be called within a
    /// tokio runtime.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// use api_tokens::{
    ///     Actor, Issuer, Keyring, MemoryStore, NewToken, Status, Verifier,
    ///     leak::reports::{LeakAction, LeakPolicy, Reports},
    ///     prefix,
    /// };
    ///
    /// let verifier = Verifier::new(prefix!("acme_live"), &Keyring::unkeyed(), MemoryStore::new());
    /// let issuer = Issuer::new(&verifier);
    /// let new = NewToken::new("acme".parse()?, "ann".parse()?, "Production REST API".parse()?);
    /// let created = issuer.create(new, &"ann".parse()?).await?;
    ///
    /// let reports = Reports::new().issuer(&issuer, LeakPolicy::Revoke);
    /// let found = created.token.expose_secret().as_bytes();
    /// let url = Some("https://forum.example/t/42");
    /// let leak = reports.report(found, &"support".parse()?, url).await?.expect("a token of ours");
    /// assert_eq!(leak.action, LeakAction::Revoked);
    ///
    /// let again = reports.report(found, &"support".parse()?, url).await?.expect("still ours");
    /// assert_eq!(again.action, LeakAction::None);
    /// assert!(again.places.is_empty());
    /// # Ok::<_, Box<dyn std::error::Error>>(()) }).unwrap();
    /// # Ok::<_, std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`VerifyError::Outage`] and [`VerifyError::UnknownKey`]: nothing could be decided, or it is
    /// not known whether what was to be done is done. Report it again.
    pub async fn report(
        &self,
        token: &[u8],
        source: &LeakSource,
        url: Option<&str>,
    ) -> Result<Option<Leak>, VerifyError> {
        self.report_with(token, source, url, None).await
    }

    async fn report_with(
        &self,
        token: &[u8],
        source: &LeakSource,
        url: Option<&str>,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Result<Option<Leak>, VerifyError> {
        let mut batch = Batch::default();
        batch.add(token, &Claim { reporter: source, source: None, url }, self);
        Ok(batch.receive(self, permit).await?.into_values().next())
    }

    /// A route that receives signed reports, in the protocol of GitHub's secret scanning partner
    /// programme. Its URL is what the service is told to post to.
    ///
    /// The body is an array of `{"token", "type", "url", "source"}`, read leniently: members may be
    /// missing, of another type or new, and an entry that makes no sense takes nothing from the
    /// others. The answer says of each entry with a token whether it is one of ours
    /// (`true_positive`, also if it has come to its end) or not (`false_positive`): by the SHA-256
    /// of the token as it came, and by its `type`. Nothing is said of an entry whose `type` is other
    /// than 1 to 100 letters, digits, `-`, `_` and `.`, or has a token in it.
    ///
    /// | | |
    /// |---|---|
    /// | 200 | received; the body says which tokens are ours |
    /// | 400 | a header field is missing, repeated or misshaped, or the signed body is not an array |
    /// | 403 | the signature does not verify, or the service has no such key |
    /// | 413 | too large |
    /// | 503 | the store or the keys cannot be reached, or there is too much to do: send it again |
    pub fn signed(&self, signed: SignedReports) -> MethodRouter {
        signed::route(self.clone(), signed)
    }

    /// Routes for [GitLab's token revocation API]: `GET v1/revocable_token_types` and `POST
    /// v1/revoke_tokens`, below the path at which the router is nested.
    ///
    /// `types` are the names that GitLab's scanner has for these tokens, such as
    /// `gitleaks_rule_id_acme_api_token`; `token` is what GitLab sends in `Authorization`.
    ///
    /// | | |
    /// |---|---|
    /// | 204 | received, whether these are tokens of ours or not |
    /// | 400 | the body is not an array, or has entries without a token or of another type; all others are done |
    /// | 401 | another token in `Authorization`, or none |
    /// | 413 | too large |
    /// | 429 | there is too much to do: send it again |
    /// | 503 | the store cannot be reached: send it again |
    ///
    /// [GitLab's token revocation API]: https://docs.gitlab.com/development/sec/token_revocation_api/
    pub fn gitlab<T: Into<String>>(
        &self,
        token: GitLabToken,
        types: impl IntoIterator<Item = T>,
    ) -> Router {
        gitlab::router(self.clone(), token, types.into_iter().map(Into::into).collect())
    }

    /// A route for whoever has found a token: `POST` with `token`, and `url` if they want, in JSON
    /// or as a form. Anybody may call it. Limit how often, as everywhere.
    ///
    /// Whoever has the whole token is told what has become of it: 200, and a `status` such as
    /// `{"status":"revoked"}`. All others have the same answer to the byte, 404: it is not told
    /// whether there is such an id, or what is wrong with a text.
    ///
    /// | | |
    /// |---|---|
    /// | 200 | a token of ours; the body says what has become of it |
    /// | 400 | there is no `token`, or more than one |
    /// | 404 | not a token of ours |
    /// | 413 | too large |
    /// | 415 | neither JSON nor a form |
    /// | 503 | the store cannot be reached, or there is too much to do: send it again |
    pub fn found(&self) -> MethodRouter {
        found::route(self.clone())
    }
}

impl fmt::Debug for Reports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reports").field("prefixes", &self.finder.prefixes()).finish_non_exhaustive()
    }
}
