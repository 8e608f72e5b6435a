use core::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    KeyId, LeakSource, LeakUrl, Principal, Project, RevocationReason, TokenId, TokenRecord,
};

/// Something that happened to a token, or to a request: when, to which token, by whom.
///
/// It carries no secret, and nothing that a client sent, but for where a leaked token was found.
/// Events of changes are stored in the transaction of the change
/// ([`TokenStore::write`](crate::TokenStore::write)), and go to the [`EventSink`] once it is
/// committed; all others go to the sink alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// The token it is about, if it is about one.
    pub token: Option<TokenId>,
    /// The project of that token, if it is known.
    pub project: Option<Project>,
    /// Who did it; `None` for what no one in particular did.
    pub by: Option<DoneBy>,
    /// What happened.
    pub kind: EventKind,
}

/// Who did something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DoneBy {
    /// The person or service.
    pub principal: Principal,
    /// The token through which they did it, if it was not in person.
    pub token: Option<TokenId>,
}

/// What happened. serde writes an object whose member `type` is [`EventKind::as_str`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum EventKind {
    /// A token was created.
    Created,
    /// A record was made for a token of another system.
    Imported,
    /// A token was replaced, and is accepted beside its successor for a while.
    Rotated {
        /// The new token.
        successor: TokenId,
        /// The first instant at which the old one is no longer accepted.
        overlap_ends_at: Timestamp,
    },
    /// The overlap with the successor was ended.
    RotationFinished {
        /// Whether that happened because the successor was used.
        by_use: bool,
    },
    /// The successor was revoked, and its predecessor goes on.
    RotationCancelled {
        /// The token that was revoked.
        successor: TokenId,
    },
    /// Name, scopes, metadata or expiry were changed.
    Edited {
        /// Which.
        fields: Vec<EditedField>,
    },
    /// The token was switched off for now.
    Disabled,
    /// The token was switched on again.
    Enabled,
    /// The token was revoked.
    Revoked {
        /// Why, if they said so.
        reason: Option<RevocationReason>,
    },
    /// A token was presented after the overlap with its successor was over. Either somebody was
    /// forgotten in the rotation, or somebody has a copy.
    ReuseDetected,
    /// Somebody who has the token reported that it has leaked. What was done about it, if anything,
    /// has an event of its own.
    LeakReported {
        /// Who reported it.
        source: LeakSource,
        /// Where they found it, if they said so.
        url: Option<LeakUrl>,
    },
    /// All tokens of a selection were revoked or disabled; each has an event of its own.
    BulkChanged {
        /// How many.
        count: u64,
    },
    /// Records of dead tokens were deleted.
    Pruned {
        /// How many.
        count: u64,
    },
    /// A key was taken out of the keyring.
    KeyRetired {
        /// Which; `None` for plain SHA-256.
        key: Option<KeyId>,
        /// How many tokens were under it and can no longer be verified.
        abandoned: u64,
    },
    /// There was no room to note when tokens were used, or no time to write it.
    UsageLost {
        /// How many times.
        count: u64,
    },
    /// The store failed, so that background work has to wait. Told once until it works again.
    BackgroundDelayed {
        /// What the store said.
        error: String,
    },
    /// Background work that had to wait goes on: the store works again.
    BackgroundResumed,
    /// A request was refused.
    Refused {
        /// Why.
        reason: RefusalReason,
    },
    /// More requests were refused than events were made of.
    RefusalsSuppressed {
        /// Why they were.
        reason: RefusalReason,
        /// How many there were beyond those that have an event.
        count: u64,
    },
}

impl EventKind {
    /// The name of the kind, such as `created` or `reuse_detected`.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Imported => "imported",
            Self::Rotated { .. } => "rotated",
            Self::RotationFinished { .. } => "rotation_finished",
            Self::RotationCancelled { .. } => "rotation_cancelled",
            Self::Edited { .. } => "edited",
            Self::Disabled => "disabled",
            Self::Enabled => "enabled",
            Self::Revoked { .. } => "revoked",
            Self::ReuseDetected => "reuse_detected",
            Self::LeakReported { .. } => "leak_reported",
            Self::BulkChanged { .. } => "bulk_changed",
            Self::Pruned { .. } => "pruned",
            Self::KeyRetired { .. } => "key_retired",
            Self::UsageLost { .. } => "usage_lost",
            Self::BackgroundDelayed { .. } => "background_delayed",
            Self::BackgroundResumed => "background_resumed",
            Self::Refused { .. } => "refused",
            Self::RefusalsSuppressed { .. } => "refusals_suppressed",
        }
    }
}

/// A field that [`Issuer::edit`](crate::Issuer::edit) changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EditedField {
    /// The name.
    Name,
    /// The scopes.
    Scopes,
    /// The metadata.
    Metadata,
    /// The expiry.
    ExpiresAt,
}

/// Why a request was refused: the variants of [`VerifyError`](crate::VerifyError) without their
/// data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
#[expect(missing_docs, reason = "`VerifyError` and `Status` say what each means")]
pub enum RefusalReason {
    NoCredentials,
    OtherScheme,
    InvalidRequest,
    MalformedCredentials,
    Malformed,
    UnknownToken,
    WrongSecret,
    NotYetValid,
    Disabled,
    Expired,
    RotatedOut,
    Revoked,
    OwnerWithoutAccess,
    InsufficientScope,
    UnknownKey,
    Outage,
}

impl RefusalReason {
    /// Every reason, in the order of their numbers.
    pub(crate) const ALL: [Self; 16] = [
        Self::NoCredentials,
        Self::OtherScheme,
        Self::InvalidRequest,
        Self::MalformedCredentials,
        Self::Malformed,
        Self::UnknownToken,
        Self::WrongSecret,
        Self::NotYetValid,
        Self::Disabled,
        Self::Expired,
        Self::RotatedOut,
        Self::Revoked,
        Self::OwnerWithoutAccess,
        Self::InsufficientScope,
        Self::UnknownKey,
        Self::Outage,
    ];

    /// As serde writes it, such as `wrong_secret`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoCredentials => "no_credentials",
            Self::OtherScheme => "other_scheme",
            Self::InvalidRequest => "invalid_request",
            Self::MalformedCredentials => "malformed_credentials",
            Self::Malformed => "malformed",
            Self::UnknownToken => "unknown_token",
            Self::WrongSecret => "wrong_secret",
            Self::NotYetValid => "not_yet_valid",
            Self::Disabled => "disabled",
            Self::Expired => "expired",
            Self::RotatedOut => "rotated_out",
            Self::Revoked => "revoked",
            Self::OwnerWithoutAccess => "owner_without_access",
            Self::InsufficientScope => "insufficient_scope",
            Self::UnknownKey => "unknown_key",
            Self::Outage => "outage",
        }
    }
}

impl fmt::Display for RefusalReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Event {
    /// An event of a token.
    pub(crate) fn of(
        record: &TokenRecord,
        at: Timestamp,
        by: Option<DoneBy>,
        kind: EventKind,
    ) -> Self {
        Self { at, token: Some(record.id), project: Some(record.project.clone()), by, kind }
    }

    /// An event that is not about one token.
    pub(crate) fn general(at: Timestamp, by: Option<DoneBy>, kind: EventKind) -> Self {
        Self { at, token: None, project: None, by, kind }
    }
}

/// Where events go, beside the store: logs, metrics, a message queue.
///
/// # Contract
///
/// `record` returns at once, without blocking and without panicking: refusals come from the
/// verification path. It is called after the change has been committed, in no particular order
/// between tasks; a process that dies in between has stored the event but not passed it on.
///
/// ```
/// use api_tokens::{Event, EventSink};
///
/// struct Count(std::sync::atomic::AtomicU64);
///
/// impl EventSink for Count {
///     fn record(&self, _event: &Event) {
///         self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
///     }
/// }
/// ```
pub trait EventSink: Send + Sync + 'static {
    /// Takes note of an event.
    fn record(&self, event: &Event);
}

/// Writes events to [`tracing`](https://docs.rs/tracing), under the target `api_tokens`:
/// changes at level INFO, refusals at DEBUG, and at WARN [`EventKind::ReuseDetected`],
/// [`EventKind::LeakReported`], [`EventKind::UsageLost`], [`EventKind::BackgroundDelayed`],
/// [`EventKind::BackgroundResumed`], and refusals that are an outage.
///
/// The fields are `event`, and where they apply `token`, `project`, `by`, `by_token` and `detail`.
#[derive(Debug, Clone, Copy, Default)]
pub struct TracingSink;

impl EventSink for TracingSink {
    fn record(&self, event: &Event) {
        macro_rules! write {
            ($level:ident) => {
                tracing::$level!(
                    target: "api_tokens",
                    event = event.kind.as_str(),
                    token = event.token.as_ref().map(TokenId::as_str),
                    project = event.project.as_ref().map(Project::as_str),
                    by = event.by.as_ref().map(|by| by.principal.as_str()),
                    by_token = event.by.as_ref().and_then(|by| by.token.as_ref()).map(TokenId::as_str),
                    detail = ?event.kind,
                )
            };
        }
        match event.kind {
            EventKind::Refused { reason: RefusalReason::Outage | RefusalReason::UnknownKey }
            | EventKind::ReuseDetected
            | EventKind::LeakReported { .. }
            | EventKind::UsageLost { .. }
            | EventKind::BackgroundDelayed { .. }
            | EventKind::BackgroundResumed => write!(warn),
            EventKind::Refused { .. } | EventKind::RefusalsSuppressed { .. } => write!(debug),
            _ => write!(info),
        }
    }
}
