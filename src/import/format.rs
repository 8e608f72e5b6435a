use std::borrow::Cow;

use sha2::{Digest, Sha256, Sha512};

use super::{
    recipe::{Recipe, all, decoded_hex, is_key_prefix, is_row_id},
    row::ImportedDigest,
};
use crate::token::base62::is_base62;

/// How the tokens of another system are recognised, and what that system stored of them: what it
/// takes to accept them without issuing them again.
///
/// Import each of the old system's rows as an [`ImportedDigest`]. When somebody presents a text,
/// [`digest_of`](Self::digest_of) makes the same `ImportedDigest` from it.
///
/// | Format | Text | Stored there |
/// |---|---|---|
/// | [`sha256`](Self::sha256) | any visible ASCII | SHA-256 of the text |
/// | [`sanctum`](Self::sanctum) | `12\|secret` | SHA-256 of the secret, hexadecimal |
/// | [`rest_framework_api_key`](Self::rest_framework_api_key) | `prefix.secret` | SHA-512 of the text, hexadecimal |
/// | [`knox`](Self::knox) | hexadecimal | SHA-512 of the text, hexadecimal |
/// | [`knox_4`](Self::knox_4) | hexadecimal | SHA-512 of the decoded text, hexadecimal |
/// | [`better_auth`](Self::better_auth) | letters, digits, `-`, `_` | SHA-256 of the text, base64url |
///
/// What an old system did *not* make sure of, no import can: how hard its tokens are to guess is
/// theirs, and its digests have no key, so that whoever can write to the database can plant one.
///
/// ```
/// use api_tokens::{ImportFormat, ImportedDigest};
///
/// // A row of the old system's database,
/// let row = ImportedDigest::sha256_hex(
///     "26187b6a58cc1be059a1d01c0a67827eb797ee9caf38d9cd2c97489ea6e8bf76",
/// )?;
/// // and what people send.
/// let format = ImportFormat::sha256().with_start("old_");
/// assert_eq!(format.digest_of(b"old_Qm3rLxCzT9"), Some(row));
/// assert_ne!(format.digest_of(b"old_Qm3rLxCzT8"), Some(row));
/// assert_eq!(format.digest_of(b"Qm3rLxCzT9"), None);
/// # Ok::<_, api_tokens::ImportError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportFormat {
    recipe: Recipe,
    start: Cow<'static, str>,
}

impl ImportFormat {
    /// The greatest length of an imported token, in bytes.
    pub const MAX_LEN: usize = 512;

    /// The whole text under SHA-256, as package registries and many homemade systems do it.
    ///
    /// Any visible ASCII is taken for such a token, and costs a look into the store. Give the
    /// characters that all of them begin with by [`with_start`](Self::with_start), if they do.
    #[must_use]
    pub fn sha256() -> Self {
        Self::new(Recipe::Sha256)
    }

    /// Laravel Sanctum: the row's id, `|`, and a secret of 40 characters and more.
    ///
    /// The id may be a number, a UUID or a ULID. Sanctum's earliest releases issued tokens without
    /// the id; those are [`sha256`](Self::sha256), and so is a token whose client leaves the id
    /// out, which Sanctum accepts. The row does not tell: import it both ways if you have such.
    #[must_use]
    pub fn sanctum() -> Self {
        Self::new(Recipe::Sanctum)
    }

    /// djangorestframework-api-key from release 3 on: a prefix of up to 32 letters and digits, a
    /// dot, and a secret of 16 to 128 letters and digits (by default 8 and 32).
    #[must_use]
    pub fn rest_framework_api_key() -> Self {
        Self::new(Recipe::RestFrameworkApiKey)
    }

    /// django-rest-knox from release 5 on: 32 to 256 hexadecimal digits (by default 64), after
    /// its `TOKEN_PREFIX`, which goes to [`with_start`](Self::with_start).
    #[must_use]
    pub fn knox() -> Self {
        Self::new(Recipe::Knox)
    }

    /// django-rest-knox before release 5, which digested the decoded token, so that release 5
    /// does not accept those tokens any more. 32 to 256 hexadecimal digits (by default 64).
    #[must_use]
    pub fn knox_4() -> Self {
        Self::new(Recipe::Knox4)
    }

    /// API keys of Better Auth: 32 characters and more (by default 64, and its `prefix`, which
    /// goes to [`with_start`](Self::with_start)).
    #[must_use]
    pub fn better_auth() -> Self {
        Self::new(Recipe::BetterAuth)
    }

    /// Requires a text to begin with `start`; with Sanctum, the secret after the id (its
    /// `token_prefix`). Another text is refused at once.
    ///
    /// It decides only what is looked up, and changes no digest.
    ///
    /// ```
    /// use api_tokens::ImportFormat;
    ///
    /// let format = ImportFormat::better_auth().with_start("shop_");
    /// let letters = "abcdefgh".repeat(8);
    /// assert!(format.digest_of(format!("shop_{letters}").as_bytes()).is_some());
    /// assert!(format.digest_of(letters.as_bytes()).is_none());
    /// ```
    #[must_use]
    pub fn with_start(self, start: impl Into<Cow<'static, str>>) -> Self {
        Self { start: start.into(), ..self }
    }

    fn new(recipe: Recipe) -> Self {
        Self { recipe, start: Cow::Borrowed("") }
    }

    /// What the old system would have stored of this text, if it can be one of its tokens.
    ///
    /// Neither allocates nor panics, and takes no more than [`MAX_LEN`](Self::MAX_LEN) bytes.
    /// What does not have the form of such a token costs no hash.
    ///
    /// ```
    /// use api_tokens::{ImportFormat, ImportedDigest};
    ///
    /// let row = ImportedDigest::sanctum(
    ///     "12",
    ///     "6f40fbdd80bb48cea16f9dcc24362686e676f7a5e1c5d88a2780f2152bb6d097",
    /// )?;
    ///
    /// let format = ImportFormat::sanctum();
    /// let secret = "V1StGXR8Z5jdHi6BmyT".repeat(3);
    /// assert_eq!(format.digest_of(format!("12|{secret}").as_bytes()), Some(row));
    /// assert_ne!(format.digest_of(format!("13|{secret}").as_bytes()), Some(row));
    /// assert_eq!(format.digest_of(b"12 | no token"), None);
    /// # Ok::<_, api_tokens::ImportError>(())
    /// ```
    #[must_use]
    pub fn digest_of(&self, text: &[u8]) -> Option<ImportedDigest> {
        if text.len() > Self::MAX_LEN || !all(text, u8::is_ascii_graphic) {
            return None;
        }
        let start = self.start.as_bytes();
        let digested = |public, digest: &[u8]| ImportedDigest::new(self.recipe, public, digest);
        match self.recipe {
            Recipe::Sha256 => {
                let rest = text.strip_prefix(start)?;
                (!rest.is_empty()).then(|| digested(b"", &Sha256::digest(text)))
            }
            Recipe::Sanctum => {
                let (id, secret) = split_at_byte(text, b'|')?;
                let random = secret.strip_prefix(start)?;
                (is_row_id(id) && random.len() >= 40).then(|| digested(id, &Sha256::digest(secret)))
            }
            Recipe::RestFrameworkApiKey => {
                let (prefix, secret) = split_at_byte(text.strip_prefix(start)?, b'.')?;
                (is_key_prefix(prefix) && (16..=128).contains(&secret.len()) && is_base62(secret))
                    .then(|| digested(prefix, &Sha512::digest(text)))
            }
            Recipe::Knox => {
                is_knox(text.strip_prefix(start)?).then(|| digested(b"", &Sha512::digest(text)))
            }
            Recipe::Knox4 => (text.starts_with(start) && is_knox(text)).then(|| {
                let mut hash = Sha512::new();
                decoded_hex(text).for_each(|byte| hash.update([byte]));
                digested(b"", &hash.finalize())
            }),
            Recipe::BetterAuth => {
                let rest = text.strip_prefix(start)?;
                let allowed =
                    |byte: &u8| byte.is_ascii_alphanumeric() | matches!(byte, b'-' | b'_');
                (rest.len() >= 32 && all(rest, allowed))
                    .then(|| digested(b"", &Sha256::digest(text)))
            }
        }
    }
}

fn is_knox(digits: &[u8]) -> bool {
    // Knox makes them of whole bytes, in lower case.
    (32..=256).contains(&digits.len())
        && digits.len().is_multiple_of(2)
        && all(digits, |byte| byte.is_ascii_digit() | matches!(byte, b'a'..=b'f'))
}

fn split_at_byte(text: &[u8], separator: u8) -> Option<(&[u8], &[u8])> {
    let mut parts = text.splitn(2, |byte| *byte == separator);
    Some((parts.next()?, parts.next()?))
}
