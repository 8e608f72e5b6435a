use core::fmt;
use std::io::{self, Write};

use zeroize::{Zeroize, Zeroizing};

use super::{Finder, characters::MAX_LEN};
use crate::{
    ParsedToken, Prefix, TokenId,
    token::{
        SECRET_LEN,
        base62::{CHECKSUM_LEN, is_base62},
    },
};

/// A writer that replaces tokens by their id in what is written through it: a guard for logs.
///
/// `acme_live_Ky9Pf34qY6Nb3wWD_25RQ…` becomes `[token Ky9Pf34qY6Nb3wWD]`, also where it came in several
/// pieces. What it takes for a token is more than what a [`Finder`] does: one whose end was cut off, or
/// whose checksum is wrong, gives away its secret all the same. Only a beginning with fewer than 20
/// characters of the secret stays, since at least 113 bits are missing from it.
///
/// What could be the beginning of a token is held back until more is written, up to 111 bytes.
/// [`flush`](Write::flush), [`finish`](Self::finish) and dropping it write that, too. It looks for
/// plain text only, whatever the finder's encodings are: a token in the base64 of an `Authorization:
/// Basic` field is not replaced.
///
/// After an error of the writer, it is not known how much of that piece was written.
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

    /// Writes a piece of text, and holds back what may be the beginning of a token.
    fn redact(&mut self, piece: &[u8]) -> io::Result<()> {
        let rest = self.after_swallowed(piece);
        let rest = if self.held.is_empty() { rest } else { self.complete(rest)? };
        let mut from = 0;
        loop {
            match self.finder.shape_from(rest, from) {
                Shape::Other => return self.put(rest, from),
                Shape::Token { start, end, id } => {
                    self.put(rest.get(..start).unwrap_or_default(), from)?;
                    self.replace(id)?;
                    from = end;
                }
                Shape::Beginning { start, .. } => {
                    self.put(rest.get(..start).unwrap_or_default(), from)?;
                    self.hold(rest.get(start..).unwrap_or_default());
                    return Ok(());
                }
            }
        }
    }

    /// Decides what the text is that was held back, with what comes now. Returns what remains of that.
    fn complete<'p>(&mut self, piece: &'p [u8]) -> io::Result<&'p [u8]> {
        let mut both = core::mem::take(&mut self.held);
        let held = both.len();
        both.extend_from_slice(piece.get(..MAX_HELD).unwrap_or(piece));
        // What was written already is not written again; it may be part of a token all the same.
        let mut from = core::mem::take(&mut self.written);
        let mut search = 0;
        loop {
            match self.finder.shape_from(&both, search) {
                Shape::Token { start, end, id } if start < held => {
                    self.put(both.get(..start).unwrap_or_default(), from)?;
                    self.replace(id)?;
                    from = end;
                    search = end;
                }
                // Then all of the piece is in it: with a token's length after the start, it is decided.
                Shape::Beginning { start, .. } if start < held => {
                    self.put(both.get(..start).unwrap_or_default(), from)?;
                    self.written = from.saturating_sub(start);
                    both.drain(..start);
                    self.held = both;
                    return Ok(&[]);
                }
                _ => {
                    self.put(both.get(..held).unwrap_or_default(), from)?;
                    let next = from.saturating_sub(held);
                    both.zeroize();
                    self.held = both;
                    return Ok(piece.get(next..).unwrap_or_default());
                }
            }
        }
    }

    fn hold(&mut self, beginning: &[u8]) {
        // Room for all that will be looked at: a buffer that grows leaves a copy behind.
        self.held.reserve_exact(2 * MAX_HELD);
        self.held.extend_from_slice(beginning);
    }

    /// Writes what is held back, or its id if too much of the secret is in it.
    fn release(&mut self) -> io::Result<()> {
        let held = core::mem::take(&mut self.held);
        if let Shape::Beginning { cut: Some(cut), .. } = self.finder.shape_from(&held, 0)
            && cut.secret >= TELLING
        {
            let is_all = cut.end == held.len();
            self.swallowed = if is_all { AFTER_ID.saturating_sub(cut.secret) } else { 0 };
            self.written = 0;
            self.replace(cut.id)?;
            return self.put(&held, cut.end);
        }
        self.put(&held, self.written)?;
        self.written = held.len();
        self.held = held;
        Ok(())
    }

    fn after_swallowed<'p>(&mut self, piece: &'p [u8]) -> &'p [u8] {
        let belongs = |byte: &&u8| byte.is_ascii_alphanumeric();
        let count = piece.iter().take(self.swallowed).take_while(belongs).count();
        let rest = piece.get(count..).unwrap_or_default();
        self.swallowed = if rest.is_empty() { self.swallowed.saturating_sub(count) } else { 0 };
        rest
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

/// What a token has after its id: secret and checksum.
const AFTER_ID: usize = SECRET_LEN + CHECKSUM_LEN;

/// With so many characters of its secret, a text is taken for a token.
const TELLING: usize = 20;

/// How long the beginning of a token can be before it is decided: another one may begin within it.
const MAX_HELD: usize = MAX_LEN + Prefix::MAX_LEN + 1;

/// What was found in a text.
enum Shape {
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

/// A token of which a part may be missing: its id, how many characters come after that, and where
/// they end.
struct Cut {
    id: TokenId,
    secret: usize,
    end: usize,
}

impl Finder {
    /// The first token from `from` on, whole or cut off, or what may become one at the end.
    fn shape_from(&self, text: &[u8], mut from: usize) -> Shape {
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
    fn beginning(&self, text: &[u8], from: usize) -> Option<usize> {
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
        if secret < AFTER_ID && end == text.len() {
            return Shape::Beginning { start, cut: Some(Cut { id, secret, end }) };
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
            Shape::Beginning { start, cut: Some(Cut { id, secret, end }) }
        } else {
            Shape::Token { start, end: secret_end, id }
        }
    }
}
