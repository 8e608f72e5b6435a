use core::fmt;

use crate::{
    FieldError, Status, StoreError, TokenId,
    transition::{Operation, State},
};

/// Why an [`Issuer`](crate::Issuer) did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IssuerError {
    /// A field was refused.
    #[error(transparent)]
    Invalid(#[from] FieldError),
    /// There is no token of this id, or not for this actor.
    #[error("there is no such token")]
    NotFound,
    /// The token is in a state in which this cannot be done: [`State`] has the table.
    #[error("cannot {operation} a token that is {state}")]
    NotAllowed {
        /// What was asked for.
        operation: Operation,
        /// What the token is.
        state: State,
    },
    /// The record has not the version that [`Edit::expected_version`](crate::Edit) says: somebody
    /// has changed it since.
    #[error("the token's record is not the one expected: its version is {version}")]
    Changed {
        /// Its version now.
        version: u32,
    },
    /// The token is itself the successor in a rotation that is not over: finish or cancel that
    /// first.
    #[error("cannot rotate a token while its predecessor {predecessor} is still accepted")]
    PredecessorInUse {
        /// The token that it replaces.
        predecessor: TokenId,
    },
    /// The token has another prefix than this issuer gives.
    #[error("the token has another prefix than this issuer's")]
    OtherPrefix,
    /// It would give somebody more than the actor has.
    #[error("it would exceed the {0} of whoever asks for it")]
    Exceeds(Limit),
    /// The token through which this was asked for is not accepted any more.
    #[error("the acting token is {}", .0.map_or("not accepted any more", Status::as_str))]
    ActorNotActive(
        /// What it is; `None` if it is gone, or its owner has no access any more.
        Option<Status>,
    ),
    /// A request with this idempotency key was made before, and its token must stay.
    #[error("the request was made before: its token {id} {conflict}")]
    Repeated {
        /// The token that the first request made.
        id: TokenId,
        /// Why it was not replaced.
        conflict: RepeatConflict,
    },
    /// A record for this token of another system is there already.
    #[error("the token was imported before, as {id}")]
    AlreadyImported {
        /// Its id.
        id: TokenId,
    },
    /// A key was not retired, because tokens still need it.
    #[error(
        "the key is still needed by {tokens} token(s): wait until they are used, or revoke them"
    )]
    KeyInUse {
        /// How many of them may still be accepted.
        tokens: u64,
    },
    /// A key was not retired: it is the current one, or not in the keyring.
    #[error("only an earlier or upcoming key of the keyring can be retired")]
    KeyNotRetirable,
    /// The random number generator failed.
    #[error("the random number generator failed")]
    Random,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What an actor has, and cannot go beyond.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Limit {
    /// Its project.
    #[error("project")]
    Project,
    /// Its owner: a token creates, imports and rotates tokens of its own owner only.
    #[error("owner")]
    Owner,
    /// How many tokens that still live may be made one through another: 16.
    #[error("depth")]
    Depth,
    /// Its scopes.
    #[error("scopes")]
    Scopes,
    /// Its expiry, or the end of its overlap.
    #[error("lifetime")]
    Lifetime,
}

/// Why a repeated request does not replace the token of the first one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RepeatConflict {
    /// Somebody has it: it was used.
    Used,
    /// It was disabled, replaced or revoked, or has expired.
    Ended,
    /// The first request asked for something else, or its token was changed since.
    Different,
    /// The request was repeated too often.
    TooOften,
}

impl fmt::Display for RepeatConflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Used => "has been used",
            Self::Ended => "is not active any more",
            Self::Different => "is not what this request asks for",
            Self::TooOften => "was replaced too often",
        })
    }
}
