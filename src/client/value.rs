//! What a value must be to be a token, and what people do to it on the way.

use super::held::HeldToken;
use crate::{Prefix, TokenFormatError};

/// Makes a token of what a place holds.
pub(super) fn check(prefix: &Prefix, text: &[u8]) -> Result<HeldToken, Malformed> {
    let text = core::str::from_utf8(text).map_err(|_| Malformed::NotText)?;
    // Editors on Windows put a byte order mark before it.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text).trim();
    // The mistakes that can be told first, then the format, whose errors say less.
    if text.is_empty() {
        return Err(Malformed::Empty(*prefix));
    }
    let is_placeholder = ["$", "{{", "%", "PASTE-"].iter().any(|begin| text.starts_with(begin));
    if is_placeholder {
        return Err(Malformed::Unexpanded);
    }
    if text.starts_with(QUOTES) || text.ends_with(QUOTES) {
        return Err(Malformed::Quoted);
    }
    if text.get(.."Bearer ".len()).is_some_and(|start| start.eq_ignore_ascii_case("Bearer ")) {
        return Err(Malformed::Scheme);
    }
    if text.strip_prefix(prefix.as_str()).is_none_or(|rest| !rest.starts_with('_')) {
        return Err(Malformed::Prefix(*prefix));
    }
    if text.contains(char::is_whitespace) {
        return Err(Malformed::Spaced);
    }
    if !text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        return Err(Malformed::Alphabet);
    }
    HeldToken::new(prefix, text.as_bytes()).map_err(|error| match error {
        TokenFormatError::Length => Malformed::Length(text.len(), HeldToken::text_len(prefix)),
        _ => Malformed::Misspelt,
    })
}

const QUOTES: [char; 3] = ['"', '\'', '`'];

/// Nothing of the value stands in it.
#[derive(Debug, PartialEq, thiserror::Error)]
pub(super) enum Malformed {
    #[error("is not text in UTF-8: was it saved in another encoding?")]
    NotText,
    #[error("is empty: expected a token, which begins with {0}_")]
    Empty(Prefix),
    #[error("is a placeholder: whatever starts this program did not put the token in its place")]
    Unexpanded,
    #[error("stands in quotes: remove them")]
    Quoted,
    #[error("begins with `Bearer`: remove it, it is added when the token is sent")]
    Scheme,
    #[error("is not a token of this service: expected one that begins with {0}_")]
    Prefix(Prefix),
    #[error("has white space within: expected one token and nothing else")]
    Spaced,
    #[error("has a character that no token has: they consist of 0-9, A-Z, a-z and _")]
    Alphabet,
    #[error("has {0} characters and a token has {1}: {rest}; copy it again", rest = if .0 < .1 {
        "a part is missing"
    } else {
        "something comes after it"
    })]
    Length(usize, usize),
    #[error("is misspelt: its checksum tells that a character is wrong; copy it again")]
    Misspelt,
}
