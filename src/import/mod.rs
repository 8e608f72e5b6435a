//! Tokens that another system issued, accepted without being issued again.

mod format;
mod recipe;
mod row;

pub use format::ImportFormat;
pub use row::{ImportError, ImportedDigest};

use crate::{DigestMatch, Digester, TokenDigest, TokenId};

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
