//! What is searched for: how prefixes are written in each encoding.

use aho_corasick::{AhoCorasick, MatchKind, packed};
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
    /// `None` for those of which no beginning is always the same: any character may be escaped.
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
            Coding::Hex { upper } => text.iter().flat_map(|byte| hex(*byte, upper)).collect(),
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
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bits: Vec<bool> =
        text.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1 == 1)).collect();
    let shared = match before {
        0 => 0,
        1 => 4,
        _ => 2,
    };
    let (sextets, _) = bits.get(shared..).unwrap_or_default().as_chunks::<6>();
    let number =
        |bits: &[bool; 6]| bits.iter().fold(0, |number, bit| number << 1 | usize::from(*bit));
    sextets.iter().filter_map(|bits| ALPHABET.get(number(bits)).copied()).collect()
}

fn hex(byte: u8, upper: bool) -> [u8; 2] {
    [byte >> 4, byte & 15].map(|digit| match (digit, upper) {
        (0..10, _) => digit.wrapping_add(b'0'),
        (_, true) => digit.wrapping_sub(10).wrapping_add(b'A'),
        (_, false) => digit.wrapping_sub(10).wrapping_add(b'a'),
    })
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
