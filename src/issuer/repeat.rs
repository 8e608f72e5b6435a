//! Requests that are made twice: the id of what they make follows from their idempotency key.

use sha2::{Digest, Sha256};

use super::Issuer;
use crate::{
    DoneBy, IdempotencyKey, IssuerError, Prefix, Project, RevocationReason, TokenId, TokenRecord,
    TokenStore, error::RepeatConflict, transition::State,
};

/// How often one request can be repeated.
const MAX_REPEATS: u32 = 16;

/// What an idempotency key is unique within.
pub(super) enum Scope<'a> {
    Create { prefix: &'a Prefix, project: &'a Project, by: &'a DoneBy },
    Rotate { predecessor: TokenId },
}

/// The id for this time that the request is made, and the token that the last time made.
pub(super) struct Attempt {
    pub(super) id: TokenId,
    pub(super) lost: Option<TokenRecord>,
}

impl<S: TokenStore> Issuer<S> {
    pub(super) async fn attempt(
        &self,
        key: &IdempotencyKey,
        scope: &Scope<'_>,
    ) -> Result<Attempt, IssuerError> {
        // All of them, since the first ones may have been pruned; and in this order, so that what
        // another process adds meanwhile is either read or in the way of the write.
        let mut attempt = Attempt { id: derive(key, scope, 0), lost: None };
        for number in 0..MAX_REPEATS {
            if let Some(lost) = self.shared().read(derive(key, scope, number)).await? {
                let id = derive(key, scope, number.saturating_add(1));
                attempt = Attempt { id, lost: Some(lost) };
            }
        }
        match attempt.lost {
            Some(lost) if lost.id == derive(key, scope, MAX_REPEATS.saturating_sub(1)) => {
                Err(IssuerError::Repeated { id: lost.id, conflict: RepeatConflict::TooOften })
            }
            lost => Ok(Attempt { lost, ..attempt }),
        }
    }

    /// Refuses to replace a token that somebody has, that was ended or changed on purpose, or that
    /// is not what is asked for now.
    pub(super) async fn check_lost(
        &self,
        lost: &TokenRecord,
        is_same: bool,
    ) -> Result<(), IssuerError> {
        let untouched = [State::Active, State::NotYetValid].contains(&State::of(lost, self.now()));
        let conflict = if !untouched {
            RepeatConflict::Ended
        } else if !is_same || lost.version != 1 {
            RepeatConflict::Different
        } else if self.shared().pending.is_none()
            || self.usage(core::slice::from_ref(lost)).await?.iter().any(Option::is_some)
        {
            // Where usage is not noted, it may have been used.
            RepeatConflict::Used
        } else {
            return Ok(());
        };
        Err(IssuerError::Repeated { id: lost.id, conflict })
    }
}

/// Never change this: between two releases, a request would make two tokens.
///
/// Ids are public, so no key is needed: knowing one's own requests tells nobody a secret.
fn derive(key: &IdempotencyKey, scope: &Scope<'_>, number: u32) -> TokenId {
    let mut hash = Sha256::new_with_prefix(b"api-tokens idempotency v1");
    // Each part with its length, so that no two lists of parts are one text.
    let mut add = |part: &str| {
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(part);
    };
    match scope {
        Scope::Create { prefix, project, by } => {
            add("create");
            add(prefix.as_str());
            add(project.as_str());
            add(by.principal.as_str());
            add(by.token.as_ref().map(TokenId::as_str).unwrap_or_default());
        }
        Scope::Rotate { predecessor } => {
            add("rotate");
            add(predecessor.as_str());
        }
    }
    add(key.as_str());
    hash.update(number.to_be_bytes());
    TokenId::from_hash(&hash.finalize().into())
}

/// Why the token of a request that is repeated is revoked.
pub(super) fn replaced() -> Option<RevocationReason> {
    "replaced: the request that made it was repeated".parse().ok()
}
