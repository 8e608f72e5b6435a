use jiff::Timestamp;

use super::{Expiry, Issuer, LifetimePolicy, NewToken, new_token::Made};
use crate::{
    Actor, Event, EventKind, ImportedDigest, IssuerError, TokenRecord, TokenStore, WriteBatch,
    clock::to_microseconds,
    error::Limit,
    shared::{ROUNDS, contended},
};

/// A token of another system, to be accepted from now on.
#[derive(Debug, Clone)]
pub struct Import {
    /// What the other system stored of its secret.
    pub digest: ImportedDigest,
    /// What is known of it. An expiry that is given is taken as it is, whatever the policy: the
    /// token exists. Its idempotency key is not needed.
    pub token: NewToken,
    /// When it was created there; `None`, or an instant that lies ahead, for now.
    pub created_at: Option<Timestamp>,
}

impl<S: TokenStore> Issuer<S> {
    /// Makes a record for a token that another system issued, so that its holder need not change
    /// anything. The verifier must be told of its format by
    /// [`VerifierBuilder::accept_imported`](crate::VerifierBuilder::accept_imported).
    ///
    /// The record is like any other: it is listed, edited, revoked, and rotated into a token of our
    /// own. Do not import what is revoked or expired there, nor a second time after a
    /// [`prune`](Self::prune), which forgets what was revoked here.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// use api_tokens::{
    ///     Actor, Import, ImportFormat, ImportedDigest, Issuer, IssuerError, Keyring, MemoryStore,
    ///     NewToken, Verifier, prefix,
    /// };
    ///
    /// let (verifier, background) =
    ///     Verifier::builder(prefix!("acme_live"), &Keyring::unkeyed(), MemoryStore::new())
    ///         .accept_imported(ImportFormat::sha256().with_start("old_"))
    ///         .build();
    /// let issuer = Issuer::new(&verifier);
    /// let importer: Actor = "importer".parse()?;
    ///
    /// // For each row of the old system:
    /// let digest = "26187b6a58cc1be059a1d01c0a67827eb797ee9caf38d9cd2c97489ea6e8bf76";
    /// let import = Import {
    ///     digest: ImportedDigest::sha256_hex(digest)?,
    ///     token: NewToken::new("acme".parse()?, "ann".parse()?, "from before".parse()?),
    ///     created_at: Some("2024-05-01T00:00:00Z".parse()?),
    /// };
    /// match issuer.import(import, &importer).await {
    ///     Ok(_) | Err(IssuerError::AlreadyImported { .. }) => {}
    ///     Err(error) => return Err(error.into()),
    /// }
    ///
    /// verifier.verify(b"old_Qm3rLxCzT9").await?;
    /// # Ok::<_, Box<dyn std::error::Error>>(()) }).unwrap();
    /// # Ok::<_, std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// - [`IssuerError::AlreadyImported`] if there is a record for it, also one that was revoked
    ///   since: whoever imports a second time goes on.
    /// - [`IssuerError::Invalid`] if its expiry is not after now and `not_before`.
    /// - [`IssuerError::Exceeds`] if the token would exceed the actor.
    /// - [`IssuerError::ActorNotActive`], [`IssuerError::Store`].
    pub async fn import(&self, import: Import, actor: &Actor) -> Result<TokenRecord, IssuerError> {
        let Import { digest, token, created_at } = import;
        for _ in 0..ROUNDS {
            let limits = self.shared().limits(Some(actor)).await?;
            let now = self.now();
            if !limits.acts_in(&token.project) {
                return Err(IssuerError::Exceeds(Limit::Project));
            }
            let any = LifetimePolicy::default();
            let policy = if token.expiry == Expiry::Default { &self.policy } else { &any };
            let expires_at = policy.resolve(token.expiry, now, now, limits.ends_at)?;
            limits.check_owner(&token.owner)?;
            limits.check(&token.scopes, expires_at)?;
            let through = limits.by.as_ref().and_then(|by| by.token);
            let created_at = created_at.map_or(now, |at| to_microseconds(at).min(now));
            let made =
                Made { prefix: self.shared().prefix, actor, through, now: created_at, expires_at };
            let record = token.record(digest.id(), digest.digest(), made)?;
            if self.shared().read(record.id).await?.is_some() {
                return Err(IssuerError::AlreadyImported { id: record.id });
            }
            let batch = WriteBatch {
                unchanged: limits.unchanged,
                events: vec![Event::of(&record, now, limits.by, EventKind::Imported)],
                ..WriteBatch::insert(record.clone())
            };
            if self.shared().write(&batch).await? {
                return Ok(record);
            }
        }
        Err(contended())
    }
}
