use core::fmt;

use serde::{Deserialize, Serialize};

/// What every token of an application starts with, such as `acme_live`.
///
/// A prefix names the product and, if wanted, the environment, so that a token of `acme_test`
/// can never pass where `acme_live` is expected, and so that secret scanners can tell whose
/// token they found. It is public.
///
/// The text matches `[a-z][a-z0-9]*(_[a-z0-9]+)*` and has at most [`Prefix::MAX_LEN`] bytes.
///
/// A prefix that is a constant is best written with [`prefix!`](crate::prefix!), which checks
/// it at compile time; one that comes from configuration with [`Prefix::new`] or [`str::parse`].
///
/// ```
/// use api_tokens::{Prefix, prefix};
///
/// const LIVE: Prefix = prefix!("acme_live");
/// assert_eq!(Prefix::new("acme_live"), Ok(LIVE));
/// assert!(Prefix::new("Acme-Live").is_err());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Prefix {
    bytes: [u8; Prefix::MAX_LEN],
    len: u8,
}

impl Prefix {
    /// The greatest length of a prefix, in bytes.
    pub const MAX_LEN: usize = 24;

    /// Checks `text` and makes a prefix of it.
    ///
    /// # Errors
    ///
    /// [`PrefixError`] if the text does not have the form described at [`Prefix`].
    #[expect(
        clippy::indexing_slicing,
        clippy::cast_possible_truncation,
        reason = "a const fn cannot use iterators; every index is below a checked length of at most 24"
    )]
    pub const fn new(text: &str) -> Result<Self, PrefixError> {
        let text = text.as_bytes();
        if text.is_empty() || text.len() > Self::MAX_LEN {
            return Err(PrefixError { kind: PrefixErrorKind::Length });
        }
        if !text[0].is_ascii_lowercase() {
            return Err(PrefixError { kind: PrefixErrorKind::Start });
        }
        let mut bytes = [0; Self::MAX_LEN];
        let mut i = 0;
        while i < text.len() {
            let byte = text[i];
            if byte == b'_' {
                // The first byte is a letter, so there is one before this.
                if i + 1 == text.len() || text[i + 1] == b'_' {
                    return Err(PrefixError { kind: PrefixErrorKind::Underscore });
                }
            } else if !byte.is_ascii_lowercase() && !byte.is_ascii_digit() {
                return Err(PrefixError { kind: PrefixErrorKind::Character });
            }
            bytes[i] = byte;
            i += 1;
        }
        Ok(Self { bytes, len: text.len() as u8 })
    }

    /// The prefix as text, without the underscore that follows it in a token.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // `new` lets only ASCII pass, so this is never the default.
        core::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Prefix").field(&self.as_str()).finish()
    }
}

impl core::str::FromStr for Prefix {
    type Err = PrefixError;

    fn from_str(text: &str) -> Result<Self, PrefixError> {
        Self::new(text)
    }
}

impl TryFrom<String> for Prefix {
    type Error = PrefixError;

    fn try_from(text: String) -> Result<Self, PrefixError> {
        Self::new(&text)
    }
}

impl From<Prefix> for String {
    fn from(prefix: Prefix) -> Self {
        prefix.as_str().to_owned()
    }
}

/// A [`Prefix`] from a string literal or constant, checked at compile time.
///
/// ```
/// let prefix = api_tokens::prefix!("acme_live");
/// assert_eq!(prefix.as_str(), "acme_live");
/// ```
///
/// A text that is not a prefix does not compile:
///
/// ```compile_fail
/// let prefix = api_tokens::prefix!("Acme Live");
/// ```
#[macro_export]
macro_rules! prefix {
    ($text:expr) => {
        const {
            match $crate::Prefix::new($text) {
                ::core::result::Result::Ok(prefix) => prefix,
                ::core::result::Result::Err(_) => ::core::panic!(
                    "not a token prefix: it must match [a-z][a-z0-9]*(_[a-z0-9]+)* in at most 24 bytes"
                ),
            }
        }
    };
}

/// A text that is not a [`Prefix`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a token prefix must {kind}")]
pub struct PrefixError {
    kind: PrefixErrorKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PrefixErrorKind {
    Length,
    Start,
    Underscore,
    Character,
}

impl fmt::Display for PrefixErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Length => "have 1 to 24 bytes",
            Self::Start => "start with a letter a-z",
            Self::Underscore => "have a letter or digit after every underscore",
            Self::Character => "consist of a-z, 0-9 and single underscores",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_the_documented_form() {
        for text in ["a", "a1", "acme_live", "a_1_b2", "abcdefghijklmnopqrstuvwx"] {
            assert_eq!(Prefix::new(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn refuses_everything_else_and_says_why() {
        for (text, why) in [
            ("", "have 1 to 24 bytes"),
            ("abcdefghijklmnopqrstuvwxy", "have 1 to 24 bytes"),
            ("1a", "start with a letter"),
            ("_a", "start with a letter"),
            ("Acme", "start with a letter"),
            ("a_", "after every underscore"),
            ("a__b", "after every underscore"),
            ("a-b", "consist of"),
            ("aB", "consist of"),
            ("a b", "consist of"),
            ("aé", "consist of"),
        ] {
            let message = Prefix::new(text).unwrap_err().to_string();
            assert!(message.contains(why), "{text:?}: {message}");
        }
    }

    #[test]
    fn serde_checks() {
        let json = serde_json::to_string(&prefix!("acme_live")).unwrap();
        assert_eq!(json, r#""acme_live""#);
        assert_eq!(serde_json::from_str::<Prefix>(&json).unwrap(), prefix!("acme_live"));
        assert!(serde_json::from_str::<Prefix>(r#""-""#).is_err());
    }
}
