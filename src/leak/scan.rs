use zeroize::Zeroizing;

use super::{
    Finder, Found,
    position::{Counted, Position},
};

/// Looks through a text that comes piece by piece, and finds tokens across the borders, too.
///
/// Its memory does not grow with the text: it keeps the last half kilobyte of it, which it zeroizes
/// at the end. Since nobody can come back to what is gone, it counts lines as it goes, which costs
/// as much as one more pass over the bytes.
///
/// ```
/// use api_tokens::{leak::Finder, prefix};
///
/// let finder = Finder::new([prefix!("acme_live")]);
/// let mut scan = finder.scan();
/// assert!(scan.push(b"\nTOKEN=acme_live_Ky9Pf34qY6Nb3wWD_25RQ4F5ZR3qa7y").is_empty());
/// let found = scan.push(b"Eeeby3abP3E2Zs8IQ9Y7aJZqh1H1ztQ\n");
/// assert_eq!((found[0].line, found[0].column), (2, 7));
/// ```
#[derive(Debug)]
pub struct Scan {
    finder: Finder,
    /// The end of what has come.
    carried: Zeroizing<Vec<u8>>,
    /// How much came before that.
    begin: u64,
    /// The line and column after that.
    position: Position,
}

impl Scan {
    pub(super) fn new(finder: Finder) -> Self {
        // Room for all it will hold: a buffer that grows leaves a copy behind.
        let carried = Zeroizing::new(Vec::with_capacity(finder.overlap().saturating_mul(2)));
        Self { finder, carried, begin: 0, position: Position::START }
    }

    /// Looks at the next piece of the text. Returns the tokens that are complete with it, in the order
    /// in which they begin, with places and lines from the beginning of the text.
    ///
    /// Nothing has to be done at the end.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<Found> {
        let (overlap, carried) = (self.finder.overlap(), self.carried.len());
        self.carried.extend_from_slice(bytes.get(..overlap).unwrap_or(bytes));
        let mut found = Vec::new();
        let mut counted = Counted::from(self.position);
        if carried > 0 {
            // Those that lie on one side of the border alone have been found, or are found below.
            for hit in self.finder.hits(&self.carried, self.begin) {
                if hit.start < carried && carried < hit.end {
                    counted.advance(hit.start, [&self.carried, &[]]);
                    found.push(hit.at(self.begin, counted.position));
                }
            }
        }
        self.carried.truncate(carried);
        let begin = self.begin.saturating_add(carried as u64);
        for hit in self.finder.hits(bytes, begin) {
            counted.advance(carried.saturating_add(hit.start), [&self.carried, bytes]);
            found.push(hit.at(begin, counted.position));
        }
        self.carry(bytes);
        found
    }

    /// Keeps the end of what was carried and has come now.
    fn carry(&mut self, bytes: &[u8]) {
        let (overlap, carried) = (self.finder.overlap(), self.carried.len());
        let gone = carried.saturating_add(bytes.len()).saturating_sub(overlap);
        let mut counted = Counted::from(self.position);
        counted.advance(gone, [&self.carried, bytes]);
        self.position = counted.position;
        self.begin = self.begin.saturating_add(gone as u64);
        self.carried.drain(..gone.min(carried));
        let kept = bytes.len().saturating_sub(overlap);
        self.carried.extend_from_slice(bytes.get(kept..).unwrap_or_default());
    }
}
