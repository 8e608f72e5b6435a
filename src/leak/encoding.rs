use core::{fmt, str::FromStr};

/// How a token is written in the bytes where it was found.
///
/// A [`Finder`](super::Finder) looks for plain tokens always, for the others if told to. Each is
/// looked for by itself, not within another: a token in base64 within UTF-16 is not found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Encoding {
    /// As it is, as in ASCII, UTF-8, and what contains them.
    Plain,
    /// UTF-16, of either byte order, at any alignment: Windows' consoles and registry, Java's and
    /// JavaScript's memory. Where ASCII text around it lets it be read in both orders, it is told once,
    /// in the aligned one; unless [`Scan`](super::Scan) gets the text in pieces of which one ends there.
    Utf16,
    /// Percent-encoding (RFC 3986 §2.1) of any of its characters, such as `%5F` for `_`, with digits
    /// of either case. What is around the token may be encoded or not.
    Percent,
    /// JSON's escapes (RFC 8259 §7) of any of its characters, such as `\u005f` for `_`, with digits
    /// of either case.
    Json,
    /// Base64 (RFC 4648 §4, §5) of a text that the token is part of, at each of the three alignments.
    /// Lines may be wrapped, at 16 characters or more, and indented by up to 16.
    Base64,
    /// Hexadecimal digits, all in lower case or all in upper case, with nothing between them.
    Hex,
}

impl Encoding {
    /// Every encoding.
    pub const ALL: [Self; 6] =
        [Self::Plain, Self::Utf16, Self::Percent, Self::Json, Self::Base64, Self::Hex];

    /// The name: `plain`, `utf16`, `percent`, `json`, `base64` or `hex`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Utf16 => "utf16",
            Self::Percent => "percent",
            Self::Json => "json",
            Self::Base64 => "base64",
            Self::Hex => "hex",
        }
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Encoding {
    type Err = EncodingError;

    fn from_str(text: &str) -> Result<Self, EncodingError> {
        Self::ALL.into_iter().find(|encoding| encoding.as_str() == text).ok_or(EncodingError)
    }
}

/// A text that is not the name of an [`Encoding`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an encoding is one of plain, utf16, percent, json, base64 and hex")]
pub struct EncodingError;
