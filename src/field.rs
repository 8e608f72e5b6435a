//! The text fields of a record: bounded, printable, checked when they are made.

use core::fmt;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use crate::ScopeError;

/// A field of a new token, or of a change to one, that was refused: which one, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} {problem}")]
pub struct FieldError {
    field: &'static str,
    problem: FieldProblem,
}

impl FieldError {
    pub(crate) const fn new(field: &'static str, problem: FieldProblem) -> Self {
        Self { field, problem }
    }

    /// The same for a field that has the type of another one.
    #[cfg(feature = "management")]
    pub(crate) fn named(self, field: &'static str) -> Self {
        Self { field, ..self }
    }

    /// What is wrong with it, to be read after the name of the field.
    #[cfg(feature = "management")]
    pub(crate) fn problem(&self) -> impl fmt::Display {
        &self.problem
    }

    /// The name of the field: `name`, `project`, `principal` (an owner, or who did something),
    /// `reason`, `scopes`, `metadata`, `expires_at`, `overlap`, `idempotency_key`, `source`, `url`
    /// or `selection`.
    #[must_use]
    pub fn field(&self) -> &'static str {
        self.field
    }
}

impl From<ScopeError> for FieldError {
    fn from(error: ScopeError) -> Self {
        Self::new("scopes", FieldProblem::Scopes(error))
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FieldProblem {
    #[error("must not be empty")]
    Empty,
    #[error("must have at most {0} characters")]
    TooLong(usize),
    #[error("must not contain control or invisible characters")]
    ControlCharacter,
    #[error("must not begin or end with white space")]
    SurroundingSpace,
    #[error("are not valid: {0}")]
    Scopes(ScopeError),
    #[error("must have at most {0} entries")]
    TooMany(usize),
    #[error("keys must have 1 to {0} characters of A-Z, a-z, 0-9, '.', '_' and '-'")]
    Key(usize),
    #[error("must lie in the future")]
    Past,
    #[error("must be after not_before")]
    NeverValid,
    #[error("must be given: tokens without expiry are not allowed")]
    Unlimited,
    #[error("must be at most {0:#} after creation")]
    BeyondPolicy(SignedDuration),
    #[error("must not be negative")]
    Negative,
    #[error("must name at least one criterion")]
    NoCriterion,
}

/// Text for people: trimmed, then checked.
fn label(field: &'static str, text: &str, max: usize) -> Result<Box<str>, FieldError> {
    let text = text.trim();
    check(text, max).map_err(|problem| FieldError::new(field, problem))?;
    Ok(text.into())
}

/// Text that names something of the host's: taken to the letter, since trimming could make two
/// names one.
fn identifier(field: &'static str, text: &str, max: usize) -> Result<Box<str>, FieldError> {
    if text.trim() != text {
        return Err(FieldError::new(field, FieldProblem::SurroundingSpace));
    }
    check(text, max).map_err(|problem| FieldError::new(field, problem))?;
    Ok(text.into())
}

/// Stops at the first character too many, however long the text.
pub(crate) fn check(text: &str, max: usize) -> Result<(), FieldProblem> {
    if text.is_empty() {
        return Err(FieldProblem::Empty);
    }
    if text.chars().nth(max).is_some() {
        return Err(FieldProblem::TooLong(max));
    }
    if text.chars().any(is_control) {
        return Err(FieldProblem::ControlCharacter);
    }
    Ok(())
}

/// Control characters proper, those that break or reorder the line they are shown in, and those
/// that nobody sees. The joiners U+200C and U+200D stay: scripts and emoji need them.
pub(crate) fn is_control(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}'
            | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

macro_rules! text_field {
    ($(#[$doc:meta])* $name:ident, $field:literal, $check:ident, $max:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(into = "String", try_from = "String")]
        pub struct $name(Box<str>);

        impl $name {
            /// The greatest length, in characters (Unicode scalar values).
            pub const MAX_CHARS: usize = $max;

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl core::str::FromStr for $name {
            type Err = FieldError;

            fn from_str(text: &str) -> Result<Self, FieldError> {
                $check($field, text, Self::MAX_CHARS).map(Self)
            }
        }

        impl TryFrom<&str> for $name {
            type Error = FieldError;

            fn try_from(text: &str) -> Result<Self, FieldError> {
                text.parse()
            }
        }

        impl TryFrom<String> for $name {
            type Error = FieldError;

            fn try_from(text: String) -> Result<Self, FieldError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(text: $name) -> Self {
                text.0.into()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple(stringify!($name)).field(&self.0).finish()
            }
        }
    };
}

text_field! {
    /// What a person calls a token: "Production REST API". Any Unicode text of 1 to 100
    /// characters without control or invisible characters; white space at both ends is dropped.
    ///
    /// ```
    /// use api_tokens::TokenName;
    ///
    /// let name: TokenName = " Claude Integration ".parse()?;
    /// assert_eq!(name.as_str(), "Claude Integration");
    ///
    /// let error = "".parse::<TokenName>().unwrap_err();
    /// assert_eq!(error.to_string(), "name must not be empty");
    /// assert_eq!(error.field(), "name");
    /// # Ok::<_, api_tokens::FieldError>(())
    /// ```
    TokenName, "name", label, 100
}

text_field! {
    /// The project (the tenant) that a token belongs to, by the host's own id for it: 1 to 200
    /// characters, no control or invisible characters, no white space at the ends.
    Project, "project", identifier, 200
}

text_field! {
    /// A person or service, by the host's own id for it: the owner a token acts for, who created
    /// it, who revoked it. 1 to 200 characters, no control or invisible characters, no white space
    /// at the ends.
    Principal, "principal", identifier, 200
}

text_field! {
    /// Why a token was revoked, in the words of whoever did it: 1 to 200 characters, no control or
    /// invisible characters; white space at both ends is dropped.
    RevocationReason, "reason", label, 200
}

text_field! {
    /// Who reported that a token has leaked, and in what it was found, such as `github: commit`:
    /// 1 to 100 characters, no control or invisible characters; white space at both ends is dropped.
    LeakSource, "source", label, 100
}

#[cfg(feature = "reports")]
impl LeakSource {
    /// One that is written here, and so is a good one.
    pub(crate) fn fixed(text: &'static str) -> Self {
        Self(text.into())
    }
}

text_field! {
    /// Where a leaked token was found, in the words of whoever reported it: mostly a URL, though
    /// nobody has checked. 1 to 1,000 characters, no control or invisible characters; white space at
    /// both ends is dropped. Show it as text, and fetch nothing from there.
    LeakUrl, "url", label, 1000
}

text_field! {
    /// A text by which a caller names one request, so that repeating it does no harm: 1 to 255
    /// characters, no control or invisible characters, no white space at the ends. Random ones,
    /// such as a UUID, are best. It is not stored.
    IdempotencyKey, "idempotency_key", identifier, 255
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_trimmed_and_counted_in_characters() {
        let name: TokenName = "\u{2003}Été 🚀\n".parse().unwrap();
        assert_eq!(name.as_str(), "Été 🚀");
        assert!("é".repeat(100).parse::<TokenName>().is_ok());
        for (text, message) in [
            ("", "name must not be empty"),
            (" \t\n", "name must not be empty"),
            (&*"é".repeat(101), "name must have at most 100 characters"),
            ("a\0b", "name must not contain control or invisible characters"),
            ("a\nb", "name must not contain control or invisible characters"),
            ("a\u{7f}b", "name must not contain control or invisible characters"),
            ("a\u{85}b", "name must not contain control or invisible characters"),
            ("a\u{2028}b", "name must not contain control or invisible characters"),
            ("a\u{202e}b", "name must not contain control or invisible characters"),
            ("\u{200b}", "name must not contain control or invisible characters"),
            ("a\u{feff}", "name must not contain control or invisible characters"),
            ("a\u{e0041}", "name must not contain control or invisible characters"),
        ] {
            assert_eq!(text.parse::<TokenName>().unwrap_err().to_string(), message, "{text:?}");
        }
    }

    #[test]
    fn identifiers_are_taken_to_the_letter() {
        assert_eq!("team 7/ä".parse::<Project>().unwrap().as_str(), "team 7/ä");
        let error = "acme ".parse::<Project>().unwrap_err();
        assert_eq!(error.to_string(), "project must not begin or end with white space");
        assert!("".parse::<Principal>().is_err());
    }

    #[test]
    fn serde_checks() {
        let name: TokenName = serde_json::from_str(r#"" a ""#).unwrap();
        assert_eq!(serde_json::to_string(&name).unwrap(), r#""a""#);
        assert!(serde_json::from_str::<TokenName>(r#""""#).is_err());
    }
}
