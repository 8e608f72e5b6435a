use std::sync::Arc;

use super::{
    Encoding, Found, Scan,
    characters::Coding,
    hits::{Hit, hits},
    needles::{Needle, Searcher},
    position::{Counted, Position},
};
use crate::{ParsedToken, Prefix};

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
/// allocates for what it finds only. `docs/leaked-tokens.md` has figures.
#[derive(Debug, Clone)]
pub struct Finder {
    inner: Arc<Inner>,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) settings: Settings,
    pub(super) needles: Vec<Needle>,
    pub(super) searcher: Searcher,
    plain: Searcher,
    overlap: usize,
}

/// What the host has chosen.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) prefixes: Vec<Prefix>,
    pub(super) encodings: Vec<Encoding>,
    pub(super) keeps_tokens: bool,
}

impl Finder {
    /// A finder of plain tokens of these prefixes. Without any, it finds nothing.
    #[must_use]
    pub fn new(prefixes: impl IntoIterator<Item = Prefix>) -> Self {
        let prefixes = prefixes.into_iter().collect();
        Self::build(Settings { prefixes, encodings: vec![Encoding::Plain], keeps_tokens: false })
    }

    /// The same, which also looks for tokens of this prefix.
    #[must_use]
    pub fn with_prefix(self, prefix: Prefix) -> Self {
        self.with(|settings| settings.prefixes.push(prefix))
    }

    /// The same, which also looks for tokens in this encoding.
    #[must_use]
    pub fn with_encoding(self, encoding: Encoding) -> Self {
        self.with(|settings| settings.encodings.push(encoding))
    }

    /// The same, which looks for tokens in [every encoding](Encoding::ALL).
    #[must_use]
    pub fn with_all_encodings(self) -> Self {
        self.with(|settings| settings.encodings = Encoding::ALL.into())
    }

    /// The same, whose [`Found`] have the [token](Found::token) with them: for those who ask a
    /// [`Verifier`](crate::Verifier) whether it is accepted, or revoke it.
    #[must_use]
    pub fn keep_tokens(self) -> Self {
        self.with(|settings| settings.keeps_tokens = true)
    }

    fn with(self, change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = self.inner.settings.clone();
        change(&mut settings);
        Self::build(settings)
    }

    fn build(mut settings: Settings) -> Self {
        sort_and_dedup(&mut settings.prefixes);
        sort_and_dedup(&mut settings.encodings);
        let Settings { prefixes, encodings, .. } = &settings;
        let codings = encodings.iter().flat_map(|encoding| Coding::of(*encoding));
        let codings: Vec<Coding> = codings.copied().collect();
        let needles: Vec<Needle> = prefixes
            .iter()
            .flat_map(|prefix| codings.iter().filter_map(|coding| Needle::new(*prefix, *coding)))
            .collect();
        let characters = prefixes.iter().map(ParsedToken::len).max().unwrap_or_default();
        let max_len = codings.iter().map(|coding| coding.max_len(characters)).max();
        let plain = prefixes.iter().filter_map(|prefix| Needle::new(*prefix, Coding::Plain));
        Self {
            inner: Arc::new(Inner {
                plain: Searcher::new(&plain.collect::<Vec<_>>()),
                searcher: Searcher::new(&needles),
                overlap: max_len.unwrap_or_default().saturating_sub(1),
                settings,
                needles,
            }),
        }
    }

    /// Finds the tokens in these bytes, in the order in which they begin.
    ///
    /// Allocates for what it finds only; for a text that does not fit into memory, [`scan`](Self::scan).
    #[must_use]
    pub fn find(&self, bytes: &[u8]) -> Vec<Found> {
        let mut counted = Counted::from(Position::START);
        let mut found = Vec::new();
        for hit in self.hits(bytes, 0) {
            counted.advance(hit.start, [bytes, &[]]);
            found.push(hit.at(0, counted.position));
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
        &self.inner.settings.prefixes
    }

    /// Finds where the prefixes are in plain text, whatever the encodings are.
    pub(super) fn plain(&self) -> &Searcher {
        &self.inner.plain
    }

    /// Finds the tokens in bytes before which so many others came.
    pub(super) fn hits(&self, bytes: &[u8], begin: u64) -> Vec<Hit> {
        hits(&self.inner, bytes, begin)
    }
}

fn sort_and_dedup<T: Ord>(values: &mut Vec<T>) {
    values.sort();
    values.dedup();
}
