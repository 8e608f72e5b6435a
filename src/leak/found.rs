use core::{fmt, ops::Range, str::FromStr};

use sha2::{Digest, Sha256};

use super::Encoding;
use crate::{Prefix, Token, TokenId};

/// A token that was found: which one, and where. The token itself is not in it, unless
/// [`Finder::keep_tokens`](super::Finder::keep_tokens) asked for it.
///
/// That its checksum is right does not prove that such a token was ever issued; a
/// [`Verifier`](crate::Verifier) tells.
#[derive(Debug)]
#[non_exhaustive]
pub struct Found {
    /// What it starts with.
    pub prefix: Prefix,
    /// The id that it claims.
    pub id: TokenId,
    /// How it is written there.
    pub encoding: Encoding,
    /// Where, in bytes from the beginning, and as it is written there: in base64, with the
    /// characters that it shares with its neighbours.
    pub range: Range<u64>,
    /// The line where it begins, from 1. Lines end with `\n`.
    pub line: u64,
    /// Where in that line it begins, in characters, from 1: bytes that do not continue a character
    /// of UTF-8 and are not zero, so that it is right for ASCII text in UTF-16, too. A byte order mark
    /// counts.
    pub column: u64,
    /// The same for the same token, wherever and however it is written.
    pub fingerprint: Fingerprint,
    pub(super) token: Option<Token>,
}

impl Found {
    /// The token itself, if the finder [keeps](super::Finder::keep_tokens) them.
    #[must_use]
    pub fn token(&self) -> Option<&Token> {
        self.token.as_ref()
    }
}

/// What tells one token from another without telling the token: the SHA-256 of its text.
///
/// From it nobody can find the token, whose secret has 232 random bits, so that it may stand in
/// reports and in a list of tokens known to be dead. It is the `token_hash` of GitHub's
/// secret-scanning partner protocol; as text, 64 hexadecimal digits in lower case.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    pub(super) fn of(token: &[u8]) -> Self {
        Self(Sha256::digest(token).into())
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

impl FromStr for Fingerprint {
    type Err = FingerprintError;

    fn from_str(text: &str) -> Result<Self, FingerprintError> {
        let digit = |digit: &u8| match digit {
            b'0'..=b'9' | b'a'..=b'f' => char::from(*digit).to_digit(16),
            _ => None,
        };
        let mut bytes = [0; 32];
        let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return Err(FingerprintError) };
        if pairs.len() != bytes.len() {
            return Err(FingerprintError);
        }
        for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
            let (high, low) = digit(high).zip(digit(low)).ok_or(FingerprintError)?;
            *byte = u8::try_from(high << 4 | low).map_err(|_| FingerprintError)?;
        }
        Ok(Self(bytes))
    }
}

/// A text that is not a [`Fingerprint`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a fingerprint must be 64 hexadecimal digits in lower case")]
pub struct FingerprintError;
