use core::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::{KeyId, ParsedToken, TokenId};

/// What a store keeps of a token's secret: HMAC-SHA-256 over id and secret, and the name of the
/// key it was made under.
///
/// The stored form is the text that `Display` writes and `FromStr` reads; serde uses it too:
///
/// ```text
/// hmac-sha256:<key id, 12 hexadecimal digits>:<32 bytes, base64url without padding>
/// sha256:<32 bytes, base64url without padding>                (Keyring::unkeyed)
/// imported:<32 bytes, base64url without padding>              (ImportedDigest, until first used)
/// ```
///
/// Digests are compared in constant time, and `Debug` leaves the 32 bytes out: without the key
/// they are worthless, but a log is no place for them.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct TokenDigest {
    algorithm: Algorithm,
    bytes: [u8; 32],
}

/// What the 32 bytes are. Only the first two are made by a [`DigestKey`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Algorithm {
    Hmac(KeyId),
    Unkeyed,
    Imported,
}

impl TokenDigest {
    pub(crate) fn imported(bytes: [u8; 32]) -> Self {
        Self { algorithm: Algorithm::Imported, bytes }
    }

    /// The key it was made under; `None` for plain SHA-256, and for what was imported.
    #[must_use]
    pub fn key_id(&self) -> Option<KeyId> {
        match self.algorithm {
            Algorithm::Hmac(key_id) => Some(key_id),
            Algorithm::Unkeyed | Algorithm::Imported => None,
        }
    }

    /// Whether it came from another system, as an [`ImportedDigest`](crate::ImportedDigest), and
    /// its token was not used since.
    #[must_use]
    pub fn is_imported(&self) -> bool {
        self.algorithm == Algorithm::Imported
    }
}

impl PartialEq for TokenDigest {
    fn eq(&self, other: &Self) -> bool {
        self.algorithm == other.algorithm && equal(&self.bytes, &other.bytes)
    }
}

impl Eq for TokenDigest {}

/// Compares in constant time: four words, where `subtle` would take 32 single bytes (36 ns).
pub(crate) fn equal(a: &[u8; 32], b: &[u8; 32]) -> bool {
    let words = |bytes: &[u8; 32]| {
        let (words, _) = bytes.as_chunks();
        [0, 1, 2, 3].map(|i| words.get(i).map_or(0, |word| u64::from_ne_bytes(*word)))
    };
    words(a).ct_eq(&words(b)).into()
}

impl fmt::Display for TokenDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.algorithm {
            Algorithm::Hmac(key_id) => write!(f, "hmac-sha256:{key_id}:")?,
            Algorithm::Unkeyed => f.write_str("sha256:")?,
            Algorithm::Imported => f.write_str("imported:")?,
        }
        f.write_str(&URL_SAFE_NO_PAD.encode(self.bytes))
    }
}

impl fmt::Debug for TokenDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut output = f.debug_struct("TokenDigest");
        match self.algorithm {
            Algorithm::Imported => output.field("imported", &true),
            Algorithm::Hmac(_) | Algorithm::Unkeyed => output.field("key_id", &self.key_id()),
        };
        output.finish_non_exhaustive()
    }
}

impl core::str::FromStr for TokenDigest {
    type Err = TokenDigestError;

    fn from_str(text: &str) -> Result<Self, TokenDigestError> {
        let (algorithm, rest) = text.split_once(':').ok_or(TokenDigestError)?;
        let (algorithm, bytes) = match algorithm {
            "hmac-sha256" => {
                let (key_id, bytes) = rest.split_once(':').ok_or(TokenDigestError)?;
                (Algorithm::Hmac(KeyId::from_text(key_id).ok_or(TokenDigestError)?), bytes)
            }
            "sha256" => (Algorithm::Unkeyed, rest),
            "imported" => (Algorithm::Imported, rest),
            _ => return Err(TokenDigestError),
        };
        let mut decoded = [0; 32];
        match URL_SAFE_NO_PAD.decode_slice(bytes, &mut decoded) {
            Ok(32) => Ok(Self { algorithm, bytes: decoded }),
            _ => Err(TokenDigestError),
        }
    }
}

impl TryFrom<String> for TokenDigest {
    type Error = TokenDigestError;

    fn try_from(text: String) -> Result<Self, TokenDigestError> {
        text.parse()
    }
}

impl From<TokenDigest> for String {
    fn from(digest: TokenDigest) -> Self {
        digest.to_string()
    }
}

/// A text that is not the stored form of a [`TokenDigest`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a token digest")]
pub struct TokenDigestError;

/// The keys of a [`Keyring`](crate::Keyring) for tokens of one prefix, each prepared so that a
/// digest costs two SHA-256 compressions.
///
/// ```
/// use api_tokens::{DigestMatch, Keyring, MasterKey, ParsedToken, Token, prefix};
/// use rand::rngs::SysRng;
///
/// let prefix = prefix!("acme_live");
/// let digester = Keyring::new(MasterKey::generate(&mut SysRng)?).digester(&prefix);
///
/// let token = Token::generate(&prefix, &mut SysRng)?;
/// let token = ParsedToken::parse(&prefix, token.expose_secret().as_bytes())?;
/// let stored = digester.digest(&token).to_string();
///
/// assert_eq!(digester.verify(&token, &stored.parse()?), DigestMatch::Current);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
pub struct Digester {
    pub(crate) current: DigestKey,
    pub(crate) upcoming: Vec<DigestKey>,
    pub(crate) earlier: Vec<DigestKey>,
}

impl Digester {
    /// The digest under the current key.
    #[must_use]
    pub fn digest(&self, token: &ParsedToken<'_>) -> TokenDigest {
        self.digest_parts(parts(&token.id(), token.secret()))
    }

    /// Whether a digest was made under the current key.
    pub(crate) fn is_current(&self, digest: &TokenDigest) -> bool {
        self.current.algorithm() == digest.algorithm
    }

    pub(crate) fn knows(&self, key: Option<KeyId>) -> bool {
        let others = self.upcoming.iter().chain(&self.earlier);
        core::iter::once(&self.current).chain(others).any(|other| other.id() == key)
    }

    /// The same without an earlier or upcoming key; `None` if that is none of these.
    pub(crate) fn without(&self, key: Option<KeyId>) -> Option<Self> {
        let others = |keys: &[DigestKey]| -> Vec<DigestKey> {
            keys.iter().filter(|other| other.id() != key).cloned().collect()
        };
        let remaining = Self {
            current: self.current.clone(),
            upcoming: others(&self.upcoming),
            earlier: others(&self.earlier),
        };
        let count = |digester: &Self| (digester.upcoming.len(), digester.earlier.len());
        (count(&remaining) != count(self)).then_some(remaining)
    }

    /// Compares a token with a stored digest, in constant time.
    ///
    /// Says nothing of the token's status, nor, without a key, of its prefix: only
    /// [`Verifier::verify`](crate::Verifier::verify) decides.
    ///
    /// A digest that was imported and not used since matches none of these tokens:
    /// [`verify_imported`](Self::verify_imported) is for those.
    #[must_use]
    pub fn verify(&self, token: &ParsedToken<'_>, stored: &TokenDigest) -> DigestMatch {
        self.verify_parts(parts(&token.id(), token.secret()), stored)
    }

    pub(crate) fn digest_parts<const N: usize>(&self, message: [&[u8]; N]) -> TokenDigest {
        self.current.digest(message)
    }

    pub(crate) fn verify_parts<const N: usize>(
        &self,
        message: [&[u8]; N],
        stored: &TokenDigest,
    ) -> DigestMatch {
        let is_theirs = |key: &&DigestKey| key.algorithm() == stored.algorithm;
        let mut kept = core::iter::once(&self.current).chain(&self.upcoming);
        let (key, right) = if let Some(key) = kept.find(is_theirs) {
            (key, DigestMatch::Current)
        } else if let Some(key) = self.earlier.iter().find(is_theirs) {
            (key, DigestMatch::Earlier)
        } else if stored.is_imported() {
            // No key makes these. The same hash as for another wrong secret.
            core::hint::black_box(self.digest_parts(message));
            return DigestMatch::Mismatch;
        } else {
            return DigestMatch::UnknownKey;
        };
        if equal(&key.digest(message).bytes, &stored.bytes) { right } else { DigestMatch::Mismatch }
    }
}

/// What is digested of our own tokens. Id and secret are 55 bytes together: with SHA-256's padding
/// they fill one block. The id binds the digest to its row, so that digests cannot be swapped
/// between rows.
fn parts<'a>(id: &'a TokenId, secret: &'a [u8]) -> [&'a [u8]; 2] {
    [id.as_bytes(), secret]
}

impl fmt::Debug for Digester {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids = |keys: &[DigestKey]| keys.iter().map(DigestKey::id).collect::<Vec<_>>();
        f.debug_struct("Digester")
            .field("current", &self.current.id())
            .field("upcoming", &ids(&self.upcoming))
            .field("earlier", &ids(&self.earlier))
            .finish()
    }
}

/// What [`Digester::verify`] and [`Digester::verify_imported`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DigestMatch {
    /// The token's secret is right; the digest was made under the current key, or an upcoming one.
    Current,
    /// The token's secret is right; the digest was made under an earlier key, or imported, and
    /// should be replaced.
    Earlier,
    /// The token's secret is wrong.
    Mismatch,
    /// The digest was made under a key that is not in the keyring, so nothing can be said.
    UnknownKey,
}

/// One key, as the keyed state that each digest starts from.
#[derive(Clone)]
pub(crate) enum DigestKey {
    Hmac { id: KeyId, state: Hmac<Sha256> },
    Unkeyed,
}

impl DigestKey {
    pub(crate) fn hmac(id: KeyId, key: &[u8; 64]) -> Self {
        Self::Hmac { id, state: Hmac::new(key.into()) }
    }

    fn id(&self) -> Option<KeyId> {
        match self {
            Self::Hmac { id, .. } => Some(*id),
            Self::Unkeyed => None,
        }
    }

    fn algorithm(&self) -> Algorithm {
        self.id().map_or(Algorithm::Unkeyed, Algorithm::Hmac)
    }

    fn digest<const N: usize>(&self, message: [&[u8]; N]) -> TokenDigest {
        let bytes = match self {
            Self::Hmac { state, .. } => {
                let mut mac = state.clone();
                for part in message {
                    mac.update(part);
                }
                mac.finalize().into_bytes()
            }
            Self::Unkeyed => {
                let mut hash = Sha256::new();
                for part in message {
                    hash.update(part);
                }
                hash.finalize()
            }
        };
        TokenDigest { algorithm: self.algorithm(), bytes: bytes.into() }
    }
}
