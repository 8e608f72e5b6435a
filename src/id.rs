use core::fmt;

use rand::TryCryptoRng;
use serde::{Deserialize, Serialize};

use crate::token::base62;

/// The public handle of a token: 16 random characters of `0-9A-Za-z`.
///
/// The id is part of the token's text and is the same 16 bytes in the database, the log and the
/// page. It is safe to log and to show: it authorises nothing, and being random (95 bits) it does
/// not tell when it was issued.
///
/// ```
/// use api_tokens::TokenId;
///
/// let id: TokenId = "Ky9Pf34qY6Nb3wWD".parse()?;
/// assert_eq!(id.to_string(), "Ky9Pf34qY6Nb3wWD");
/// assert!("too short".parse::<TokenId>().is_err());
/// # Ok::<_, api_tokens::TokenIdError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct TokenId([u8; TokenId::LEN]);

impl TokenId {
    /// The length of an id, in bytes and in characters.
    pub const LEN: usize = 16;

    /// Draws a new id from `rng`.
    ///
    /// # Errors
    ///
    /// The generator's own error; the system's generator practically never fails.
    pub fn generate<R: TryCryptoRng + ?Sized>(rng: &mut R) -> Result<Self, R::Error> {
        let mut bytes = [0; Self::LEN];
        base62::fill_random(rng, &mut bytes)?;
        Ok(Self(bytes))
    }

    /// The id that a hash stands for: the same for the same hash, and hardly ever the same for two.
    ///
    /// A hash byte modulo 62 favours eight characters a little, which leaves 90 bits and more: an
    /// id has to differ from others, and nothing depends on its being hard to guess.
    pub(crate) fn from_hash(hash: &[u8; 32]) -> Self {
        Self(base62::from_hash(hash))
    }

    /// Reads an id from the bytes of its text.
    ///
    /// # Errors
    ///
    /// [`TokenIdError`] if these are not 16 bytes of `0-9A-Za-z`.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, TokenIdError> {
        let bytes: [u8; Self::LEN] = bytes.try_into().map_err(|_| TokenIdError)?;
        if base62::is_base62(&bytes) { Ok(Self(bytes)) } else { Err(TokenIdError) }
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Every constructor lets only ASCII pass, so this is never the default.
        core::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The bytes of the id's text.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TokenId").field(&self.as_str()).finish()
    }
}

impl core::str::FromStr for TokenId {
    type Err = TokenIdError;

    fn from_str(text: &str) -> Result<Self, TokenIdError> {
        Self::from_bytes(text.as_bytes())
    }
}

impl TryFrom<String> for TokenId {
    type Error = TokenIdError;

    fn try_from(text: String) -> Result<Self, TokenIdError> {
        text.parse()
    }
}

impl From<TokenId> for String {
    fn from(id: TokenId) -> Self {
        id.as_str().to_owned()
    }
}

/// A text that is not a [`TokenId`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a token id must be 16 letters or digits")]
pub struct TokenIdError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_other_texts() {
        for text in
            ["", "Ky9Pf34qY6Nb3wW", "Ky9Pf34qY6Nb3wWDD", "Ky9Pf34qY6Nb3wW_", "Ky9Pf34qY6Nb3wé"]
        {
            assert_eq!(text.parse::<TokenId>(), Err(TokenIdError), "{text:?}");
        }
    }

    #[test]
    fn serde_checks() {
        let id: TokenId = "Ky9Pf34qY6Nb3wWD".parse().unwrap();
        let json = serde_json::to_string(&id).unwrap();
        assert_eq!(json, r#""Ky9Pf34qY6Nb3wWD""#);
        assert_eq!(serde_json::from_str::<TokenId>(&json).unwrap(), id);
        assert!(serde_json::from_str::<TokenId>(r#""-""#).is_err());
    }
}
