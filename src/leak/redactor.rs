use core::fmt;
use std::io::{self, Write};

use zeroize::{Zeroize, Zeroizing};

use super::{
    Finder,
    shape::{AFTER_ID, MAX_HELD, Shape, TELLING},
};
use crate::TokenId;

/// A writer that replaces tokens by their id in what is written through it: a guard for logs.
///
/// `acme_live_Ky9Pf34qY6Nb3wWD_25RQ…` becomes `[token Ky9Pf34qY6Nb3wWD]`, also where it came in several
/// pieces. What it takes for a token is more than what a [`Finder`] does: one whose end was cut off, or
/// whose checksum is wrong, gives away its secret all the same. Only a beginning with fewer than 20
/// characters of the secret stays, since at least 119 bits are missing from it.
///
/// What could be the beginning of a token is held back until more is written, up to 111 bytes.
/// [`flush`](Write::flush), [`finish`](Self::finish) and dropping it write that, too. It looks for
/// plain text only, whatever the finder's encodings are: a token in the base64 of an `Authorization:
/// Basic` field is not replaced.
///
/// After an error of the writer, it is not known how much of that piece was written: if it is written
/// again, some of it may be there twice, but no token.
///
/// With tracing-subscriber, a closure makes one for each event:
///
/// ```
/// use std::io;
///
/// use api_tokens::{leak::{Finder, Redactor}, prefix};
///
/// let finder = Finder::new([prefix!("acme_live")]);
/// tracing_subscriber::fmt().with_writer(move || Redactor::new(&finder, io::stderr())).init();
/// ```
///
/// # Cost
///
/// A search for the prefixes, see [`Finder`]. It does not allocate, and hands on in as many pieces as
/// it gets, unless there is a token or what may become one.
pub struct Redactor<W: Write> {
    finder: Finder,
    /// `None` once it has been given back.
    writer: Option<W>,
    /// The beginning of a token that may go on in the next piece.
    held: Zeroizing<Vec<u8>>,
    /// How much of it has been written already, by a flush.
    written: usize,
    /// How many more characters belong to a token that was replaced before it was complete.
    swallowed: usize,
}

impl<W: Write> Redactor<W> {
    /// A guard for what goes to `writer`, which should block: with one that does not, what is held
    /// back may be lost.
    #[must_use]
    pub fn new(finder: &Finder, writer: W) -> Self {
        Self {
            finder: finder.clone(),
            writer: Some(writer),
            held: Zeroizing::default(),
            written: 0,
            swallowed: 0,
        }
    }

    /// Writes what is held back, and gives the writer back.
    ///
    /// # Errors
    ///
    /// Those of the writer.
    pub fn finish(mut self) -> io::Result<W> {
        self.release()?;
        // Nothing else takes it.
        self.writer.take().ok_or_else(|| io::ErrorKind::Other.into())
    }

    /// Writes a piece of text, and holds back what may be the beginning of a token. After an error all
    /// is as before, so that the piece may come again.
    fn redact(&mut self, piece: &[u8]) -> io::Result<()> {
        let (written, swallowed) = (self.written, self.swallowed);
        let mut held = core::mem::take(&mut self.held);
        let len = held.len();
        if len > 0 {
            // With so much of the piece, it is decided what the text is that was held back.
            held.extend_from_slice(piece.get(..MAX_HELD).unwrap_or(piece));
        }
        let result = self.redact_after(&held, len, piece);
        match result {
            Ok(Kept::Held { start, written }) => {
                held.drain(..start);
                self.written = written;
            }
            Ok(Kept::Piece { start }) => {
                held.zeroize();
                // Room for all that will be looked at: a buffer that grows leaves a copy behind.
                held.reserve_exact(2 * MAX_HELD);
                held.extend_from_slice(piece.get(start..).unwrap_or_default());
                self.written = 0;
            }
            Ok(Kept::Nothing) => {
                held.zeroize();
                self.written = 0;
            }
            Err(_) => {
                held.truncate(len);
                (self.written, self.swallowed) = (written, swallowed);
            }
        }
        self.held = held;
        result.map(drop)
    }

    /// The same: `both` is what is held back, `held` bytes, and what of the piece is needed with it.
    fn redact_after(&mut self, both: &[u8], held: usize, piece: &[u8]) -> io::Result<Kept> {
        // What was written already is not written again; it may be part of a token all the same.
        let mut done = self.written.max(self.swallow(if held > 0 { both } else { piece }));
        if held > 0 {
            let (end, beginning) = self.put_replaced(both, done, held)?;
            if let Some(start) = beginning {
                return Ok(Kept::Held { start, written: done.saturating_sub(start) });
            }
            done = end.saturating_sub(held);
        }
        let rest = piece.get(done..).unwrap_or_default();
        let (_, beginning) = self.put_replaced(rest, 0, rest.len())?;
        Ok(match beginning {
            Some(start) => Kept::Piece { start: done.saturating_add(start) },
            None => Kept::Nothing,
        })
    }

    /// How much of a text belongs to a token that was replaced already: not what may be the next one.
    fn swallow(&mut self, text: &[u8]) -> usize {
        if self.swallowed == 0 {
            return 0;
        }
        let belongs = |byte: &&u8| byte.is_ascii_alphanumeric();
        let count = text.iter().take(self.swallowed).take_while(belongs).count();
        let (next, is_decided) = match self.finder.shape_from(text, 0) {
            Shape::Token { start, .. } => (start, true),
            Shape::Beginning { start, .. } => (start, false),
            Shape::Other => (text.len(), false),
        };
        let goes_on = count >= next && !is_decided;
        let count = count.min(next);
        self.swallowed = if goes_on { self.swallowed.saturating_sub(count) } else { 0 };
        count
    }

    /// Writes the text from `from` to `until`, and in the place of each token that begins before that,
    /// its id. Returns up to where that is, and where a token begins that is not decided.
    fn put_replaced(
        &mut self,
        text: &[u8],
        mut from: usize,
        until: usize,
    ) -> io::Result<(usize, Option<usize>)> {
        let mut search = 0;
        loop {
            match self.finder.shape_from(text, search) {
                Shape::Token { start, end, id } if start < until => {
                    self.put(text.get(..start).unwrap_or_default(), from)?;
                    self.replace(id)?;
                    from = end;
                    search = end;
                }
                Shape::Beginning { start, .. } if start < until => {
                    self.put(text.get(..start).unwrap_or_default(), from)?;
                    return Ok((from, Some(start)));
                }
                _ => {
                    self.put(text.get(..until).unwrap_or_default(), from)?;
                    return Ok((from, None));
                }
            }
        }
    }

    /// Writes what is held back, or its id if too much of the secret is in it.
    fn release(&mut self) -> io::Result<()> {
        let Shape::Beginning { cut: Some(cut), .. } = self.finder.shape_from(&self.held, 0) else {
            return self.release_from(self.written);
        };
        if cut.secret_len < TELLING {
            return self.release_from(self.written);
        }
        // The end of it may be the beginning of the next one, and then stays held back as well.
        let next = self.finder.beginning(&self.held, cut.secret_start);
        let end = next.unwrap_or(self.held.len());
        self.replace(cut.id)?;
        self.held.drain(..end);
        self.swallowed = AFTER_ID.saturating_sub(end.saturating_sub(cut.secret_start));
        self.written = 0;
        self.release_from(0)
    }

    fn release_from(&mut self, from: usize) -> io::Result<()> {
        let held = core::mem::take(&mut self.held);
        let result = self.put(&held, from);
        if result.is_ok() {
            self.written = held.len();
        }
        self.held = held;
        result
    }

    fn put(&mut self, text: &[u8], from: usize) -> io::Result<()> {
        match (text.get(from..), &mut self.writer) {
            (Some(text), Some(writer)) if !text.is_empty() => writer.write_all(text),
            _ => Ok(()),
        }
    }

    fn replace(&mut self, id: TokenId) -> io::Result<()> {
        self.put(&[b"[token ", id.as_bytes().as_slice(), b"]"].concat(), 0)
    }
}

/// What is to be held back.
enum Kept {
    /// What was, from there on, of which so much is written already.
    Held {
        start: usize,
        written: usize,
    },
    /// The piece, from there on.
    Piece {
        start: usize,
    },
    Nothing,
}

impl<W: Write> Write for Redactor<W> {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        self.redact(piece)?;
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.release()?;
        self.writer.as_mut().map_or(Ok(()), Write::flush)
    }
}

/// As with other writers that hold something back, an error at this point is lost.
impl<W: Write> Drop for Redactor<W> {
    fn drop(&mut self) {
        drop(self.release());
    }
}

impl<W: Write> fmt::Debug for Redactor<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redactor").field("finder", &self.finder).finish_non_exhaustive()
    }
}
