use core::fmt;
use std::borrow::Cow;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256, Sha512};

use crate::{DigestMatch, Digester, TokenDigest, TokenId, digest::equal, token::base62::is_base62};

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

/// What another system stored of a token's secret, ready to be the digest of one of our records.
///
/// Made from a row of that system's database by the functions below, or from a presented text by
/// [`ImportFormat::digest_of`]: both ways give the same for the same token. Whoever knows it
/// cannot make the token of it.
///
/// Compared in constant time. `Debug` prints the id alone.
///
/// ```
/// use api_tokens::{ImportFormat, ImportedDigest};
///
/// // A registry's row, as bytes.
/// let digest = [
///     0x26, 0x18, 0x7b, 0x6a, 0x58, 0xcc, 0x1b, 0xe0,
///     0x59, 0xa1, 0xd0, 0x1c, 0x0a, 0x67, 0x82, 0x7e,
///     0xb7, 0x97, 0xee, 0x9c, 0xaf, 0x38, 0xd9, 0xcd,
///     0x2c, 0x97, 0x48, 0x9e, 0xa6, 0xe8, 0xbf, 0x76,
/// ];
/// let row = ImportedDigest::sha256(&digest);
///
/// // What the record has: an id by which a presented text finds it, and a digest.
/// let presented = ImportFormat::sha256().digest_of(b"old_Qm3rLxCzT9");
/// assert_eq!(presented.map(|presented| presented.id()), Some(row.id()));
/// assert!(row.digest().to_string().starts_with("imported:"));
/// ```
#[derive(Clone, Copy)]
pub struct ImportedDigest([u8; 32]);

impl ImportedDigest {
    /// A row that has the SHA-256 of the whole token.
    #[must_use]
    pub fn sha256(digest: &[u8; 32]) -> Self {
        Self::new(Recipe::Sha256, b"", digest)
    }

    /// A row that has the SHA-256 of the whole token as hexadecimal digits of either case.
    ///
    /// # Errors
    ///
    /// [`ImportError::NotSha256`] if these are not 64 hexadecimal digits.
    ///
    /// ```
    /// use api_tokens::{ImportError, ImportFormat, ImportedDigest};
    ///
    /// let row = ImportedDigest::sha256_hex(
    ///     "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    /// )?;
    /// assert_eq!(ImportFormat::sha256().digest_of(b"test"), Some(row));
    /// # Ok::<_, ImportError>(())
    /// ```
    pub fn sha256_hex(digest: &str) -> Result<Self, ImportError> {
        Ok(Self::sha256(&decode_hex(digest).ok_or(ImportError::NotSha256)?))
    }

    /// A row of Laravel Sanctum's table `personal_access_tokens`: its columns `id` and `token`.
    ///
    /// # Errors
    ///
    /// - [`ImportError::RowId`] if the id is not 1 to 36 letters, digits and hyphens.
    /// - [`ImportError::NotSha256`] if the token is not 64 hexadecimal digits.
    ///
    /// ```
    /// use api_tokens::ImportedDigest;
    ///
    /// let token = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    /// let row = ImportedDigest::sanctum("12", token)?;
    /// assert_ne!(row, ImportedDigest::sanctum("13", token)?);
    /// # Ok::<_, api_tokens::ImportError>(())
    /// ```
    pub fn sanctum(id: &str, token: &str) -> Result<Self, ImportError> {
        if !is_row_id(id.as_bytes()) {
            return Err(ImportError::RowId);
        }
        let digest: [u8; 32] = decode_hex(token).ok_or(ImportError::NotSha256)?;
        Ok(Self::new(Recipe::Sanctum, id.as_bytes(), &digest))
    }

    /// A row of djangorestframework-api-key's table `rest_framework_api_key_apikey`, or of another
    /// model made from its `AbstractAPIKey`: its columns `prefix` and `hashed_key`.
    ///
    /// Releases before 3 hashed keys as passwords. Such a row cannot be imported, since its salt
    /// is needed to check a key; release 3 replaces it when the key is used.
    ///
    /// # Errors
    ///
    /// - [`ImportError::KeyPrefix`] if the prefix is not 1 to 32 letters and digits.
    /// - [`ImportError::PasswordHash`] if the key was hashed as a password.
    /// - [`ImportError::NotSha512`] if `sha512$$` is not followed by 128 hexadecimal digits.
    ///
    /// ```
    /// use api_tokens::{ImportError, ImportedDigest};
    ///
    /// let digest = "ee26b0dd4af7e749aa1a8ee3c10ae9923f618980772e473f8819a5d4940e0db2\
    ///               7ac185f8a0e1d5f84f88bc887fd67b143732c304cc5fa9ad8e6f57f50028a8ff";
    /// let row = ImportedDigest::rest_framework_api_key("aB3dE6gH", &format!("sha512$${digest}"))?;
    /// assert_eq!(row.id(), row.id());
    ///
    /// let old = ImportedDigest::rest_framework_api_key("aB3dE6gH", "pbkdf2_sha256$1$salt$hash");
    /// assert_eq!(old, Err(ImportError::PasswordHash));
    /// # Ok::<_, ImportError>(())
    /// ```
    pub fn rest_framework_api_key(prefix: &str, hashed_key: &str) -> Result<Self, ImportError> {
        if !is_key_prefix(prefix.as_bytes()) {
            return Err(ImportError::KeyPrefix);
        }
        let digest: [u8; 64] = match hashed_key.strip_prefix("sha512$$") {
            Some(digest) => decode_hex(digest).ok_or(ImportError::NotSha512)?,
            None if hashed_key.contains('$') => return Err(ImportError::PasswordHash),
            None => return Err(ImportError::NotSha512),
        };
        Ok(Self::new(Recipe::RestFrameworkApiKey, prefix.as_bytes(), &digest))
    }

    /// A row of django-rest-knox's table `knox_authtoken`, made by release 5 or later: its column
    /// `digest`.
    ///
    /// Releases before 5 digested something else: [`knox_4`](Self::knox_4). The row does not tell
    /// which made it; a token of the other never matches. Of the settings of
    /// `SECURE_HASH_ALGORITHM` only SHA-512, the default, and SHA-256 can be imported, the latter
    /// by [`sha256_hex`](Self::sha256_hex).
    ///
    /// # Errors
    ///
    /// [`ImportError::NotSha512`] if these are not 128 hexadecimal digits.
    ///
    /// ```
    /// use api_tokens::ImportedDigest;
    ///
    /// let row = ImportedDigest::knox(&"5e".repeat(64))?;
    /// assert_ne!(row, ImportedDigest::knox_4(&"5e".repeat(64))?);
    /// # Ok::<_, api_tokens::ImportError>(())
    /// ```
    pub fn knox(digest: &str) -> Result<Self, ImportError> {
        let digest: [u8; 64] = decode_hex(digest).ok_or(ImportError::NotSha512)?;
        Ok(Self::new(Recipe::Knox, b"", &digest))
    }

    /// A row of django-rest-knox made by a release before 5: see [`knox`](Self::knox).
    ///
    /// # Errors
    ///
    /// [`ImportError::NotSha512`] if these are not 128 hexadecimal digits.
    pub fn knox_4(digest: &str) -> Result<Self, ImportError> {
        let digest: [u8; 64] = decode_hex(digest).ok_or(ImportError::NotSha512)?;
        Ok(Self::new(Recipe::Knox4, b"", &digest))
    }

    /// A row of Better Auth's table `apikey`: its column `key`.
    ///
    /// With the option `disableKeyHashing` the column has the key itself: import those with
    /// [`ImportFormat::digest_of`].
    ///
    /// # Errors
    ///
    /// [`ImportError::NotBase64`] if this is not the base64url text of 32 bytes, unpadded.
    ///
    /// ```
    /// use api_tokens::{ImportError, ImportedDigest};
    ///
    /// let row = ImportedDigest::better_auth("n4bQgYhMfWWaL-qgxVrQFaO_TxsrC4Is0V1sFbDwCgg")?;
    /// assert_eq!(row.id().as_str().len(), 16);
    ///
    /// let plain = ImportedDigest::better_auth(&"abcdefgh".repeat(8));
    /// assert_eq!(plain, Err(ImportError::NotBase64));
    /// # Ok::<_, ImportError>(())
    /// ```
    pub fn better_auth(key: &str) -> Result<Self, ImportError> {
        let mut digest = [0; 32];
        match URL_SAFE_NO_PAD.decode_slice(key, &mut digest) {
            Ok(32) => Ok(Self::new(Recipe::BetterAuth, b"", &digest)),
            _ => Err(ImportError::NotBase64),
        }
    }

    /// The id of the token's record: derived from the digest, so that the record can be found by
    /// a text that holds no id of ours. As public as any id.
    #[must_use]
    pub fn id(&self) -> TokenId {
        let hash = Sha256::new().chain_update(b"api-tokens v1\0imported id\0").chain_update(self.0);
        TokenId::from_hash(&hash.finalize().into())
    }

    /// What the token's record holds until the token is first used:
    /// [`TokenDigest::is_imported`].
    #[must_use]
    pub fn digest(&self) -> TokenDigest {
        TokenDigest::imported(self.0)
    }

    /// Never change a byte of it: no imported token would be found any more.
    ///
    /// Neither the recipe's name nor the public part has a zero byte, so no two rows are hashed as
    /// the same bytes. The public part keeps a secret from passing under another row's id.
    fn new(recipe: Recipe, public: &[u8], digest: &[u8]) -> Self {
        let hash = Sha256::new()
            .chain_update(b"api-tokens v1\0imported digest\0")
            .chain_update(recipe.name())
            .chain_update(b"\0")
            .chain_update(public)
            .chain_update(b"\0")
            .chain_update(digest);
        Self(hash.finalize().into())
    }
}

impl PartialEq for ImportedDigest {
    fn eq(&self, other: &Self) -> bool {
        equal(&self.0, &other.0)
    }
}

impl Eq for ImportedDigest {}

impl fmt::Debug for ImportedDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ImportedDigest").field("id", &self.id()).finish_non_exhaustive()
    }
}

/// Tokens that another system issued.
impl Digester {
    /// The digest of an imported token under the current key, which its record holds once the
    /// token was used. It covers the whole presented text.
    ///
    /// The zero byte between keeps it apart from the digests of our own tokens, which cover 55
    /// letters and digits.
    ///
    /// ```
    /// use api_tokens::{DigestMatch, ImportFormat, Keyring, MasterKey, prefix};
    /// use rand::rngs::SysRng;
    ///
    /// let keyring = Keyring::new(MasterKey::generate(&mut SysRng)?);
    /// let digester = keyring.digester(&prefix!("acme_live"));
    /// let text = b"old_Qm3rLxCzT9";
    /// let imported = ImportFormat::sha256().digest_of(text).ok_or("not such a token")?;
    ///
    /// // As imported, it should be replaced;
    /// let found = digester.verify_imported(text, &imported, &imported.digest());
    /// assert_eq!(found, DigestMatch::Earlier);
    ///
    /// // from then on, it is like any other.
    /// let stored = digester.digest_imported(&imported.id(), text);
    /// assert_eq!(digester.verify_imported(text, &imported, &stored), DigestMatch::Current);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn digest_imported(&self, id: &TokenId, text: &[u8]) -> TokenDigest {
        self.digest_parts([id.as_bytes(), b"\0", text])
    }

    /// Compares the text of an imported token with a stored digest, in constant time; `imported`
    /// is what [`ImportFormat::digest_of`] made of the same text.
    ///
    /// A digest that was imported and not replaced since is [`DigestMatch::Earlier`], whatever the
    /// keyring.
    #[must_use]
    pub fn verify_imported(
        &self,
        text: &[u8],
        imported: &ImportedDigest,
        stored: &TokenDigest,
    ) -> DigestMatch {
        if !stored.is_imported() {
            self.verify_parts([imported.id().as_bytes(), b"\0", text], stored)
        } else if imported.digest() == *stored {
            DigestMatch::Earlier
        } else {
            DigestMatch::Mismatch
        }
    }
}

/// Why a row of another system cannot be imported. It carries nothing of the row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// SHA-256 as hexadecimal digits was expected.
    #[error("the digest must be 64 hexadecimal digits, a SHA-256")]
    NotSha256,
    /// SHA-512 as hexadecimal digits was expected.
    #[error("the digest must be 128 hexadecimal digits, a SHA-512")]
    NotSha512,
    /// SHA-256 as base64url without padding was expected.
    #[error("the digest must be 43 characters of base64url, a SHA-256")]
    NotBase64,
    /// The id of a Sanctum row was expected.
    #[error("the row's id must be 1 to 36 letters, digits and hyphens")]
    RowId,
    /// The prefix of a djangorestframework-api-key row was expected.
    #[error("the key's prefix must be 1 to 32 letters and digits")]
    KeyPrefix,
    /// The key was hashed as a password, by djangorestframework-api-key before release 3.
    #[error(
        "the key was hashed as a password and cannot be imported; \
         djangorestframework-api-key 3 replaces the hash when the key is used"
    )]
    PasswordHash,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Recipe {
    Sha256,
    Sanctum,
    RestFrameworkApiKey,
    Knox,
    Knox4,
    BetterAuth,
}

impl Recipe {
    /// Part of every digest: never change one.
    fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sanctum => "sanctum",
            Self::RestFrameworkApiKey => "djangorestframework-api-key",
            Self::Knox => "django-rest-knox",
            Self::Knox4 => "django-rest-knox 4",
            Self::BetterAuth => "better-auth",
        }
    }
}

fn is_row_id(id: &[u8]) -> bool {
    (1..=36).contains(&id.len()) && all(id, |byte| byte.is_ascii_alphanumeric() | (*byte == b'-'))
}

fn is_key_prefix(prefix: &[u8]) -> bool {
    (1..=32).contains(&prefix.len()) && is_base62(prefix)
}

fn is_knox(digits: &[u8]) -> bool {
    // Knox makes them of whole bytes, in lower case.
    (32..=256).contains(&digits.len())
        && digits.len().is_multiple_of(2)
        && all(digits, |byte| byte.is_ascii_digit() | matches!(byte, b'a'..=b'f'))
}

/// Reads every byte without a branch, since in a secret none could be guessed.
fn all(bytes: &[u8], allowed: impl Fn(&u8) -> bool) -> bool {
    bytes.iter().fold(true, |all, byte| all & allowed(byte))
}

fn split_at_byte(text: &[u8], separator: u8) -> Option<(&[u8], &[u8])> {
    let mut parts = text.splitn(2, |byte| *byte == separator);
    Some((parts.next()?, parts.next()?))
}

/// The bytes that an even number of hexadecimal digits stand for.
fn decoded_hex(digits: &[u8]) -> impl Iterator<Item = u8> {
    // Letters of both cases have bit 6, and 1 to 6 in their last four bits.
    let nibble = |digit: u8| (digit & 15) + 9 * (digit >> 6);
    digits.as_chunks().0.iter().map(move |[high, low]| nibble(*high) << 4 | nibble(*low))
}

fn decode_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != 2 * N || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut bytes = [0; N];
    for (place, byte) in bytes.iter_mut().zip(decoded_hex(text.as_bytes())) {
        *place = byte;
    }
    Some(bytes)
}
