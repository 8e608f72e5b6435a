//! Where tokens are in some bytes.

use memchr::memmem;

use super::{
    Encoding, Fingerprint, Found,
    characters::{Coding, MAX_LEN, MIN_WRAP, after_break, hex, is_character, sextet, token_at},
    finder::Inner,
    needles::Needle,
    position::Position,
};
use crate::{Prefix, Token, TokenId};

/// A token that was found, before lines are counted.
#[derive(Debug)]
pub(super) struct Hit {
    pub(super) start: usize,
    pub(super) end: usize,
    coding: Coding,
    prefix: Prefix,
    id: TokenId,
    fingerprint: Fingerprint,
    token: Option<Token>,
}

/// Finds the tokens in bytes before which so many others came, in the order in which they begin.
pub(super) fn hits(finder: &Inner, bytes: &[u8], begin: u64) -> Vec<Hit> {
    let mut hits = Hits { finder, bytes, found: Vec::new() };
    hits.of_needles();
    for encoding in &finder.settings.encodings {
        match encoding {
            Encoding::Percent => hits.of_escapes(Coding::Percent),
            Encoding::Json => hits.of_escapes(Coding::Json),
            Encoding::Base64 => hits.of_wrapped(),
            Encoding::Plain | Encoding::Utf16 | Encoding::Hex => {}
        }
    }
    let mut hits = hits.found;
    hits.sort_by_key(Hit::key);
    // One whose lines are wrapped may have been found by its needle, too.
    hits.dedup_by_key(|hit| hit.key());
    // Between characters of ASCII, UTF-16 can be read in both byte orders, a byte apart: it is the one
    // that is aligned.
    hits.dedup_by(|later, earlier| {
        let is_same = later.is_same_in_other_order(earlier);
        if is_same && !begin.saturating_add(earlier.start as u64).is_multiple_of(2) {
            core::mem::swap(later, earlier);
        }
        is_same
    });
    hits
}

impl Hit {
    fn is_same_in_other_order(&self, earlier: &Self) -> bool {
        matches!(self.coding, Coding::Utf16 { .. })
            && matches!(earlier.coding, Coding::Utf16 { .. })
            && self.start == earlier.start.saturating_add(1)
            && self.fingerprint == earlier.fingerprint
    }

    fn key(&self) -> (usize, Coding, Prefix) {
        (self.start, self.coding, self.prefix)
    }

    /// What is told of it, in a text in which `begin` bytes came before.
    pub(super) fn at(self, begin: u64, position: Position) -> Found {
        let place = |at: usize| begin.saturating_add(at as u64);
        Found {
            prefix: self.prefix,
            id: self.id,
            encoding: self.coding.encoding(),
            range: place(self.start)..place(self.end),
            line: position.line,
            column: position.column,
            fingerprint: self.fingerprint,
            token: self.token,
        }
    }
}

/// Collects what is found in some bytes.
struct Hits<'a> {
    finder: &'a Inner,
    bytes: &'a [u8],
    found: Vec<Hit>,
}

impl Hits<'_> {
    fn of_needles(&mut self) {
        let mut from = 0;
        while let Some(at) = self.finder.searcher.find(self.bytes, from) {
            let rest = self.bytes.get(at..).unwrap_or_default();
            // The searcher names one of them, and there may be several.
            for needle in &self.finder.needles {
                if rest.starts_with(&needle.bytes)
                    && let Some(start) = needle.start(at)
                {
                    self.try_at(&needle.prefix, needle.coding, start);
                }
            }
            from = at.saturating_add(1);
        }
    }

    /// At every escape that stands for a character of a token: that may be its first one, or any
    /// other, of which those before are not escaped.
    fn of_escapes(&mut self, coding: Coding) {
        let (bytes, escape) = (self.bytes, coding.escape());
        let mut begin = 0;
        for at in memmem::find_iter(bytes, escape) {
            let digits = bytes.get(at.saturating_add(escape.len())..);
            if let Some([high, low]) = digits.and_then(<[u8]>::first_chunk)
                && hex(*high, *low).is_some_and(is_character)
            {
                begin = self.try_before(coding, begin, at);
            }
        }
    }

    /// Tries all places from `begin` to `at` from where a token reaches beyond `at`. Returns where to
    /// go on, so that no place is tried twice.
    fn try_before(&mut self, coding: Coding, begin: usize, at: usize) -> usize {
        let next = at.saturating_add(1);
        for start in begin.max(next.saturating_sub(MAX_LEN))..next {
            self.try_all_at(coding, start);
        }
        next
    }

    /// At every line break that may be one within base64: it may be within a needle.
    fn of_wrapped(&mut self) {
        let bytes = self.bytes;
        let is_sextet = |byte: &u8| sextet(*byte).is_some();
        for newline in memchr::memchr_iter(b'\n', bytes) {
            let before = bytes.get(..newline).unwrap_or_default();
            let line = before.strip_suffix(b"\r").unwrap_or(before);
            // Most lines end otherwise.
            if !line.last().is_some_and(is_sextet) {
                continue;
            }
            let goes_on = after_break(bytes, line.len())
                .and_then(|next| bytes.get(next..next.saturating_add(MIN_WRAP)))
                .is_some_and(|next| next.iter().all(is_sextet));
            if !goes_on {
                continue;
            }
            for needle in &self.finder.needles {
                if needle.coding.encoding() == Encoding::Base64 {
                    self.try_split(needle, line);
                }
            }
        }
    }

    /// Tries all places where the needle begins at the end of a line.
    fn try_split(&mut self, needle: &Needle, line: &[u8]) {
        for len in 0..needle.bytes.len() {
            if line.ends_with(needle.bytes.get(..len).unwrap_or_default())
                && let Some(start) = needle.start(line.len().saturating_sub(len))
                && start < line.len()
            {
                self.try_at(&needle.prefix, needle.coding, start);
            }
        }
    }

    fn try_all_at(&mut self, coding: Coding, start: usize) {
        let finder = self.finder;
        for prefix in &finder.settings.prefixes {
            self.try_at(prefix, coding, start);
        }
    }

    fn try_at(&mut self, prefix: &Prefix, coding: Coding, start: usize) {
        let keeps_tokens = self.finder.settings.keeps_tokens;
        let hit = |text: &[u8], id, end| Hit {
            start,
            end,
            coding,
            prefix: *prefix,
            id,
            fingerprint: Fingerprint::of(text),
            token: keeps_tokens.then(|| Token::from_text(id, text)),
        };
        self.found.extend(token_at(prefix, coding, self.bytes, start, hit));
    }
}
