use std::{collections::BTreeSet, sync::Arc};

use jiff::Timestamp;

use super::VerifyError;
use crate::{
    Principal, Project, Scope, Scopes, TokenId, TokenName, TokenRecord, held::Held, scope,
};

/// An accepted token: what its bearer may do, and for whom.
///
/// A clone is cheap.
#[derive(Debug, Clone)]
pub struct Verified {
    held: Held,
    owner_scopes: Option<Arc<Scopes>>,
}

impl Verified {
    pub(crate) fn new(held: Held, owner_scopes: Option<Arc<Scopes>>) -> Self {
        Self { held, owner_scopes }
    }

    /// What the token's owner may do, if that is less than everything.
    pub(crate) fn owner_scopes(&self) -> Option<&Arc<Scopes>> {
        self.owner_scopes.as_ref()
    }

    /// The token's public id, for logs and events.
    #[must_use]
    pub fn id(&self) -> TokenId {
        self.record().id
    }

    /// The project (tenant) that the request may act in.
    #[must_use]
    pub fn project(&self) -> &Project {
        &self.record().project
    }

    /// Who the request acts for.
    #[must_use]
    pub fn owner(&self) -> &Principal {
        &self.record().owner
    }

    /// What people call the token.
    #[must_use]
    pub fn name(&self) -> &TokenName {
        &self.record().name
    }

    /// The whole record, as it was when the token was verified.
    ///
    /// Its scopes are the token's own; [`covers`](Self::covers) also heeds what its owner may
    /// still do.
    #[must_use]
    pub fn record(&self) -> &TokenRecord {
        self.held.record()
    }

    /// The first instant at which the token will not be accepted any more, as far as is known
    /// now: its expiry, or the end of the overlap with its successor; `None` if no end is set.
    ///
    /// For "expires soon" hints.
    #[must_use]
    pub fn ends_at(&self) -> Option<Timestamp> {
        self.record().ends_at()
    }

    /// The token that replaces this one, if it is being rotated.
    #[must_use]
    pub fn successor(&self) -> Option<TokenId> {
        Some(self.record().rotation?.successor?.id)
    }

    /// Waits until the token is no longer accepted, and says why: revoked, disabled, expired,
    /// rotated out, gone, or of an owner without access. A server that keeps a stream open ends it
    /// then.
    ///
    /// Resolves within the bound that [`Cache`](crate::Cache) promises, and mostly much sooner;
    /// call it soon after the verification, since one that is older than the bound is taken for as
    /// old as the call. If for that long nothing is heard of changes, and the store cannot be
    /// asked, nobody can tell, and this is a [`VerifyError::Outage`]: end the stream, or call it
    /// again to go on waiting. Scopes that are taken away, and what an
    /// [`OwnerPolicy`](crate::OwnerPolicy) says by now, do not wake it; the latter is looked at
    /// about once in the bound.
    ///
    /// Without a cache this cannot be known, and is an [`Outage`](VerifyError::Outage) at once.
    /// Needs tokio with its timer. Costs a timer and an entry in a table; many may wait for one
    /// token. After a failover or a restart of the store each watched token is read again,
    /// [`max_lookups`](crate::Cache::max_lookups) at a time: those whose turn does not come within
    /// the bound are an outage.
    ///
    /// ```no_run
    /// # use api_tokens::{Verified, VerifyError};
    /// async fn stream(token: Verified) -> VerifyError {
    ///     tokio::select! {
    ///         ended = token.revoked() => ended,
    ///         never = send_events() => never,
    ///     }
    /// }
    /// # async fn send_events() -> VerifyError { core::future::pending().await }
    /// ```
    ///
    /// One that goes on through an outage, and so has no bound while there is one:
    ///
    /// ```no_run
    /// # use api_tokens::{Verified, VerifyError};
    /// async fn ended(token: &Verified) -> VerifyError {
    ///     loop {
    ///         match token.revoked().await {
    ///             VerifyError::Outage(_) => tokio::time::sleep(std::time::Duration::from_secs(1)).await,
    ///             ended => return ended,
    ///         }
    ///     }
    /// }
    /// ```
    #[cfg(feature = "cache")]
    pub async fn revoked(&self) -> VerifyError {
        match &self.held {
            Held::Leased(leased) => leased.entry.revoked(leased.until).await,
            Held::Read(_) => crate::cache::unwatched(),
        }
    }

    /// Whether the request may do all that `required` stands for.
    #[must_use]
    pub fn covers(&self, required: &Scopes) -> bool {
        required.iter().map(Scope::as_str).all(|required| self.covers_text(required))
    }

    /// The same for one text that is a scope.
    pub(crate) fn covers_text(&self, required: &str) -> bool {
        let covered = |by: &Scopes| by.iter().any(|held| scope::covers(held.as_str(), required));
        covered(&self.record().scopes) && self.owner_scopes.as_deref().is_none_or(covered)
    }

    /// What the request may do: the token's scopes, as far as its owner may still do that. To ask
    /// for some, [`covers`](Self::covers) is cheaper.
    #[must_use]
    pub fn scopes(&self) -> Scopes {
        let own = &self.record().scopes;
        let Some(owners) = self.owner_scopes.as_deref() else { return own.clone() };
        let pairs = own.iter().flat_map(|one| owners.iter().map(move |other| (one, other)));
        let both: BTreeSet<&Scope> = pairs
            .filter_map(|(one, other)| match (one.covers(other), other.covers(one)) {
                (_, true) => Some(one),
                (true, false) => Some(other),
                (false, false) => None,
            })
            .collect();
        // If there are too many for a set, better less than more.
        Scopes::new(both.into_iter().take(Scopes::MAX_COUNT).cloned()).unwrap_or_default()
    }

    /// Checks that the request may do all that `required` stands for.
    ///
    /// # Errors
    ///
    /// [`VerifyError::InsufficientScope`] if one is missing.
    pub fn require(&self, required: &Scopes) -> Result<(), VerifyError> {
        if self.covers(required) {
            Ok(())
        } else {
            Err(VerifyError::InsufficientScope { id: self.id(), required: required.clone() })
        }
    }
}
