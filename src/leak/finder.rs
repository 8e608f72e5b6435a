use std::sync::{Arc, LazyLock};

use memchr::memmem;

use super::{
    Encoding, Fingerprint, Found, Scan,
    characters::{Coding, MAX_LEN, MIN_WRAP, after_break, hex, is_character, sextet, token_at},
    needles::{Needle, Searcher},
    position::Position,
};
use crate::{Prefix, Token, TokenId, token::LEN_AFTER_PREFIX};

/// Finds tokens in any bytes.
///
/// It looks for the prefixes with vector instructions, then at the shape of what follows, then at
/// the checksum; there is no regular expression. What stands before and after a token does not
/// matter: in `\nacme_live_…` of a JSON text, or in `token%3Dacme_live_…`, it is found as well.
///
/// Not found are tokens that are split over several literals, or by a line break in plain text,
/// reversed, compressed, encrypted, or encoded twice.
///
/// A clone is cheap and shares everything.
///
/// # Defaults
///
/// - encodings: [`Encoding::Plain`] alone
/// - tokens are not kept
///
/// # Cost
///
/// One pass over the bytes for the prefixes in all of plain text, UTF-16, base64 and hexadecimal
/// digits, and one more for each of percent-encoding, JSON's escapes, and base64's line breaks. It
/// allocates for what it finds only. `benches/leak.rs` measures each; README has the figures.
#[derive(Debug, Clone)]
pub struct Finder {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    prefixes: Vec<Prefix>,
    encodings: Vec<Encoding>,
    keeps_tokens: bool,
    needles: Vec<Needle>,
    searcher: Searcher,
    plain: Searcher,
    /// How far before a line break a token can begin of which no needle is in one line.
    base64_reach: usize,
    overlap: usize,
}

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

impl Finder {
    /// A finder of plain tokens of these prefixes. Without any, it finds nothing.
    #[must_use]
    pub fn new(prefixes: impl IntoIterator<Item = Prefix>) -> Self {
        Self::build(prefixes.into_iter().collect(), vec![Encoding::Plain], false)
    }

    /// The same, which also looks for tokens in this encoding.
    #[must_use]
    pub fn with_encoding(self, encoding: Encoding) -> Self {
        let mut encodings = self.inner.encodings.clone();
        encodings.push(encoding);
        Self::build(self.inner.prefixes.clone(), encodings, self.inner.keeps_tokens)
    }

    /// The same, which looks for tokens in [every encoding](Encoding::ALL).
    #[must_use]
    pub fn with_all_encodings(self) -> Self {
        Self::build(self.inner.prefixes.clone(), Encoding::ALL.into(), self.inner.keeps_tokens)
    }

    /// The same, whose [`Found`] have the [token](Found::token) with them: for those who ask a
    /// [`Verifier`](crate::Verifier) whether it is accepted, or revoke it.
    #[must_use]
    pub fn keep_tokens(self) -> Self {
        Self::build(self.inner.prefixes.clone(), self.inner.encodings.clone(), true)
    }

    fn build(mut prefixes: Vec<Prefix>, mut encodings: Vec<Encoding>, keeps_tokens: bool) -> Self {
        for_each_once(&mut prefixes);
        for_each_once(&mut encodings);
        let codings = encodings.iter().flat_map(|encoding| codings(*encoding));
        let codings: Vec<Coding> = codings.copied().collect();
        let needles: Vec<Needle> = prefixes
            .iter()
            .flat_map(|prefix| codings.iter().filter_map(|coding| Needle::new(*prefix, *coding)))
            .collect();
        let is_base64 = |needle: &&Needle| needle.coding.encoding() == Encoding::Base64;
        let longest = needles.iter().filter(is_base64).map(|needle| needle.bytes.len()).max();
        let characters =
            prefixes.iter().map(|prefix| prefix.as_bytes().len()).max().unwrap_or_default();
        let characters = characters.saturating_add(LEN_AFTER_PREFIX);
        let max_len = codings.iter().map(|coding| coding.max_len(characters)).max();
        let plain = prefixes.iter().filter_map(|prefix| Needle::new(*prefix, Coding::Plain));
        Self {
            inner: Arc::new(Inner {
                plain: Searcher::new(&plain.collect::<Vec<_>>()),
                searcher: Searcher::new(&needles),
                base64_reach: longest.unwrap_or_default(),
                overlap: max_len.unwrap_or_default().saturating_sub(1),
                prefixes,
                encodings,
                keeps_tokens,
                needles,
            }),
        }
    }

    /// Finds the tokens in these bytes, in the order in which they begin.
    ///
    /// Allocates for what it finds only; for a text that does not fit into memory, [`scan`](Self::scan).
    #[must_use]
    pub fn find(&self, bytes: &[u8]) -> Vec<Found> {
        let mut position = Position::START;
        let mut counted = 0;
        let mut found = Vec::new();
        for hit in self.hits(bytes) {
            position.advance(bytes.get(counted..hit.start).unwrap_or_default());
            counted = hit.start;
            found.push(hit.at(0, position));
        }
        found
    }

    /// Begins to look through a text that comes piece by piece.
    #[must_use]
    pub fn scan(&self) -> Scan {
        Scan::new(self.clone())
    }

    /// How many bytes the beginning of a token can have that is not complete.
    pub(super) fn overlap(&self) -> usize {
        self.inner.overlap
    }

    pub(super) fn prefixes(&self) -> &[Prefix] {
        &self.inner.prefixes
    }

    /// Finds where the prefixes are in plain text, whatever the encodings are.
    pub(super) fn plain(&self) -> &Searcher {
        &self.inner.plain
    }

    pub(super) fn hits(&self, bytes: &[u8]) -> Vec<Hit> {
        let mut hits = Hits { finder: &self.inner, bytes, found: Vec::new() };
        hits.of_needles();
        for encoding in &self.inner.encodings {
            match encoding {
                Encoding::Percent => hits.of_percent(),
                Encoding::Json => hits.of_json(),
                Encoding::Base64 => hits.of_wrapped(),
                Encoding::Plain | Encoding::Utf16 | Encoding::Hex => {}
            }
        }
        let mut hits = hits.found;
        hits.sort_by_key(Hit::key);
        // One whose lines are wrapped may have been found by its needle, too.
        hits.dedup_by_key(|hit| hit.key());
        hits
    }
}

fn for_each_once<T: Ord>(values: &mut Vec<T>) {
    values.sort();
    values.dedup();
}

fn codings(encoding: Encoding) -> &'static [Coding] {
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

impl Hit {
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
    fn of_percent(&mut self) {
        let bytes = self.bytes;
        let mut begin = 0;
        for at in memchr::memchr_iter(b'%', bytes) {
            if let Some([_, high, low]) = bytes.get(at..).and_then(<[u8]>::first_chunk)
                && hex(*high, *low).is_some_and(is_character)
            {
                begin = self.try_before(Coding::Percent, begin, at);
            }
        }
    }

    fn of_json(&mut self) {
        static ESCAPE: LazyLock<memmem::Finder<'static>> =
            LazyLock::new(|| memmem::Finder::new(br"\u00"));

        let bytes = self.bytes;
        let mut begin = 0;
        for at in ESCAPE.find_iter(bytes) {
            if let Some([_, _, _, _, high, low]) = bytes.get(at..).and_then(<[u8]>::first_chunk)
                && hex(*high, *low).is_some_and(is_character)
            {
                begin = self.try_before(Coding::Json, begin, at);
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
            let reach = line.iter().enumerate().rev().take(self.finder.base64_reach);
            for (start, _) in reach.take_while(|(_, byte)| is_sextet(byte)) {
                for coding in codings(Encoding::Base64) {
                    self.try_all_at(*coding, start);
                }
            }
        }
    }

    fn try_all_at(&mut self, coding: Coding, start: usize) {
        let finder = self.finder;
        for prefix in &finder.prefixes {
            self.try_at(prefix, coding, start);
        }
    }

    fn try_at(&mut self, prefix: &Prefix, coding: Coding, start: usize) {
        let keeps_tokens = self.finder.keeps_tokens;
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
