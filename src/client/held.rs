use core::fmt;

use bytes::Bytes;
use http::HeaderValue;
use zeroize::Zeroizing;

use crate::{ParsedToken, Prefix, TokenFormatError, TokenId, token};

/// A token as it is held now, ready to be sent.
///
/// `Debug` prints the id alone, and there is no `Display`, `Clone` or `Serialize`.
pub struct HeldToken {
    /// `Bearer` and the token: the one copy in this process, but for those that are being sent.
    authorization: HeaderValue,
    id: TokenId,
}

impl HeldToken {
    const SCHEME: &str = "Bearer ";

    pub(super) fn new(prefix: &Prefix, text: &[u8]) -> Result<Self, TokenFormatError> {
        let id = ParsedToken::parse(prefix, text)?.id();
        // In its final place at once, and zeroized there when the last request is done with it.
        let mut value = Zeroizing::new(Vec::with_capacity(Self::SCHEME.len() + text.len()));
        value.extend_from_slice(Self::SCHEME.as_bytes());
        value.extend_from_slice(text);
        let mut authorization = HeaderValue::from_maybe_shared(Bytes::from_owner(value))
            .map_err(|_| TokenFormatError::Alphabet)?;
        authorization.set_sensitive(true);
        Ok(Self { authorization, id })
    }

    /// The length of every token of this prefix.
    pub(super) fn text_len(prefix: &Prefix) -> usize {
        prefix.as_str().len() + token::LEN_AFTER_PREFIX
    }

    /// The token's public id, to log and show.
    #[must_use]
    pub fn id(&self) -> TokenId {
        self.id
    }

    /// The whole text.
    #[must_use]
    pub fn expose_secret(&self) -> &str {
        // `new` takes only ASCII, so this is never the default.
        let authorization = self.authorization.to_str().unwrap_or_default();
        authorization.strip_prefix(Self::SCHEME).unwrap_or_default()
    }

    /// The value of the field `Authorization`: `Bearer` and the token. It is marked as sensitive,
    /// so that it is not printed and HTTP/2 does not index it. Cloning it copies nothing.
    #[must_use]
    pub fn authorization(&self) -> HeaderValue {
        self.authorization.clone()
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.authorization == other.authorization
    }
}

impl fmt::Debug for HeldToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HeldToken({})", self.id)
    }
}
