use core::fmt;
use std::sync::Arc;

use crate::{
    Clock, Credentials, DigestMatch, Digester, Found, Keyring, ParsedToken, Prefix, Principal,
    Project, Scopes, Status, StoreError, SystemClock, TokenFormatError, TokenId, TokenName,
    TokenRecord, TokenStore,
};

/// Checks tokens: whether they exist, whether the secret is right, and whether they are accepted
/// now.
///
/// Every verification reads the store, so a revoked token is refused as soon as `revoke` has
/// returned, on every node. A clone is cheap and shares everything.
///
/// # Cost
///
/// A token that is refused for its form costs tens of nanoseconds and never reaches the store.
/// With a store in memory a verification costs its HMAC and a lookup, and allocates nothing.
/// An unknown id costs the same hash as a wrong secret, and less of what a store does with a row.
/// A token whose digest is under an earlier key waits for one write, the first time it is used.
///
/// # Defaults
///
/// - clock: [`SystemClock`]
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// use api_tokens::{Issuer, Keyring, MemoryStore, NewToken, Verifier, VerifyError, prefix};
///
/// let verifier = Verifier::new(prefix!("acme_live"), &Keyring::unkeyed(), MemoryStore::new());
/// let issuer = Issuer::new(&verifier);
/// let created = issuer
///     .create(NewToken::new("acme".parse()?, "ann".parse()?, "Production REST API".parse()?))
///     .await?;
///
/// let verified = verifier.verify(created.token.expose_secret().as_bytes()).await?;
/// assert_eq!(verified.project().as_str(), "acme");
///
/// issuer.revoke(verified.id(), "ann".parse()?, None).await?;
/// let refused = verifier.verify(created.token.expose_secret().as_bytes()).await;
/// assert!(matches!(refused, Err(VerifyError::NotActive { .. })));
/// # Ok::<_, Box<dyn std::error::Error>>(()) }).unwrap();
/// # Ok::<_, std::io::Error>(())
/// ```
pub struct Verifier<S> {
    pub(crate) shared: Arc<Shared<S>>,
}

/// What a verifier and the issuers made from it have in common.
pub(crate) struct Shared<S> {
    pub(crate) prefix: Prefix,
    pub(crate) digester: Digester,
    pub(crate) store: S,
    pub(crate) clock: Box<dyn Clock>,
}

impl<S: TokenStore> Verifier<S> {
    /// A verifier of tokens with this prefix.
    #[must_use]
    pub fn new(prefix: Prefix, keyring: &Keyring, store: S) -> Self {
        Self::with_clock(prefix, keyring, store, SystemClock)
    }

    /// Like [`new`](Self::new), with another clock than the system's.
    #[must_use]
    pub fn with_clock(prefix: Prefix, keyring: &Keyring, store: S, clock: impl Clock) -> Self {
        let digester = keyring.digester(&prefix);
        Self { shared: Arc::new(Shared { prefix, digester, store, clock: Box::new(clock) }) }
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
        match Credentials::from_authorization(fields) {
            Credentials::Bearer(token) => self.verify(token).await,
            Credentials::Absent => Err(VerifyError::NoCredentials),
            Credentials::OtherScheme => Err(VerifyError::OtherScheme),
            Credentials::InvalidRequest => Err(VerifyError::InvalidRequest),
            Credentials::MalformedToken => Err(VerifyError::MalformedCredentials),
        }
    }

    /// Verifies the text of a token.
    ///
    /// # Errors
    ///
    /// [`VerifyError`], whose variants name each reason. Two are not the token's fault, since
    /// nothing was decided: [`Outage`](VerifyError::Outage) and
    /// [`UnknownKey`](VerifyError::UnknownKey).
    pub async fn verify(&self, token: &[u8]) -> Result<Verified, VerifyError> {
        let token =
            ParsedToken::parse(&self.shared.prefix, token).map_err(VerifyError::Malformed)?;
        match self.check(&token).await? {
            (record, DigestedUnder::CurrentKey) => Ok(Verified { record }),
            (record, DigestedUnder::EarlierKey) => self.digest_again(&token, record).await,
        }
    }

    /// Reads the record, and checks secret and status.
    async fn check(
        &self,
        token: &ParsedToken<'_>,
    ) -> Result<(Arc<TokenRecord>, DigestedUnder), VerifyError> {
        let found = self.shared.store.find(&token.id()).await?;
        let (record, digested) = self.check_secret(token, found)?;
        self.check_status(&record)?;
        Ok((record, digested))
    }

    fn check_secret(
        &self,
        token: &ParsedToken<'_>,
        found: Option<Found>,
    ) -> Result<(Arc<TokenRecord>, DigestedUnder), VerifyError> {
        let Some(Found { record, .. }) = found else {
            // The same hash as for an id that exists, which is what takes longest in memory.
            core::hint::black_box(self.shared.digester.digest(token));
            return Err(VerifyError::UnknownToken);
        };
        let digested = match self.shared.digester.verify(token, &record.digest) {
            DigestMatch::Current => DigestedUnder::CurrentKey,
            DigestMatch::Earlier => DigestedUnder::EarlierKey,
            DigestMatch::Mismatch => return Err(VerifyError::WrongSecret { id: record.id }),
            DigestMatch::UnknownKey => return Err(VerifyError::UnknownKey { id: record.id }),
        };
        // Without a key the digest does not depend on the prefix, so the record decides.
        if record.prefix == self.shared.prefix {
            Ok((record, digested))
        } else {
            Err(VerifyError::WrongSecret { id: record.id })
        }
    }

    fn check_status(&self, record: &TokenRecord) -> Result<(), VerifyError> {
        match record.status_by(|| self.shared.clock.now()) {
            Status::Active => Ok(()),
            status => Err(VerifyError::NotActive { id: record.id, status }),
        }
    }

    /// Stores the digest under the current key, and then decides again: the write may have taken
    /// long or failed because the record was changed meanwhile, and be it to revoke it.
    async fn digest_again(
        &self,
        token: &ParsedToken<'_>,
        record: Arc<TokenRecord>,
    ) -> Result<Verified, VerifyError> {
        let Some(version) = record.version.checked_add(1) else { return Ok(Verified { record }) };
        let digest = self.shared.digester.digest(token);
        let updated = TokenRecord { digest, version, ..TokenRecord::clone(&record) };
        if self.shared.store.update(&updated).await.is_ok() {
            self.check_status(&updated)?;
            Ok(Verified { record: Arc::new(updated) })
        } else {
            // What holds now is in the store, and the token's next use tries again.
            let (record, _) = self.check(token).await?;
            Ok(Verified { record })
        }
    }
}

enum DigestedUnder {
    CurrentKey,
    EarlierKey,
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
            .field("digester", &self.shared.digester)
            .finish_non_exhaustive()
    }
}

/// An accepted token: what its bearer may do, and for whom.
///
/// A clone is cheap.
#[derive(Debug, Clone)]
pub struct Verified {
    record: Arc<TokenRecord>,
}

impl Verified {
    /// The token's public id, for logs and events.
    #[must_use]
    pub fn id(&self) -> TokenId {
        self.record.id
    }

    /// The project (tenant) that the request may act in.
    #[must_use]
    pub fn project(&self) -> &Project {
        &self.record.project
    }

    /// Who the request acts for.
    #[must_use]
    pub fn owner(&self) -> &Principal {
        &self.record.owner
    }

    /// What people call the token.
    #[must_use]
    pub fn name(&self) -> &TokenName {
        &self.record.name
    }

    /// What the request may do.
    #[must_use]
    pub fn scopes(&self) -> &Scopes {
        &self.record.scopes
    }

    /// The whole record, as it was when the token was verified.
    #[must_use]
    pub fn record(&self) -> &TokenRecord {
        &self.record
    }

    /// Checks that the token's scopes cover all that are `required`.
    ///
    /// # Errors
    ///
    /// [`VerifyError::InsufficientScope`] if one is missing.
    pub fn require(&self, required: &Scopes) -> Result<(), VerifyError> {
        if self.scopes().covers(required) {
            Ok(())
        } else {
            Err(VerifyError::InsufficientScope { id: self.id(), required: required.clone() })
        }
    }
}

/// Why a request was not let through, for the operator: each refusal has exactly one reason.
///
/// [`Answer`](crate::Answer) is what the client may be told of it. It carries ids, which are
/// public, and nothing else of what the client sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// No `Authorization` field, or an empty one.
    #[error("no credentials")]
    NoCredentials,
    /// Credentials of another scheme than Bearer.
    #[error("no bearer token, but credentials of another scheme")]
    OtherScheme,
    /// Several `Authorization` fields, nothing after the scheme, or a token in the URL.
    #[error("invalid request: credentials repeated, incomplete or in the URL")]
    InvalidRequest,
    /// What follows the Bearer scheme cannot be a token of any kind, or is too long.
    #[error("malformed credentials")]
    MalformedCredentials,
    /// The text is not a token of the expected prefix.
    #[error("malformed token: {0}")]
    Malformed(TokenFormatError),
    /// There is no token of this id.
    #[error("unknown token")]
    UnknownToken,
    /// There is a token of this id, but its secret is another.
    #[error("wrong secret for token {id}")]
    WrongSecret {
        /// The token that was claimed.
        id: TokenId,
    },
    /// The secret is right, but the token is not accepted now.
    #[error("token {id} is {status}")]
    NotActive {
        /// The token.
        id: TokenId,
        /// Why it is not accepted.
        status: Status,
    },
    /// The token is accepted, but not for this.
    #[error("token {id} does not cover the scopes {required}")]
    InsufficientScope {
        /// The token.
        id: TokenId,
        /// All scopes that are needed.
        required: Scopes,
    },
    /// The record's digest was made under a key that this node does not have, so nothing was
    /// decided: an outage by configuration.
    #[error("token {id} was digested under a key that is not in the keyring")]
    UnknownKey {
        /// The token that was claimed.
        id: TokenId,
    },
    /// The store could not answer, so nothing was decided.
    #[error(transparent)]
    Outage(#[from] StoreError),
    /// A handler asks for a verified token on a route where nothing verifies any: a mistake in
    /// the application.
    #[error("not verified: there is no `BearerLayer` on this route")]
    NotVerified,
}
