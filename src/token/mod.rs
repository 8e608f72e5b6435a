//! The text of a token: writing it, and reading it from any bytes.
//!
//! ```text
//! acme_live_Ky9Pf34qY6Nb3wWD_25RQ4F5ZR3qa7yEeeby3abP3E2Zs8IQ9Y7aJZqh1H1ztQ
//! └prefix─┘ └─── id: 16 ───┘ └──────────── secret: 39 ─────────────┘└crc6┘
//! ```

#![warn(clippy::arithmetic_side_effects)]

pub(crate) mod base62;
mod parse;

use core::fmt;

use rand::TryCryptoRng;
use secrecy::{ExposeSecret, ExposeSecretMut, SecretBox};

pub use parse::{ParsedToken, TokenFormatError};

use crate::{Prefix, TokenId};

/// Length of the secret part, in bytes: 39 base62 characters hold 232 bits.
pub(crate) const SECRET_LEN: usize = 39;

/// What a token's text has after its prefix, in bytes.
pub(crate) const LEN_AFTER_PREFIX: usize = 1 + TokenId::LEN + 1 + SECRET_LEN + base62::CHECKSUM_LEN;

/// The plaintext of a token: a new one, to be shown once and forgotten, or one that leaked.
///
/// The text lives in one heap allocation that was filled in place and is zeroized on drop.
/// There is no `Display`, `Clone`, `PartialEq` or `Serialize`, and `Debug` prints only the id:
/// [`expose_secret`](Self::expose_secret) is the one way to the text, so that a review finds
/// every use.
///
/// ```
/// use api_tokens::{Token, prefix};
/// use rand::rngs::SysRng;
///
/// let token = Token::generate(&prefix!("acme_live"), &mut SysRng)?;
/// assert!(token.expose_secret().starts_with("acme_live_"));
/// assert_eq!(token.expose_secret().len(), 72);
/// assert_eq!(format!("{token:?}"), format!("Token({})", token.id()));
/// # Ok::<_, rand::rngs::SysError>(())
/// ```
pub struct Token {
    text: SecretBox<[u8]>,
    id: TokenId,
}

impl Token {
    /// Draws a token with a new id and a new secret from `rng`.
    ///
    /// # Errors
    ///
    /// The generator's own error; the system's generator practically never fails.
    pub fn generate<R: TryCryptoRng + ?Sized>(
        prefix: &Prefix,
        rng: &mut R,
    ) -> Result<Self, R::Error> {
        Self::generate_with_id(TokenId::generate(rng)?, prefix, rng)
    }

    /// Draws a secret for an id that is given.
    pub(crate) fn generate_with_id<R: TryCryptoRng + ?Sized>(
        id: TokenId,
        prefix: &Prefix,
        rng: &mut R,
    ) -> Result<Self, R::Error> {
        let capacity = prefix.as_bytes().len().saturating_add(LEN_AFTER_PREFIX);
        // The secret is drawn into its final place: a moved array or a grown `String` would
        // leave copies of it behind.
        let mut text = SecretBox::new(vec![0; capacity].into_boxed_slice());
        let mut rest = text.expose_secret_mut();
        for public in [prefix.as_bytes(), b"_", id.as_bytes(), b"_"] {
            let (place, after) = rest.split_at_mut(public.len());
            place.copy_from_slice(public);
            rest = after;
        }
        let (secret, _) = rest.split_at_mut(SECRET_LEN);
        base62::fill_random(rng, secret)?;
        if let Some((before, checksum)) =
            text.expose_secret_mut().split_last_chunk_mut::<{ base62::CHECKSUM_LEN }>()
        {
            *checksum = base62::checksum(before);
        }
        Ok(Self { text, id })
    }

    /// A token that was found somewhere, of which this is the whole text.
    #[cfg(feature = "leak")]
    pub(crate) fn from_text(id: TokenId, text: &[u8]) -> Self {
        Self { text: SecretBox::new(text.into()), id }
    }

    /// The token's public id.
    #[must_use]
    pub fn id(&self) -> TokenId {
        self.id
    }

    /// The whole text, which is what a client sends as its Bearer token.
    ///
    /// Show it to the person who asked for it, and keep it nowhere.
    #[must_use]
    pub fn expose_secret(&self) -> &str {
        // `generate` writes only ASCII, so this is never the default.
        core::str::from_utf8(self.text.expose_secret()).unwrap_or_default()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({})", self.id)
    }
}
