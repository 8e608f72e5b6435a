use crate::token::base62::is_base62;

/// How another system digests its tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Recipe {
    Sha256,
    Sanctum,
    RestFrameworkApiKey,
    Knox,
    Knox4,
    BetterAuth,
}

impl Recipe {
    /// Part of every digest: never change one.
    pub(super) fn name(self) -> &'static str {
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

pub(super) fn is_row_id(id: &[u8]) -> bool {
    (1..=36).contains(&id.len())
        && all(id, |byte| byte.is_ascii_alphanumeric() | matches!(byte, b'-'))
}

pub(super) fn is_key_prefix(prefix: &[u8]) -> bool {
    (1..=32).contains(&prefix.len()) && is_base62(prefix)
}

/// Reads every byte without a branch, since in a secret none could be guessed.
pub(super) fn all(bytes: &[u8], allowed: impl Fn(&u8) -> bool) -> bool {
    bytes.iter().fold(true, |all, byte| all & allowed(byte))
}

/// The bytes that an even number of hexadecimal digits stand for.
pub(super) fn decoded_hex(digits: &[u8]) -> impl Iterator<Item = u8> {
    // Letters of both cases have bit 6, and 1 to 6 in their last four bits.
    let nibble = |digit: u8| (digit & 15) + 9 * (digit >> 6);
    digits.as_chunks().0.iter().map(move |[high, low]| nibble(*high) << 4 | nibble(*low))
}
