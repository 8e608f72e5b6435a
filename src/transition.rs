//! What may happen to a token in which state: the one table that decides.

use core::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Status, TokenRecord};

/// The state of a token as far as changes go: its [`Status`], except that a token that is being
/// replaced is [`Rotating`](Self::Rotating), whether it is accepted at the moment or not.
///
/// # What may happen in which state
///
/// ```text
///               not_before passes                 rotate
///   Not yet valid ──────────────► Active ──────────────────► Rotating
///                                  │  ▲   ◄──────────────────  │
///                          disable │  │ enable     cancel      │ finish, or
///                                  ▼  │                        │ the overlap ends
///                                Disabled                      ▼
///                                                          Rotated out
///
///   from each of these but Rotated out: expires_at passes ──► Expired
///   from every state: revoke ───────────────────────────────► Revoked
/// ```
///
/// | | Active | Rotating | Not yet valid | Disabled | Expired | Rotated out | Revoked |
/// |---|---|---|---|---|---|---|---|
/// | rotate | Rotating | – | – | – | – | – | – |
/// | finish the rotation | – | Rotated out | – | – | – | stays | – |
/// | cancel the rotation | – | Active | – | – | – | – | – |
/// | edit | stays | stays | stays | stays | – | – | – |
/// | disable | Disabled | stays | Disabled | stays | – | – | – |
/// | enable | stays | stays | stays | Active | – | – | – |
/// | revoke | Revoked | Revoked | Revoked | Revoked | Revoked | Revoked | stays |
///
/// A dash is refused with [`IssuerError::NotAllowed`](crate::IssuerError::NotAllowed). *Stays*
/// means that the state does; what is as it should be already is not written again. A disabled
/// token that is not yet valid counts as disabled, and a Rotating token can be disabled too, which
/// its status shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum State {
    /// Accepted, and not being replaced.
    Active,
    /// Being replaced: it has a successor, and the overlap with that is not over.
    Rotating,
    /// Its `not_before` is in the future.
    NotYetValid,
    /// Switched off for now.
    Disabled,
    /// Its `expires_at` has passed. Final, but for revocation.
    Expired,
    /// Replaced, and the overlap is over. Final, but for revocation.
    RotatedOut,
    /// Revoked. Final.
    Revoked,
}

impl State {
    /// The state of a token at `now`.
    #[must_use]
    pub fn of(record: &TokenRecord, now: Timestamp) -> Self {
        let replaced = record.rotation.is_some_and(|rotation| rotation.successor.is_some());
        match record.status(now) {
            Status::Revoked => Self::Revoked,
            Status::RotatedOut => Self::RotatedOut,
            Status::Expired => Self::Expired,
            _ if replaced => Self::Rotating,
            Status::Disabled => Self::Disabled,
            Status::NotYetValid => Self::NotYetValid,
            Status::Active => Self::Active,
        }
    }

    /// Whether nothing can make the token accepted again.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(self, Self::Expired | Self::RotatedOut | Self::Revoked)
    }

    /// The table.
    pub(crate) fn allows(self, operation: Operation) -> bool {
        use Operation::{Disable, Edit, Enable, FinishRotation, Revoke, Rotate};

        match self {
            Self::Active => matches!(operation, Rotate | Edit | Disable | Enable | Revoke),
            Self::Rotating => operation != Rotate,
            Self::NotYetValid | Self::Disabled => {
                matches!(operation, Edit | Disable | Enable | Revoke)
            }
            Self::RotatedOut => matches!(operation, FinishRotation | Revoke),
            Self::Expired | Self::Revoked => operation == Revoke,
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Active => "active",
            Self::Rotating => "being replaced",
            Self::NotYetValid => "not yet valid",
            Self::Disabled => "disabled",
            Self::Expired => "expired",
            Self::RotatedOut => "replaced",
            Self::Revoked => "revoked",
        })
    }
}

/// A change to a token, see [`State`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// [`Issuer::rotate`](crate::Issuer::rotate).
    Rotate,
    /// [`Issuer::finish_rotation`](crate::Issuer::finish_rotation).
    FinishRotation,
    /// [`Issuer::cancel_rotation`](crate::Issuer::cancel_rotation).
    CancelRotation,
    /// [`Issuer::edit`](crate::Issuer::edit).
    Edit,
    /// [`Issuer::disable`](crate::Issuer::disable).
    Disable,
    /// [`Issuer::enable`](crate::Issuer::enable).
    Enable,
    /// [`Issuer::revoke`](crate::Issuer::revoke).
    Revoke,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Rotate => "rotate",
            Self::FinishRotation => "finish the rotation of",
            Self::CancelRotation => "cancel the rotation of",
            Self::Edit => "edit",
            Self::Disable => "disable",
            Self::Enable => "enable",
            Self::Revoke => "revoke",
        })
    }
}
