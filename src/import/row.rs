use core::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};

use super::recipe::{Recipe, decoded_hex, is_key_prefix, is_row_id};
use crate::{TokenDigest, TokenId, digest::equal};

/// What another system stored of a token's secret, ready to be the digest of one of our records.
///
/// Made from a row of that system's database by the functions below, or from a presented text by
/// [`ImportFormat::digest_of`](crate::ImportFormat::digest_of): both ways give the same for the
/// same token. Whoever knows it cannot make the token of it.
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
    /// [`ImportFormat::digest_of`](crate::ImportFormat::digest_of).
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
    pub(super) fn new(recipe: Recipe, public: &[u8], digest: &[u8]) -> Self {
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
