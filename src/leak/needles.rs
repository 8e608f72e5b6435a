//! What is searched for: how prefixes are written in each encoding.

use aho_corasick::{AhoCorasick, MatchKind, packed};
use base64::{Engine, prelude::BASE64_STANDARD_NO_PAD};
use memchr::memmem;

use super::characters::Coding;
use crate::Prefix;

/// The beginning of a token of some prefix in some coding, up to where its id begins.
#[derive(Debug)]
pub(super) struct Needle {
    pub(super) prefix: Prefix,
    pub(super) coding: Coding,
    pub(super) bytes: Vec<u8>,
}

impl Needle {
    /// `None` where any character may be escaped, so that no beginning is always the same.
    pub(super) fn new(prefix: Prefix, coding: Coding) -> Option<Self> {
        let text = [prefix.as_bytes(), b"_"].concat();
        let bytes = match coding {
            Coding::Plain => text,
            Coding::Utf16 { big_endian: true } => text.iter().flat_map(|byte| [0, *byte]).collect(),
            Coding::Utf16 { big_endian: false } => {
                text.iter().flat_map(|byte| [*byte, 0]).collect()
            }
            Coding::Percent | Coding::Json => return None,
            Coding::Base64 { before } => base64(&text, before),
            Coding::Hex { upper: true } => digits(&text, |byte| format!("{byte:02X}")),
            Coding::Hex { upper: false } => digits(&text, |byte| format!("{byte:02x}")),
        };
        Some(Self { prefix, coding, bytes })
    }

    /// Where a token begins whose needle is at `at`.
    pub(super) fn start(&self, at: usize) -> Option<usize> {
        // The character before holds the first bits, beside those of another byte.
        let is_shared = matches!(self.coding, Coding::Base64 { before: 1 | 2 });
        at.checked_sub(usize::from(is_shared))
    }
}

/// The characters of which every bit is the text's.
fn base64(text: &[u8], before: u8) -> Vec<u8> {
    let before = usize::from(before);
    let whole = [&vec![0; before], text].concat();
    let start = before.saturating_mul(8).div_ceil(6);
    let end = whole.len().saturating_mul(8) / 6;
    let encoded = BASE64_STANDARD_NO_PAD.encode(whole).into_bytes();
    encoded.get(start..end).unwrap_or_default().to_vec()
}

fn digits(text: &[u8], write: fn(&u8) -> String) -> Vec<u8> {
    text.iter().map(write).collect::<String>().into_bytes()
}

/// Finds where any needle is: with vector instructions, for one needle or for up to some dozens.
#[derive(Debug)]
pub(super) enum Searcher {
    Nothing,
    One(Box<memmem::Finder<'static>>),
    Packed(packed::Searcher),
    /// For more needles, and for processors without the instructions.
    Automaton(AhoCorasick),
}

impl Searcher {
    pub(super) fn new(needles: &[Needle]) -> Self {
        match needles {
            [] => Self::Nothing,
            [one] => Self::One(Box::new(memmem::Finder::new(&one.bytes).into_owned())),
            _ => packed::Searcher::new(needles.iter().map(|needle| &needle.bytes))
                .map(Self::Packed)
                .or_else(|| {
                    let needles = needles.iter().map(|needle| &needle.bytes);
                    let automaton =
                        AhoCorasick::builder().match_kind(MatchKind::LeftmostFirst).build(needles);
                    // Fails above some 2^31 states only.
                    automaton.ok().map(Self::Automaton)
                })
                .unwrap_or(Self::Nothing),
        }
    }

    /// The first place from `from` on where some needle is.
    pub(super) fn find(&self, bytes: &[u8], from: usize) -> Option<usize> {
        let rest = bytes.get(from..)?;
        let at = match self {
            Self::Nothing => None,
            Self::One(finder) => finder.find(rest),
            Self::Packed(searcher) => searcher.find(rest).map(|found| found.start()),
            Self::Automaton(automaton) => automaton.find(rest).map(|found| found.start()),
        }?;
        from.checked_add(at)
    }
}
