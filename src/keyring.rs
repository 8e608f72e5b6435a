use core::fmt;
use std::{
    borrow::Cow,
    fs::File,
    io::{self, Read},
    path::Path,
};

use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use hkdf::Hkdf;
use rand::TryCryptoRng;
use secrecy::{ExposeSecret, ExposeSecretMut, SecretBox, SecretString};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::{
    Prefix,
    digest::{DigestKey, Digester},
};

/// The keys under which token digests are made: a current one, and others that are accepted too.
///
/// New tokens are digested under the current key. A token digested under an earlier key still
/// verifies, and is digested again under the current key when it is used, by the
/// [`Background`](crate::Background). [`Issuer::key_counts`](crate::Issuer::key_counts) says what
/// remains under each key, and [`Issuer::retire_key`](crate::Issuer::retire_key) drops one.
///
/// **Replacing a key on several nodes** takes two deployments. First every node learns of the new
/// key by [`with_upcoming`](Self::with_upcoming), while the old one stays current. Then the new one
/// becomes current, and the old one goes to [`with_earlier`](Self::with_earlier). A node that
/// meets a digest whose key it does not know answers with an outage (503), not with a refusal.
///
/// ```
/// use api_tokens::{Keyring, MasterKey};
/// use rand::rngs::SysRng;
///
/// let old = MasterKey::generate(&mut SysRng)?;
/// let new = MasterKey::generate(&mut SysRng)?;
/// let keyring = Keyring::new(new).with_earlier(old);
/// # Ok::<_, rand::rngs::SysError>(())
/// ```
pub struct Keyring {
    /// `None` is plain SHA-256, here and below.
    current: Option<MasterKey>,
    upcoming: Vec<Option<MasterKey>>,
    earlier: Vec<Option<MasterKey>>,
}

impl Keyring {
    /// A keyring with one key.
    #[must_use]
    pub fn new(current: MasterKey) -> Self {
        Self { current: Some(current), ..Self::unkeyed() }
    }

    /// No key: plain SHA-256, for those who will not manage a key.
    ///
    /// A token's secret has 232 random bits, so nobody can find it from its digest. What is lost:
    /// whoever can write to the database can plant a digest of their own and so make a token,
    /// and a token's digest is the same in every deployment.
    ///
    /// To move to a key later: `Keyring::new(key).with_earlier_unkeyed()`.
    #[must_use]
    pub fn unkeyed() -> Self {
        Self { current: None, upcoming: Vec::new(), earlier: Vec::new() }
    }

    /// Also accepts digests made under `key`, and leaves them as they are: for a key that other
    /// nodes have made current already.
    #[must_use]
    pub fn with_upcoming(mut self, key: MasterKey) -> Self {
        self.upcoming.push(Some(key));
        self
    }

    /// Also accepts digests made under `key`, and replaces them as tokens are used.
    #[must_use]
    pub fn with_earlier(mut self, key: MasterKey) -> Self {
        self.earlier.push(Some(key));
        self
    }

    /// Also accepts digests made without a key, by a deployment that used
    /// [`Keyring::unkeyed`] before, and replaces them as tokens are used.
    ///
    /// As long as it does, whoever can write to the database can make a token, and one that was
    /// used stays: it then has a digest under the key.
    #[must_use]
    pub fn with_earlier_unkeyed(mut self) -> Self {
        self.earlier.push(None);
        self
    }

    /// The keys derived for tokens of one prefix, ready for use.
    ///
    /// [`Verifier`](crate::Verifier) does this by itself; call it to make or check digests
    /// without a store.
    #[must_use]
    pub fn digester(&self, prefix: &Prefix) -> Digester {
        let derive = |key: &Option<MasterKey>| match key {
            Some(key) => key.digest_key(prefix),
            None => DigestKey::Unkeyed,
        };
        Digester {
            current: derive(&self.current),
            upcoming: self.upcoming.iter().map(derive).collect(),
            earlier: self.earlier.iter().map(derive).collect(),
        }
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring")
            .field("current", &self.current)
            .field("upcoming", &self.upcoming)
            .field("earlier", &self.earlier)
            .finish()
    }
}

/// A secret key of at least 32 random bytes, from which the digest keys of all prefixes are
/// derived (HKDF-SHA-256, RFC 5869).
///
/// Keep it apart from the database: the digests are worthless without it. Make one with
/// [`MasterKey::generate`] or `openssl rand -base64 32`. Zeroized on drop; `Debug` prints its
/// [`KeyId`] alone.
pub struct MasterKey {
    bytes: SecretBox<[u8]>,
    id: KeyId,
}

impl MasterKey {
    /// The least length of a key, in bytes.
    pub const MIN_LEN: usize = 32;

    /// The greatest length of a key file, in bytes.
    const MAX_FILE_LEN: u64 = 4096;

    /// Fewer different bytes than this, and a key of 32 bytes was not drawn at random
    /// (the chance is below 2^-80); hexadecimal text passes.
    const MIN_DIFFERENT_BYTES: usize = 10;

    /// Draws a key of 32 bytes from `rng`.
    ///
    /// # Errors
    ///
    /// The generator's own error.
    pub fn generate<R: TryCryptoRng + ?Sized>(rng: &mut R) -> Result<Self, R::Error> {
        let mut bytes = SecretBox::new(vec![0; Self::MIN_LEN].into_boxed_slice());
        rng.try_fill_bytes(bytes.expose_secret_mut())?;
        Ok(Self::from_secret(bytes))
    }

    /// A key from at least 32 random bytes.
    ///
    /// # Errors
    ///
    /// [`KeyError`] if there are fewer bytes, or if there are fewer than ten different ones among
    /// them, which no random key has. That it is random otherwise, nobody can check.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        Self::check(bytes).map_err(|problem| KeyError::new("the key", problem))
    }

    /// A key from base64 text (RFC 4648, either alphabet, padded or not) of at least 32 random
    /// bytes. White space at both ends is ignored.
    ///
    /// # Errors
    ///
    /// [`KeyError`] if the text is not base64, or for the reasons of
    /// [`from_bytes`](Self::from_bytes).
    pub fn from_base64(text: &str) -> Result<Self, KeyError> {
        Self::decode(text).map_err(|problem| KeyError::new("the key", problem))
    }

    /// A key from base64 text in an environment variable.
    ///
    /// # Errors
    ///
    /// [`KeyError`], which names the variable, if it is not set or for the reasons of
    /// [`from_base64`](Self::from_base64).
    pub fn from_env(variable: &str) -> Result<Self, KeyError> {
        match std::env::var(variable).map(Zeroizing::new) {
            Ok(text) => Self::decode(&text),
            Err(std::env::VarError::NotPresent) => Err(KeyProblem::NotSet),
            Err(std::env::VarError::NotUnicode(_)) => Err(KeyProblem::NotBase64),
        }
        .map_err(|problem| KeyError::new(format!("environment variable {variable}"), problem))
    }

    /// A key from a file that holds base64 text, such as a mounted secret.
    ///
    /// # Errors
    ///
    /// [`KeyError`], which names the file, if it cannot be read, has more than 4096 bytes, or for
    /// the reasons of [`from_base64`](Self::from_base64).
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, KeyError> {
        let path = path.as_ref();
        Self::read(path)
            .map_err(|problem| KeyError::new(format!("key file {}", path.display()), problem))
    }

    /// The key as base64 text, which [`from_base64`](Self::from_base64) and the others read.
    #[must_use]
    pub fn expose_base64(&self) -> SecretString {
        SecretString::from(
            base64::engine::general_purpose::STANDARD.encode(self.bytes.expose_secret()),
        )
    }

    /// The public name of this key, as it stands in the digests made under it.
    #[must_use]
    pub fn id(&self) -> KeyId {
        self.id
    }

    fn read(path: &Path) -> Result<Self, KeyProblem> {
        let file = File::open(path).map_err(KeyProblem::Unreadable)?;
        // Room for all of it, so that the buffer never moves and leaves a copy behind.
        let mut text = Zeroizing::new(Vec::with_capacity(2 * 4096));
        // One byte more than fits, to tell a file that is too long: cut off, it would make
        // another key than the same text makes elsewhere.
        file.take(Self::MAX_FILE_LEN + 1).read_to_end(&mut text).map_err(KeyProblem::Unreadable)?;
        if usize::try_from(Self::MAX_FILE_LEN).is_ok_and(|max| text.len() > max) {
            return Err(KeyProblem::FileTooLong);
        }
        Self::decode(core::str::from_utf8(&text).map_err(|_| KeyProblem::NotBase64)?)
    }

    fn decode(text: &str) -> Result<Self, KeyProblem> {
        let text = text.trim();
        let alphabet =
            if text.contains(['-', '_']) { &alphabet::URL_SAFE } else { &alphabet::STANDARD };
        let lenient =
            GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
        // Decoding shrinks, so the text's length is room enough.
        let mut bytes = Zeroizing::new(vec![0; text.len()]);
        let len = GeneralPurpose::new(alphabet, lenient)
            .decode_slice(text, &mut bytes)
            .map_err(|_| KeyProblem::NotBase64)?;
        Self::check(bytes.get(..len).unwrap_or_default())
    }

    fn check(bytes: &[u8]) -> Result<Self, KeyProblem> {
        if bytes.is_empty() {
            return Err(KeyProblem::Empty);
        }
        if bytes.len() < Self::MIN_LEN {
            return Err(KeyProblem::TooShort(bytes.len()));
        }
        let different = (0..=u8::MAX).filter(|byte| bytes.contains(byte)).count();
        if different < Self::MIN_DIFFERENT_BYTES {
            return Err(KeyProblem::NotRandom);
        }
        Ok(Self::from_secret(SecretBox::new(bytes.into())))
    }

    fn from_secret(bytes: SecretBox<[u8]>) -> Self {
        let mut id = [0; KeyId::LEN / 2];
        Self::expand(&bytes, &[b"key id"], &mut id);
        Self { bytes, id: KeyId::from_hash(id) }
    }

    /// The key for the digests of one prefix, so that a token of one prefix never verifies as
    /// one of another.
    fn digest_key(&self, prefix: &Prefix) -> DigestKey {
        // One block of SHA-256, the longest key that HMAC takes as it is.
        let mut key = Zeroizing::new([0; 64]);
        Self::expand(&self.bytes, &[b"digest\0", prefix.as_bytes()], key.as_mut_slice());
        DigestKey::hmac(self.id, &key)
    }

    /// Never change the salt or a label: every stored digest would become worthless.
    fn expand(bytes: &SecretBox<[u8]>, label: &[&[u8]], output: &mut [u8]) {
        let hkdf = Hkdf::<Sha256>::new(Some(b"api-tokens v1"), bytes.expose_secret());
        // HKDF-SHA-256 expands to up to 8,160 bytes; we ask for 64 at most.
        let expanded = hkdf.expand_multi_info(label, output);
        debug_assert!(expanded.is_ok());
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({})", self.id)
    }
}

/// The public name of a [`MasterKey`]: 12 hexadecimal digits derived from it.
///
/// It stands in every digest made under the key, and tells nothing about the key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct KeyId([u8; KeyId::LEN]);

impl KeyId {
    pub(crate) const LEN: usize = 12;

    fn from_hash(hash: [u8; Self::LEN / 2]) -> Self {
        let mut text = [0; Self::LEN];
        for (digits, byte) in text.chunks_exact_mut(2).zip(hash) {
            let hex = |nibble: u8| if nibble < 10 { b'0' + nibble } else { b'a' + (nibble - 10) };
            digits.copy_from_slice(&[hex(byte >> 4), hex(byte & 15)]);
        }
        Self(text)
    }

    pub(crate) fn from_text(text: &str) -> Option<Self> {
        let bytes: [u8; Self::LEN] = text.as_bytes().try_into().ok()?;
        bytes.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')).then_some(Self(bytes))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Every constructor lets only ASCII pass, so this is never the default.
        core::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl core::str::FromStr for KeyId {
    type Err = KeyIdError;

    fn from_str(text: &str) -> Result<Self, KeyIdError> {
        Self::from_text(text).ok_or(KeyIdError)
    }
}

impl TryFrom<String> for KeyId {
    type Error = KeyIdError;

    fn try_from(text: String) -> Result<Self, KeyIdError> {
        text.parse()
    }
}

impl From<KeyId> for String {
    fn from(id: KeyId) -> Self {
        id.as_str().to_owned()
    }
}

/// A text that is not a [`KeyId`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a key id must be 12 hexadecimal digits in lower case")]
pub struct KeyIdError;

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("KeyId").field(&self.as_str()).finish()
    }
}

/// Why there is no [`MasterKey`]: where it was looked for, and what is wrong there. It carries
/// nothing of what was found.
#[derive(thiserror::Error)]
#[error("{origin} {problem}")]
pub struct KeyError {
    origin: Cow<'static, str>,
    problem: KeyProblem,
}

/// Says the same as `Display`, since this is what a `main` that returns it prints.
impl fmt::Debug for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl KeyError {
    fn new(origin: impl Into<Cow<'static, str>>, problem: KeyProblem) -> Self {
        Self { origin: origin.into(), problem }
    }
}

#[derive(Debug, thiserror::Error)]
enum KeyProblem {
    #[error("is empty: expected at least 32 random bytes, which `openssl rand -base64 32` makes")]
    Empty,
    #[error(
        "has {0} bytes: expected at least 32 random bytes, which `openssl rand -base64 32` makes"
    )]
    TooShort(usize),
    #[error("is not random: it repeats a few bytes; `openssl rand -base64 32` makes a good one")]
    NotRandom,
    #[error("is not base64 text, such as `openssl rand -base64 32` prints")]
    NotBase64,
    #[error("is not set: expected a key as `openssl rand -base64 32` prints")]
    NotSet,
    #[error("has more than 4096 bytes: expected a key as `openssl rand -base64 32` prints")]
    FileTooLong,
    #[error("cannot be read: {0}")]
    Unreadable(io::Error),
}
