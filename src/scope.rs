use core::fmt;
use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// One permission, such as `sources:read`: a `scope-token` of RFC 6749 §3.3.
///
/// Printable ASCII without space, `"` and `\`, at most [`Scope::MAX_LEN`] bytes. By convention
/// `resource:action`. A `*` at the end, alone or after a `:`, is a wildcard: `sources:*` covers
/// every scope that starts with `sources:`, and `*` covers everything. A `*` elsewhere is
/// refused, since it would look like a wildcard and not be one.
///
/// ```
/// use api_tokens::Scope;
///
/// let all: Scope = "sources:*".parse()?;
/// assert!(all.covers(&"sources:read".parse()?));
/// assert!(!all.covers(&"flows:run".parse()?));
/// assert!(!"sources:read".parse::<Scope>()?.covers(&all));
/// # Ok::<_, api_tokens::ScopeError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Scope(Box<str>);

impl Scope {
    /// The greatest length of a scope, in bytes.
    pub const MAX_LEN: usize = 128;

    /// The scope as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether whoever holds this scope may do what `required` stands for.
    ///
    /// Reflexive and transitive.
    #[must_use]
    pub fn covers(&self, required: &Self) -> bool {
        covers(&self.0, &required.0)
    }
}

/// For texts that are scopes; the one place where coverage is decided.
pub(crate) fn covers(held: &str, required: &str) -> bool {
    match held.strip_suffix('*') {
        Some(start) => required.starts_with(start),
        None => held == required,
    }
}

/// Whether `text` is a scope; usable in constants.
#[expect(
    clippy::indexing_slicing,
    reason = "a const fn cannot use iterators; i is below the length"
)]
pub(crate) const fn check(text: &str) -> Result<(), ScopeError> {
    let text = text.as_bytes();
    if text.is_empty() || text.len() > Scope::MAX_LEN {
        return Err(ScopeError { kind: ScopeErrorKind::Length });
    }
    let mut i = 0;
    while i < text.len() {
        match text[i] {
            b'*' if i + 1 != text.len() || (i > 0 && text[i - 1] != b':') => {
                return Err(ScopeError { kind: ScopeErrorKind::Wildcard });
            }
            0x21 | 0x23..=0x5b | 0x5d..=0x7e => {}
            _ => return Err(ScopeError { kind: ScopeErrorKind::Character }),
        }
        i += 1;
    }
    Ok(())
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl core::str::FromStr for Scope {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<Self, ScopeError> {
        check(text).map(|()| Self(text.into()))
    }
}

impl TryFrom<String> for Scope {
    type Error = ScopeError;

    fn try_from(text: String) -> Result<Self, ScopeError> {
        text.parse()
    }
}

impl From<Scope> for String {
    fn from(scope: Scope) -> Self {
        scope.0.into()
    }
}

/// A set of at most [`Scopes::MAX_COUNT`] scopes, as a token holds it or a request needs it.
///
/// As text, the scopes are separated by single spaces (RFC 6749 §3.3) in a fixed order; serde
/// writes a list.
///
/// ```
/// use api_tokens::Scopes;
///
/// let held: Scopes = "sources:* flows:run".parse()?;
/// assert!(held.covers(&"flows:run sources:read".parse()?));
/// assert!(!held.covers(&"flows:run flows:edit".parse()?));
/// assert_eq!(held.to_string(), "flows:run sources:*");
/// # Ok::<_, api_tokens::ScopeError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "Vec<Scope>", try_from = "Vec<Scope>")]
pub struct Scopes(
    /// Sorted, without duplicates.
    Box<[Scope]>,
);

impl Scopes {
    /// The greatest number of scopes in a set.
    pub const MAX_COUNT: usize = 64;

    /// A set of the given scopes.
    ///
    /// # Errors
    ///
    /// [`ScopeError`] if there are more than [`Scopes::MAX_COUNT`] different ones.
    pub fn new(scopes: impl IntoIterator<Item = Scope>) -> Result<Self, ScopeError> {
        Self::collect(scopes.into_iter().map(Ok))
    }

    /// Stops at the first error and soon after the greatest count, however many come.
    fn collect(
        scopes: impl Iterator<Item = Result<Scope, ScopeError>>,
    ) -> Result<Self, ScopeError> {
        let mut set = BTreeSet::new();
        for scope in scopes {
            set.insert(scope?);
            if set.len() > Self::MAX_COUNT {
                return Err(ScopeError { kind: ScopeErrorKind::Count });
            }
        }
        Ok(Self(set.into_iter().collect()))
    }

    /// Whether each of the `required` scopes is covered by one of these (`required` ⊆ these).
    ///
    /// Reflexive and transitive. Costs a string comparison for each pair in the worst case.
    #[must_use]
    pub fn covers(&self, required: &Self) -> bool {
        required.iter().all(|required| self.iter().any(|held| held.covers(required)))
    }

    /// Those of these scopes that `others` do not cover.
    pub(crate) fn without(&self, others: &Self) -> Self {
        let covered = |scope: &Scope| others.iter().any(|other| other.covers(scope));
        Self(self.iter().filter(|scope| !covered(scope)).cloned().collect())
    }

    /// The scopes, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Scope> {
        self.0.iter()
    }

    /// Whether there is no scope at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, scope) in self.iter().enumerate() {
            if i > 0 {
                f.write_str(" ")?;
            }
            f.write_str(scope.as_str())?;
        }
        Ok(())
    }
}

impl core::str::FromStr for Scopes {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<Self, ScopeError> {
        Self::collect(text.split(' ').filter(|scope| !scope.is_empty()).map(str::parse))
    }
}

impl TryFrom<Vec<Scope>> for Scopes {
    type Error = ScopeError;

    fn try_from(scopes: Vec<Scope>) -> Result<Self, ScopeError> {
        Self::new(scopes)
    }
}

impl From<Scopes> for Vec<Scope> {
    fn from(scopes: Scopes) -> Self {
        scopes.0.into()
    }
}

/// A text that is not a [`Scope`], or too many of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{kind}")]
pub struct ScopeError {
    kind: ScopeErrorKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum ScopeErrorKind {
    #[error("a scope must have 1 to 128 bytes")]
    Length,
    #[error("a scope must consist of printable ASCII without space, double quote and backslash")]
    Character,
    #[error("a * in a scope must be its end, alone or after a colon")]
    Wildcard,
    #[error("a token can have at most 64 scopes")]
    Count,
}
