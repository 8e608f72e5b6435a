use core::{cell::LazyCell, fmt};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    Metadata, Prefix, Principal, Project, RevocationReason, Scopes, TokenDigest, TokenId, TokenName,
};

/// All that is kept of a token, which is everything but its secret.
///
/// Every field is checked by its type, so a record that exists is well-formed. The struct can be
/// built and taken apart by anyone who writes a [`TokenStore`](crate::TokenStore), and is
/// exhaustive on purpose: a store that forgets a new field does not compile.
///
/// Timestamps are kept to the microsecond. serde writes every field, the digest included: right
/// for a store, but an API answers with a type of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRecord {
    /// The public handle. Never changes.
    pub id: TokenId,
    /// What the token starts with. Never changes.
    pub prefix: Prefix,
    /// The keyed digest of the secret.
    pub digest: TokenDigest,
    /// The project (tenant) the token belongs to. Never changes.
    pub project: Project,
    /// What people call it.
    pub name: TokenName,
    /// Who the token acts for. Never changes.
    pub owner: Principal,
    /// Who created it. Never changes.
    pub created_by: Principal,
    /// The token through which it was created, if it was not in person. Never changes.
    pub created_through: Option<TokenId>,
    /// What it may do.
    pub scopes: Scopes,
    /// Texts of the host's own.
    pub metadata: Metadata,
    /// When it was created. Never changes.
    pub created_at: Timestamp,
    /// The first instant at which it is accepted; `None` for at once.
    pub not_before: Option<Timestamp>,
    /// The first instant at which it is no longer accepted; `None` for never.
    pub expires_at: Option<Timestamp>,
    /// Whether it is switched off for now.
    pub disabled: bool,
    /// Set once, when it is revoked; never removed.
    pub revocation: Option<Revocation>,
    /// Its place among the tokens it was rotated from and to; `None` if it never was.
    pub rotation: Option<Rotation>,
    /// 1 for a new record, and 1 more after each change.
    pub version: u32,
}

/// A revocation: when, by whom and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revocation {
    /// When it was revoked.
    pub at: Timestamp,
    /// Who revoked it; `None` if a policy did.
    pub by: Option<Principal>,
    /// Why, if they said so.
    pub reason: Option<RevocationReason>,
}

/// A token's place in its family: the tokens that replaced one another by rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rotation {
    /// The id of the family's first token.
    pub family: TokenId,
    /// The token that this one replaced; `None` for the first.
    pub predecessor: Option<TokenId>,
    /// The token that replaced this one; `None` for the latest.
    pub successor: Option<Successor>,
    /// Whether the predecessor's overlap ends when this token is first used, if it has not ended
    /// before.
    pub retires_predecessor: bool,
}

/// The token that replaced another one, and until when both are accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Successor {
    /// The id of the new token.
    pub id: TokenId,
    /// The first instant at which the old token is no longer accepted.
    pub overlap_ends_at: Timestamp,
}

impl TokenRecord {
    /// Whether the token is accepted at `now`, and if not, why: the one place that decides.
    ///
    /// Where several reasons apply, the final ones (revoked, rotated out, expired) come before
    /// those that may pass (disabled, not yet valid). Revocation does not depend on the clock.
    #[must_use]
    pub fn status(&self, now: Timestamp) -> Status {
        self.status_by(|| now)
    }

    /// The same, but asks for the time only if it matters, and then once: a clock is a good part
    /// of what a verification costs.
    pub(crate) fn status_by(&self, now: impl FnOnce() -> Timestamp) -> Status {
        let now = LazyCell::new(now);
        if self.revocation.is_some() {
            Status::Revoked
        } else if self.overlap_ends_at().is_some_and(|end| end <= *now) {
            Status::RotatedOut
        } else if self.expires_at.is_some_and(|end| end <= *now) {
            Status::Expired
        } else if self.disabled {
            Status::Disabled
        } else if self.not_before.is_some_and(|start| *now < start) {
            Status::NotYetValid
        } else {
            Status::Active
        }
    }

    /// From when on the token is dead for good: revoked, rotated out or expired, whichever comes
    /// first; `None` if no end is set.
    ///
    /// A store keeps this beside the record and prunes by it.
    #[must_use]
    pub fn ends_at(&self) -> Option<Timestamp> {
        let revoked_at = self.revocation.as_ref().map(|revocation| revocation.at);
        [revoked_at, self.overlap_ends_at(), self.expires_at].into_iter().flatten().min()
    }

    pub(crate) fn overlap_ends_at(&self) -> Option<Timestamp> {
        let successor = self.rotation.as_ref()?.successor.as_ref()?;
        Some(successor.overlap_ends_at)
    }
}

/// Whether a token is accepted at some instant, and if not, why. See [`TokenRecord::status`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Status {
    /// Accepted.
    Active,
    /// Its `not_before` is in the future.
    NotYetValid,
    /// Switched off for now.
    Disabled,
    /// Its `expires_at` has passed. Final.
    Expired,
    /// It was replaced, and the overlap with its successor is over. Final.
    RotatedOut,
    /// It was revoked. Final.
    Revoked,
}

impl Status {
    /// As serde writes it: `active`, `not_yet_valid`, `disabled`, `expired`, `rotated_out` or
    /// `revoked`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::NotYetValid => "not_yet_valid",
            Self::Disabled => "disabled",
            Self::Expired => "expired",
            Self::RotatedOut => "rotated_out",
            Self::Revoked => "revoked",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
