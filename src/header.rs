#![warn(clippy::arithmetic_side_effects)]

use core::fmt;

/// What the `Authorization` fields of a request hold (RFC 9110 §11, RFC 6750 §2.1).
///
/// `Debug` leaves the token out.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Credentials<'a> {
    /// No field, or an empty one.
    Absent,
    /// Another authentication scheme than `Bearer`.
    OtherScheme,
    /// A Bearer token, well-formed as RFC 6750 has it, of at most
    /// [`Credentials::MAX_TOKEN_LEN`] bytes. Whether it is one of ours is not yet known.
    Bearer(&'a [u8]),
    /// More than one field, or no token after the scheme.
    InvalidRequest,
    /// What follows the scheme is not a Bearer token, or is too long.
    MalformedToken,
}

impl<'a> Credentials<'a> {
    /// The greatest length of a Bearer token, in bytes. The RFCs set no limit.
    pub const MAX_TOKEN_LEN: usize = 1024;

    /// Reads the values of **all** `Authorization` fields of a request: more than one is
    /// refused, since the field may not be repeated (RFC 9110 §5.3) and different programs
    /// would pick different ones.
    ///
    /// Neither allocates nor panics, whatever the bytes. A token that is too long is refused
    /// without being read.
    ///
    /// ```
    /// use api_tokens::Credentials;
    ///
    /// let read = |value: &'static str| Credentials::from_authorization([value.as_bytes()]);
    /// assert_eq!(read("Bearer abc123"), Credentials::Bearer(b"abc123"));
    /// assert_eq!(read("Basic dTpw"), Credentials::OtherScheme);
    /// assert_eq!(read("Bearer"), Credentials::InvalidRequest);
    /// assert_eq!(read("Bearer \"abc\""), Credentials::MalformedToken);
    /// assert_eq!(Credentials::from_authorization([]), Credentials::Absent);
    /// ```
    pub fn from_authorization(fields: impl IntoIterator<Item = &'a [u8]>) -> Self {
        Self::read(fields, is_b64token)
    }

    /// The same, but takes any visible ASCII for a token: other systems' tokens have characters
    /// that RFC 6750 does not allow, such as `|`.
    pub(crate) fn from_authorization_of_any(fields: impl IntoIterator<Item = &'a [u8]>) -> Self {
        Self::read(fields, is_visible)
    }

    fn read(fields: impl IntoIterator<Item = &'a [u8]>, is_token: fn(&[u8]) -> bool) -> Self {
        let mut fields = fields.into_iter();
        match (fields.next(), fields.next()) {
            (None, _) => Self::Absent,
            (Some(value), None) => Self::from_value(value, is_token),
            (Some(_), Some(_)) => Self::InvalidRequest,
        }
    }

    fn from_value(value: &'a [u8], is_token: fn(&[u8]) -> bool) -> Self {
        let value = trim(value);
        if value.is_empty() {
            return Self::Absent;
        }
        let rest = match value.split_at_checked(b"Bearer".len()) {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case(b"Bearer") => rest,
            _ => return Self::OtherScheme,
        };
        let mut token = match rest {
            [b' ', token @ ..] => token,
            // The scheme's name goes on: it is another one.
            [byte, ..] if is_tchar(*byte) => return Self::OtherScheme,
            _ => return Self::InvalidRequest,
        };
        while let [b' ', rest @ ..] = token {
            token = rest;
        }
        if is_token(token) { Self::Bearer(token) } else { Self::MalformedToken }
    }
}

/// Drops optional white space (RFC 9110 §5.6.3) at both ends.
fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = value {
        value = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// `tchar` of RFC 9110 §5.6.2.
fn is_tchar(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Visible ASCII, within the length limit.
fn is_visible(token: &[u8]) -> bool {
    (1..=Credentials::MAX_TOKEN_LEN).contains(&token.len())
        && token.iter().all(u8::is_ascii_graphic)
}

/// `b64token` of RFC 6750 §2.1, within the length limit.
fn is_b64token(token: &[u8]) -> bool {
    if token.len() > Credentials::MAX_TOKEN_LEN {
        return false;
    }
    let mut unpadded = token;
    while let [rest @ .., b'='] = unpadded {
        unpadded = rest;
    }
    let allowed = |byte: &u8| {
        byte.is_ascii_alphanumeric() | matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/')
    };
    // Reads every byte without a branch, since none could be guessed.
    !unpadded.is_empty() && unpadded.iter().fold(true, |all, byte| all & allowed(byte))
}

impl fmt::Debug for Credentials<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Absent => "Absent",
            Self::OtherScheme => "OtherScheme",
            Self::Bearer(_) => "Bearer(..)",
            Self::InvalidRequest => "InvalidRequest",
            Self::MalformedToken => "MalformedToken",
        })
    }
}

/// Whether the value of a `Content-Type` field is this media type, whatever its parameters (RFC 9110
/// §8.3.1).
#[cfg(any(feature = "management", feature = "reports"))]
pub(crate) fn has_media_type(value: &[u8], media_type: &str) -> bool {
    let essence = value.split(|byte| *byte == b';').next().unwrap_or_default();
    essence.trim_ascii().eq_ignore_ascii_case(media_type.as_bytes())
}
