use core::fmt;

use super::{LEN_AFTER_PREFIX, SECRET_LEN, base62};
use crate::{Prefix, TokenId};

/// A text that has the form of a token, with a correct checksum: its parts, borrowed.
///
/// The checksum is public and forgeable. That a text parses says nothing about whether such a
/// token was ever issued; only [`Verifier::verify`](crate::Verifier::verify) does.
///
/// `Debug` prints the id alone.
#[derive(Clone, Copy)]
pub struct ParsedToken<'a> {
    id: TokenId,
    secret: &'a [u8; SECRET_LEN],
}

impl<'a> ParsedToken<'a> {
    /// Reads a token of the given prefix from any bytes.
    ///
    /// Neither allocates nor panics. A text of the wrong length is refused at once, so the work
    /// is bounded by the length of a token whatever is sent.
    ///
    /// # Errors
    ///
    /// The first rule that the text breaks, in the order of [`TokenFormatError`]'s variants.
    ///
    /// ```
    /// use api_tokens::{ParsedToken, TokenFormatError, prefix};
    ///
    /// let text = b"acme_live_Ky9Pf34qY6Nb3wWD_25RQ4F5ZR3qa7yEeeby3abP3E2Zs8IQ9Y7aJZqh1H1ztQ";
    /// let token = ParsedToken::parse(&prefix!("acme_live"), text)?;
    /// assert_eq!(token.id().as_str(), "Ky9Pf34qY6Nb3wWD");
    ///
    /// let other = ParsedToken::parse(&prefix!("acme_test"), text);
    /// assert_eq!(other.unwrap_err(), TokenFormatError::Prefix);
    /// # Ok::<_, TokenFormatError>(())
    /// ```
    pub fn parse(prefix: &Prefix, text: &'a [u8]) -> Result<Self, TokenFormatError> {
        if text.len() != Self::len(prefix) {
            return Err(TokenFormatError::Length);
        }
        let prefix = prefix.as_bytes();
        let rest = text.strip_prefix(prefix).ok_or(TokenFormatError::Prefix)?;
        let rest = rest.strip_prefix(b"_").ok_or(TokenFormatError::Separator)?;
        // The length was checked, so the splits below always succeed.
        let (id, rest) = rest.split_first_chunk().ok_or(TokenFormatError::Length)?;
        let rest = rest.strip_prefix(b"_").ok_or(TokenFormatError::Separator)?;
        if !base62::is_base62(rest) {
            return Err(TokenFormatError::Alphabet);
        }
        let id = TokenId::from_bytes(id as &[u8; TokenId::LEN])
            .map_err(|_| TokenFormatError::Alphabet)?;
        let secret = rest.first_chunk().ok_or(TokenFormatError::Length)?;
        let (before, checksum) =
            text.split_last_chunk::<{ base62::CHECKSUM_LEN }>().ok_or(TokenFormatError::Length)?;
        if base62::checksum(before) != *checksum {
            return Err(TokenFormatError::Checksum);
        }
        Ok(Self { id, secret })
    }

    /// The length of every token of this prefix, in bytes.
    pub(crate) fn len(prefix: &Prefix) -> usize {
        prefix.as_bytes().len().saturating_add(LEN_AFTER_PREFIX)
    }

    /// The public id that the token claims.
    #[must_use]
    pub fn id(&self) -> TokenId {
        self.id
    }

    pub(crate) fn secret(&self) -> &'a [u8; SECRET_LEN] {
        self.secret
    }
}

impl fmt::Debug for ParsedToken<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ParsedToken({})", self.id)
    }
}

/// Why a text is not a token of the expected prefix. It carries nothing of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum TokenFormatError {
    /// A token has exactly 63 bytes more than its prefix.
    #[error("wrong length")]
    Length,
    /// The text starts with something else than the prefix.
    #[error("wrong prefix")]
    Prefix,
    /// There is no `_` after the prefix or after the id.
    #[error("missing separator")]
    Separator,
    /// Id, secret or checksum has a character outside `0-9A-Za-z`.
    #[error("invalid character")]
    Alphabet,
    /// The last six characters are not the CRC-32 of the text before them.
    #[error("wrong checksum")]
    Checksum,
}
