mod builder;
mod error;
mod verified;

use core::fmt;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::{
    Client, Credentials, DigestMatch, Digester, Event, EventKind, Keyring, ParsedToken, Prefix,
    Scopes, Status, TokenDigest, TokenFormatError, TokenId, TokenRecord, TokenStore, clock::after,
    held::too_late, pending::Task, shared::Shared,
};

pub use builder::VerifierBuilder;
pub use error::VerifyError;
pub use verified::Verified;

/// Checks tokens: whether they exist, whether the secret is right, and whether they are accepted
/// now.
///
/// Without a `Cache` (feature `cache`) every verification reads the store, so a revoked token is
/// refused as soon as `revoke` has returned, on every node. A clone is cheap and shares everything.
///
/// # Cost
///
/// A token that is refused for its form costs tens of nanoseconds and never reaches the store.
/// With a store in memory a verification costs its HMAC and a lookup, and allocates nothing.
/// An unknown id costs the same hash as a wrong secret, and less of what a store does with a row.
/// With a [`Background`](crate::Background), a token's first use in each second also reads the
/// clock and notes when and from where; all its other uses look that up.
///
/// [`Verifier::new`] has no background: when tokens are used is not noted, refusals make no
/// events, and digests under earlier keys stay as they are. [`Verifier::builder`] makes one that
/// has.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// use api_tokens::{Actor, Issuer, Keyring, MemoryStore, NewToken, Verifier, VerifyError, prefix};
///
/// let ann: Actor = "ann".parse()?;
/// let verifier = Verifier::new(prefix!("acme_live"), &Keyring::unkeyed(), MemoryStore::new());
/// let issuer = Issuer::new(&verifier);
/// let new = NewToken::new("acme".parse()?, "ann".parse()?, "Production REST API".parse()?);
/// let created = issuer.create(new, &ann).await?;
///
/// let verified = verifier.verify(created.token.expose_secret().as_bytes()).await?;
/// assert_eq!(verified.project().as_str(), "acme");
///
/// issuer.revoke(verified.id(), &ann, None).await?;
/// let refused = verifier.verify(created.token.expose_secret().as_bytes()).await;
/// assert!(matches!(refused, Err(VerifyError::NotActive { .. })));
/// # Ok::<_, Box<dyn std::error::Error>>(()) }).unwrap();
/// # Ok::<_, std::io::Error>(())
/// ```
pub struct Verifier<S> {
    pub(crate) shared: Arc<Shared<S>>,
}

impl<S: TokenStore> Verifier<S> {
    /// A verifier of tokens with this prefix, with the defaults of [`VerifierBuilder`] and no
    /// background.
    #[must_use]
    pub fn new(prefix: Prefix, keyring: &Keyring, store: S) -> Self {
        Self::builder(prefix, keyring, store).without_background()
    }

    /// Begins a verifier of tokens with this prefix.
    pub fn builder(prefix: Prefix, keyring: &Keyring, store: S) -> VerifierBuilder<S> {
        VerifierBuilder::new(prefix, keyring, store)
    }

    /// Verifies the token of a request, given the values of its `Authorization` fields, all of
    /// them.
    ///
    /// # Errors
    ///
    /// [`VerifyError`]: what [`Credentials::from_authorization`] found instead of a Bearer
    /// token, or why [`verify`](Self::verify) refused it.
    pub async fn verify_authorization<'a>(
        &self,
        fields: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<Verified, VerifyError> {
        self.verify_authorization_from(fields, Client::default()).await
    }

    /// The same for a request of which more is known, for [`Usage`](crate::Usage).
    ///
    /// # Errors
    ///
    /// As [`verify_authorization`](Self::verify_authorization).
    pub async fn verify_authorization_from<'a>(
        &self,
        fields: impl IntoIterator<Item = &'a [u8]>,
        client: Client<'_>,
    ) -> Result<Verified, VerifyError> {
        let credentials = if self.shared.imports.is_empty() {
            Credentials::from_authorization(fields)
        } else {
            Credentials::from_authorization_of_any(fields)
        };
        let error = match credentials {
            Credentials::Bearer(token) => return self.verify_from(token, client).await,
            Credentials::Absent => VerifyError::NoCredentials,
            Credentials::OtherScheme => VerifyError::OtherScheme,
            Credentials::InvalidRequest => VerifyError::InvalidRequest,
            Credentials::MalformedToken => VerifyError::MalformedCredentials,
        };
        self.note_refusal(&error);
        Err(error)
    }

    /// Verifies the text of a token.
    ///
    /// # Errors
    ///
    /// [`VerifyError`], whose variants name each reason. Two are not the token's fault, since
    /// nothing was decided: [`Outage`](VerifyError::Outage) and
    /// [`UnknownKey`](VerifyError::UnknownKey).
    pub async fn verify(&self, token: &[u8]) -> Result<Verified, VerifyError> {
        self.verify_from(token, Client::default()).await
    }

    /// The same for a request of which more is known, for [`Usage`](crate::Usage).
    ///
    /// # Errors
    ///
    /// As [`verify`](Self::verify).
    pub async fn verify_from(
        &self,
        token: &[u8],
        client: Client<'_>,
    ) -> Result<Verified, VerifyError> {
        let decided = self.decide(token).await;
        match &decided {
            Ok(verified) => self.note_use(verified, client),
            Err(error) => self.note_refusal(error),
        }
        decided
    }

    /// When the token comes to its end, if that is within this time from now: for an "expires
    /// soon" hint. Reads the clock, if the token has an end at all.
    #[must_use]
    pub fn ends_within(&self, verified: &Verified, within: SignedDuration) -> Option<Timestamp> {
        let ends_at = verified.ends_at()?;
        (ends_at <= after(self.shared.clock.now(), within)).then_some(ends_at)
    }

    /// How the cache is; `None` if there is none.
    #[cfg(feature = "cache")]
    #[must_use]
    pub fn cache_health(&self) -> Option<crate::CacheHealth> {
        self.shared.cache.as_ref().map(|cache| cache.health(&*self.shared.clock))
    }

    /// Replaces the keys of this verifier, its clones, and the issuers made from it, while they
    /// are in use. [`Keyring`] says in which order to do what on several nodes.
    pub fn set_keyring(&self, keyring: &Keyring) {
        self.shared.digester.store(Arc::new(keyring.digester(&self.shared.prefix)));
    }

    /// Verifies a text without noting anything.
    pub(crate) async fn decide(&self, text: &[u8]) -> Result<Verified, VerifyError> {
        let token = match ParsedToken::parse(&self.shared.prefix, text) {
            Ok(token) => token,
            Err(error) => return self.decide_imported(text, error).await,
        };
        let verified = self
            .decide_by(
                &token.id(),
                |digester, stored| digester.verify(&token, stored),
                |digester| digester.digest(&token),
            )
            .await?;
        verified.ok_or_else(|| {
            // The same hash as for an id that exists, which is what takes longest in memory.
            core::hint::black_box(self.shared.digester.load().digest(&token));
            VerifyError::UnknownToken
        })
    }

    /// For a text that is not a token of ours: perhaps it is another system's.
    async fn decide_imported(
        &self,
        text: &[u8],
        error: TokenFormatError,
    ) -> Result<Verified, VerifyError> {
        for format in &self.shared.imports {
            let Some(imported) = format.digest_of(text) else { continue };
            let id = imported.id();
            let verified = self
                .decide_by(
                    &id,
                    |digester, stored| digester.verify_imported(text, &imported, stored),
                    |digester| digester.digest_imported(&id, text),
                )
                .await?;
            if let Some(verified) = verified {
                return Ok(verified);
            }
        }
        Err(VerifyError::Malformed(error))
    }

    /// Decides by the record of an id; `None` if there is none.
    async fn decide_by(
        &self,
        id: &TokenId,
        compare: impl Fn(&Digester, &TokenDigest) -> DigestMatch,
        digest_again: impl Fn(&Digester) -> TokenDigest,
    ) -> Result<Option<Verified>, VerifyError> {
        if let Some(held) = self.shared.cached(id) {
            let decided = self.accept(held.record(), &compare, &digest_again).await;
            if self.shared.may_rely_on(&held, decided.as_ref().err()) {
                self.shared.count_hit(id);
                return Ok(Some(Verified::new(held, decided?)));
            }
        }
        let Some(held) = self.shared.find(id).await? else { return Ok(None) };
        let decided = self.accept(held.record(), &compare, &digest_again).await;
        if self.shared.may_rely_on(&held, decided.as_ref().err()) {
            return Ok(Some(Verified::new(held, decided?)));
        }
        Err(too_late().into())
    }

    /// Decides by a record. Returns what the token's owner may do, if that is not everything.
    async fn accept(
        &self,
        record: &TokenRecord,
        compare: impl Fn(&Digester, &TokenDigest) -> DigestMatch,
        digest_again: impl Fn(&Digester) -> TokenDigest,
    ) -> Result<Option<Arc<Scopes>>, VerifyError> {
        let id = record.id;
        let found = compare(&self.shared.digester.load(), &record.digest);
        match found {
            DigestMatch::Mismatch => return Err(VerifyError::WrongSecret { id }),
            DigestMatch::UnknownKey => return Err(VerifyError::UnknownKey { id }),
            // Without a key the digest does not depend on the prefix, so the record decides.
            _ if record.prefix != self.shared.prefix => {
                return Err(VerifyError::WrongSecret { id });
            }
            DigestMatch::Current | DigestMatch::Earlier => {}
        }
        let owner_scopes = self.shared.check(record).await?;
        if let (DigestMatch::Earlier, Some(pending)) = (found, &self.shared.pending) {
            let digest = digest_again(&self.shared.digester.load());
            pending.add(id, Task::DigestAgain { version: record.version, digest });
        }
        Ok(owner_scopes)
    }

    pub(crate) fn note_use(&self, verified: &Verified, client: Client<'_>) {
        let Some(pending) = &self.shared.pending else { return };
        #[cfg(feature = "metrics")]
        pending.accepted.count(&verified.id());
        pending.usage.note(verified.id(), client, || self.shared.clock.now());
        if verified.record().rotation.is_some_and(|rotation| rotation.retires_predecessor) {
            pending.add(verified.id(), Task::RetirePredecessor);
        }
    }

    pub(crate) fn note_refusal(&self, error: &VerifyError) {
        let Some(pending) = &self.shared.pending else { return };
        let Some(reason) = error.reason() else { return };
        if let VerifyError::NotActive { id, status: Status::RotatedOut } = error {
            pending.add(*id, Task::Reused);
        }
        if pending.refusals.count(reason) {
            let at = self.shared.now();
            let kind = EventKind::Refused { reason };
            self.shared
                .sink
                .record(&Event { token: error.token(), ..Event::general(at, None, kind) });
        }
    }
}

impl<S> Clone for Verifier<S> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<S> fmt::Debug for Verifier<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier")
            .field("prefix", &self.shared.prefix)
            .field("digester", &self.shared.digester.load())
            .finish_non_exhaustive()
    }
}
