//! Reading a token that is written in some way, from a place where it may begin.

use zeroize::Zeroizing;

use super::Encoding;
use crate::{ParsedToken, Prefix, TokenId, token::LEN_AFTER_PREFIX};

/// Length of the longest token there can be, in characters.
pub(super) const MAX_LEN: usize = Prefix::MAX_LEN + LEN_AFTER_PREFIX;

/// Between two line breaks within base64 stand at least as many characters.
pub(super) const MIN_WRAP: usize = 16;

/// And after a line break at most so much white space.
pub(super) const MAX_INDENT: usize = 16;

/// A way of writing, exactly: an [`Encoding`], and what it leaves open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Coding {
    Plain,
    Utf16 {
        big_endian: bool,
    },
    Percent,
    Json,
    /// So many bytes stand before the token in its first group of three.
    Base64 {
        before: u8,
    },
    Hex {
        upper: bool,
    },
}

impl Coding {
    /// What there is of an encoding.
    pub(super) fn of(encoding: Encoding) -> &'static [Self] {
        match encoding {
            Encoding::Plain => &[Coding::Plain],
            Encoding::Utf16 => {
                &[Coding::Utf16 { big_endian: false }, Coding::Utf16 { big_endian: true }]
            }
            Encoding::Percent => &[Coding::Percent],
            Encoding::Json => &[Coding::Json],
            Encoding::Base64 => &[
                Coding::Base64 { before: 0 },
                Coding::Base64 { before: 1 },
                Coding::Base64 { before: 2 },
            ],
            Encoding::Hex => &[Coding::Hex { upper: false }, Coding::Hex { upper: true }],
        }
    }

    pub(super) fn encoding(self) -> Encoding {
        match self {
            Self::Plain => Encoding::Plain,
            Self::Utf16 { .. } => Encoding::Utf16,
            Self::Percent => Encoding::Percent,
            Self::Json => Encoding::Json,
            Self::Base64 { .. } => Encoding::Base64,
            Self::Hex { .. } => Encoding::Hex,
        }
    }

    /// What stands before the two digits of a character that is escaped.
    pub(super) fn escape(self) -> &'static [u8] {
        match self {
            Self::Percent => b"%",
            Self::Json => br"\u00",
            _ => b"",
        }
    }

    /// How much room a token of so many characters can take, in bytes.
    pub(super) fn max_len(self, characters: usize) -> usize {
        match self {
            Self::Plain => characters,
            Self::Utf16 { .. } | Self::Hex { .. } => characters.saturating_mul(2),
            Self::Percent => characters.saturating_mul(3),
            Self::Json => characters.saturating_mul(6),
            Self::Base64 { .. } => {
                // Two more at the most, which it shares with its neighbours.
                let sextets = characters.saturating_mul(8).div_ceil(6).saturating_add(1);
                let breaks = (sextets / MIN_WRAP).saturating_add(1);
                sextets.saturating_add(breaks.saturating_mul(2 + MAX_INDENT))
            }
        }
    }
}

/// Calls `found` with the text, the id and the end of the token that begins at `start`, if one does.
///
/// Looks at no byte before `start`, and at none after the end: whether a token is there depends on
/// its own bytes alone.
pub(super) fn token_at<R>(
    prefix: &Prefix,
    coding: Coding,
    bytes: &[u8],
    start: usize,
    found: impl FnOnce(&[u8], TokenId, usize) -> R,
) -> Option<R> {
    let len = ParsedToken::len(prefix);
    if coding == Coding::Plain {
        let end = start.checked_add(len)?;
        let text = bytes.get(start..end)?;
        let id = ParsedToken::parse(prefix, text).ok()?.id();
        return Some(found(text, id, end));
    }
    let mut characters = Characters::new(coding, bytes, start);
    for expected in prefix.as_bytes() {
        if characters.next()? != *expected {
            return None;
        }
    }
    let mut text = Zeroizing::new([0; MAX_LEN]);
    let (begin, rest) = text.get_mut(..len)?.split_at_mut_checked(prefix.as_bytes().len())?;
    begin.copy_from_slice(prefix.as_bytes());
    for place in rest {
        *place = characters.next()?;
    }
    if !characters.is_encoded {
        return None;
    }
    let text = text.get(..len)?;
    let id = ParsedToken::parse(prefix, text).ok()?.id();
    Some(found(text, id, characters.at))
}

/// The characters that are written from a place on, until one cannot be part of a token.
struct Characters<'b> {
    coding: Coding,
    bytes: &'b [u8],
    at: usize,
    /// Whether something was encoded. A token without is [`Coding::Plain`].
    is_encoded: bool,
    /// Of base64: the bits that have been read and not used yet, and how many.
    bits: u32,
    held: u32,
    /// Of base64: characters since the last line break, and whether there was one.
    run: usize,
    is_wrapped: bool,
}

impl<'b> Characters<'b> {
    fn new(coding: Coding, bytes: &'b [u8], start: usize) -> Self {
        let is_encoded = !matches!(coding, Coding::Percent | Coding::Json);
        let at = start;
        Self { coding, bytes, at, is_encoded, bits: 0, held: 0, run: 0, is_wrapped: false }
    }

    fn next(&mut self) -> Option<u8> {
        let character = match self.coding {
            Coding::Plain => self.take()?,
            Coding::Utf16 { big_endian } => {
                let (first, second) = (self.take()?, self.take()?);
                let (high, low) = if big_endian { (first, second) } else { (second, first) };
                (high == 0).then_some(low)?
            }
            Coding::Percent | Coding::Json => self.maybe_escaped()?,
            Coding::Base64 { before } => self.base64(before)?,
            Coding::Hex { upper } => {
                let (high, low) = (self.take()?, self.take()?);
                let other_case =
                    |digit: u8| digit.is_ascii_alphabetic() && digit.is_ascii_uppercase() != upper;
                (!other_case(high) && !other_case(low)).then_some(())?;
                hex(high, low)?
            }
        };
        is_character(character).then_some(character)
    }

    fn take(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at = self.at.saturating_add(1);
        Some(byte)
    }

    fn maybe_escaped(&mut self) -> Option<u8> {
        let escape = self.coding.escape();
        if !self.bytes.get(self.at..)?.starts_with(escape) {
            return self.take();
        }
        self.at = self.at.saturating_add(escape.len());
        self.is_encoded = true;
        hex(self.take()?, self.take()?)
    }

    fn base64(&mut self, before: u8) -> Option<u8> {
        if self.run == 0 && before > 0 {
            // The others are those of the byte before the token.
            self.held = if before == 1 { 4 } else { 2 };
            self.bits = self.sextet()?;
        }
        while self.held < 8 {
            self.bits = self.bits << 6 | self.sextet()?;
            self.held = self.held.saturating_add(6);
        }
        self.held = self.held.saturating_sub(8);
        let byte = self.bits >> self.held & 0xff;
        u8::try_from(byte).ok()
    }

    fn sextet(&mut self) -> Option<u32> {
        // Not before the first one: a token begins where its first character is.
        if self.run > 0 && matches!(self.bytes.get(self.at), Some(b'\r' | b'\n')) {
            if self.is_wrapped && self.run < MIN_WRAP {
                return None;
            }
            self.at = after_break(self.bytes, self.at)?;
            self.is_wrapped = true;
            self.run = 0;
        }
        let sextet = sextet(self.take()?)?;
        self.run = self.run.saturating_add(1);
        Some(sextet)
    }
}

/// Where the next line begins, after its indentation.
pub(super) fn after_break(bytes: &[u8], at: usize) -> Option<usize> {
    let rest = bytes.get(at..)?;
    let line = rest.strip_prefix(b"\r\n").or_else(|| rest.strip_prefix(b"\n"))?;
    let is_indent = |byte: &&u8| matches!(byte, b' ' | b'\t');
    let indent = line.iter().take(MAX_INDENT).take_while(is_indent).count();
    bytes.len().checked_sub(line.len())?.checked_add(indent)
}

/// The bits that a character of base64 stands for, in the standard alphabet or that for URLs.
///
/// Within a token, 62 and 63 never come up: at its end they may, from what follows it.
pub(super) fn sextet(character: u8) -> Option<u32> {
    let number = match character {
        b'A'..=b'Z' => character.wrapping_sub(b'A'),
        b'a'..=b'z' => character.wrapping_sub(b'a').wrapping_add(26),
        b'0'..=b'9' => character.wrapping_sub(b'0').wrapping_add(52),
        b'+' | b'-' => 62,
        b'/' | b'_' => 63,
        _ => return None,
    };
    Some(u32::from(number))
}

/// The byte of two hexadecimal digits, of either case.
pub(super) fn hex(high: u8, low: u8) -> Option<u8> {
    let high = char::from(high).to_digit(16)?;
    let low = char::from(low).to_digit(16)?;
    u8::try_from(high << 4 | low).ok()
}

/// Whether a token may have this character.
pub(super) fn is_character(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}
