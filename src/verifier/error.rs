use crate::{RefusalReason, Scopes, Status, StoreError, TokenFormatError, TokenId};

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
    /// The secret is right and the token in order, but its owner may do nothing any more: see
    /// [`OwnerPolicy`](crate::OwnerPolicy).
    #[error("the owner of token {id} has no access any more")]
    OwnerWithoutAccess {
        /// The token.
        id: TokenId,
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

impl VerifyError {
    /// Why the request was refused, for events and counters; `None` for a mistake in the
    /// application.
    #[must_use]
    pub fn reason(&self) -> Option<RefusalReason> {
        Some(match self {
            Self::NoCredentials => RefusalReason::NoCredentials,
            Self::OtherScheme => RefusalReason::OtherScheme,
            Self::InvalidRequest => RefusalReason::InvalidRequest,
            Self::MalformedCredentials => RefusalReason::MalformedCredentials,
            Self::Malformed(_) => RefusalReason::Malformed,
            Self::UnknownToken => RefusalReason::UnknownToken,
            Self::WrongSecret { .. } => RefusalReason::WrongSecret,
            Self::NotActive { status, .. } => match status {
                Status::Active => return None,
                Status::NotYetValid => RefusalReason::NotYetValid,
                Status::Disabled => RefusalReason::Disabled,
                Status::Expired => RefusalReason::Expired,
                Status::RotatedOut => RefusalReason::RotatedOut,
                Status::Revoked => RefusalReason::Revoked,
            },
            Self::OwnerWithoutAccess { .. } => RefusalReason::OwnerWithoutAccess,
            Self::UnknownKey { .. } => RefusalReason::UnknownKey,
            Self::Outage(_) => RefusalReason::Outage,
            Self::InsufficientScope { .. } => RefusalReason::InsufficientScope,
            Self::NotVerified => return None,
        })
    }

    /// The token that was claimed, as far as it is known.
    pub(crate) fn token(&self) -> Option<TokenId> {
        match self {
            Self::WrongSecret { id }
            | Self::NotActive { id, .. }
            | Self::OwnerWithoutAccess { id }
            | Self::InsufficientScope { id, .. }
            | Self::UnknownKey { id } => Some(*id),
            _ => None,
        }
    }
}
