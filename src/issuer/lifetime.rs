use jiff::{SignedDuration, Timestamp};

use crate::{
    FieldError, TokenRecord,
    clock::{after, to_microseconds},
    field::FieldProblem,
};

/// When a token comes to its end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Expiry {
    /// What the issuer's [`LifetimePolicy`] says, and for a successor, the length of its
    /// predecessor's life.
    #[default]
    Default,
    /// At this instant, which is the first at which it is no longer accepted. Kept to the
    /// microsecond.
    At(Timestamp),
    /// So long after now.
    After(SignedDuration),
    /// Never, if the policy allows that.
    Never,
}

impl Expiry {
    /// So many days, of 24 hours, after now.
    #[must_use]
    pub fn after_days(days: u32) -> Self {
        Self::After(SignedDuration::from_hours(i64::from(days).saturating_mul(24)))
    }
}

/// How long the tokens of an [`Issuer`](crate::Issuer) may live.
///
/// It holds for what is created, rotated or edited from now on. No token that exists is changed by
/// another policy: [`Selection::outside_policy`](crate::Selection::outside_policy) finds those
/// that it would not allow.
///
/// # Defaults
///
/// - default lifetime: for ever
/// - maximum lifetime: none
/// - tokens without expiry: allowed
///
/// ```
/// use api_tokens::LifetimePolicy;
/// use jiff::SignedDuration;
///
/// let policy = LifetimePolicy {
///     default: Some(SignedDuration::from_hours(90 * 24)),
///     max: Some(SignedDuration::from_hours(365 * 24)),
///     ..LifetimePolicy::default()
/// };
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LifetimePolicy {
    /// The lifetime of a token for which none is given; `None` for as long as is allowed.
    pub default: Option<SignedDuration>,
    /// The longest lifetime, from creation; `None` for any. With one, every token has an expiry.
    pub max: Option<SignedDuration>,
    /// Whether a token may have no expiry, if there is no `max`.
    pub allows_unlimited: bool,
}

impl Default for LifetimePolicy {
    fn default() -> Self {
        Self { default: None, max: None, allows_unlimited: true }
    }
}

impl LifetimePolicy {
    /// Whether a token of this record could be created under the policy.
    #[must_use]
    pub fn allows(&self, record: &TokenRecord) -> bool {
        self.check(record.expires_at, record.created_at).is_ok()
    }

    #[cfg(feature = "management")]
    pub(crate) fn allows_never(&self) -> bool {
        self.allows_unlimited && self.max.is_none()
    }

    /// The instant that an expiry means for a token created at `created_at`, `None` for never.
    /// What is not given ends no later than `limit`.
    pub(super) fn resolve(
        &self,
        expiry: Expiry,
        created_at: Timestamp,
        now: Timestamp,
        limit: Option<Timestamp>,
    ) -> Result<Option<Timestamp>, FieldError> {
        let expires_at = match expiry {
            Expiry::At(end) => Some(to_microseconds(end)),
            Expiry::After(lifetime) => Some(to_microseconds(after(now, lifetime))),
            Expiry::Never => None,
            Expiry::Default => {
                let end = self.default.map(|lifetime| after(now, lifetime));
                let latest = self.max.map(|lifetime| after(created_at, lifetime));
                [end, latest, limit].into_iter().flatten().min().map(to_microseconds)
            }
        };
        if expires_at.is_some_and(|end| end <= now) {
            return Err(FieldError::new("expires_at", FieldProblem::Past));
        }
        self.check(expires_at, created_at)?;
        Ok(expires_at)
    }

    fn check(
        &self,
        expires_at: Option<Timestamp>,
        created_at: Timestamp,
    ) -> Result<(), FieldError> {
        let problem = match (expires_at, self.max) {
            (None, None) if self.allows_unlimited => return Ok(()),
            (None, _) => FieldProblem::Unlimited,
            (Some(end), Some(max)) if end > after(created_at, max) => {
                FieldProblem::BeyondPolicy(max)
            }
            (Some(_), _) => return Ok(()),
        };
        Err(FieldError::new("expires_at", problem))
    }
}
