//! What a text is to a [`Redactor`](super::Redactor): more than a [`Finder`] takes for a token.

use super::{Finder, characters::MAX_LEN};
use crate::{
    ParsedToken, Prefix, TokenId,
    token::{
        SECRET_LEN,
        base62::{CHECKSUM_LEN, is_base62},
    },
};

/// What a token has after its id: secret and checksum.
pub(super) const AFTER_ID: usize = SECRET_LEN + CHECKSUM_LEN;

/// With so many characters of its secret, a text is taken for a token.
pub(super) const TELLING: usize = 20;

/// How long the beginning of a token can be before it is decided: another one may begin within it.
pub(super) const MAX_HELD: usize = MAX_LEN + Prefix::MAX_LEN + 1;

/// What was found in a text.
pub(super) enum Shape {
    Token {
        start: usize,
        end: usize,
        id: TokenId,
    },
    /// The text ends before it can be told. `cut` is what it would be if nothing else came.
    Beginning {
        start: usize,
        cut: Option<Cut>,
    },
    Other,
}

/// A token of which a part may be missing: its id, where the characters begin that come after that, and
/// how many they are.
pub(super) struct Cut {
    pub(super) id: TokenId,
    pub(super) secret_start: usize,
    pub(super) secret_len: usize,
}

impl Finder {
    /// The first token from `from` on, whole or cut off, or what may become one at the end.
    pub(super) fn shape_from(&self, text: &[u8], mut from: usize) -> Shape {
        while let Some(at) = self.plain().find(text, from) {
            match self.shape_at(text, at) {
                Shape::Other => from = at.saturating_add(1),
                shape => return shape,
            }
        }
        match self.beginning(text, from) {
            Some(start) => Shape::Beginning { start, cut: None },
            None => Shape::Other,
        }
    }

    /// Where, at the end of the text, a prefix begins that is not complete.
    pub(super) fn beginning(&self, text: &[u8], from: usize) -> Option<usize> {
        let from = from.max(text.len().saturating_sub(Prefix::MAX_LEN));
        (from..text.len()).find(|at| {
            let rest = text.get(*at..).unwrap_or_default();
            self.prefixes().iter().any(|prefix| prefix.as_bytes().starts_with(rest))
        })
    }

    fn shape_at(&self, text: &[u8], start: usize) -> Shape {
        let mut shape = Shape::Other;
        for prefix in self.prefixes() {
            match self.shape_of(prefix, text, start) {
                Shape::Other => {}
                token @ Shape::Token { .. } => return token,
                beginning @ Shape::Beginning { .. } => shape = beginning,
            }
        }
        shape
    }

    fn shape_of(&self, prefix: &Prefix, text: &[u8], start: usize) -> Shape {
        let undecided = Shape::Beginning { start, cut: None };
        let rest = text.get(start..).unwrap_or_default();
        let after_prefix =
            rest.strip_prefix(prefix.as_bytes()).and_then(|rest| rest.strip_prefix(b"_"));
        let Some(rest) = after_prefix else { return Shape::Other };
        let Some((id, rest)) = rest.split_first_chunk::<{ TokenId::LEN }>() else {
            return if is_base62(rest) { undecided } else { Shape::Other };
        };
        let Ok(id) = TokenId::from_bytes(id) else { return Shape::Other };
        let Some(rest) = rest.strip_prefix(b"_") else {
            return if rest.is_empty() { undecided } else { Shape::Other };
        };
        let begin = text.len().saturating_sub(rest.len());
        let is_secret = |byte: &&u8| byte.is_ascii_alphanumeric();
        let secret = rest.iter().take(AFTER_ID).take_while(is_secret).count();
        let end = begin.saturating_add(secret);
        let cut = Cut { id, secret_start: begin, secret_len: secret };
        if secret < AFTER_ID && end == text.len() {
            return Shape::Beginning { start, cut: Some(cut) };
        }
        let whole = text.get(start..end).unwrap_or_default();
        if ParsedToken::parse(prefix, whole).is_ok() {
            return Shape::Token { start, end, id };
        }
        // What follows the secret of one that was cut off may be the next one.
        let near =
            text.get(..end.saturating_add(Prefix::MAX_LEN).saturating_add(1)).unwrap_or(text);
        let next = self.plain().find(near, begin).filter(|next| *next < end);
        let secret_end = next.unwrap_or(end);
        if secret_end.saturating_sub(begin) < TELLING {
            Shape::Other
        } else if next.is_none() && self.beginning(text, begin).is_some_and(|next| next < end) {
            Shape::Beginning { start, cut: Some(cut) }
        } else {
            Shape::Token { start, end: secret_end, id }
        }
    }
}
