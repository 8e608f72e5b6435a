//! Lines and columns.

/// A place in a text, which moves on over the bytes that are read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Position {
    pub(super) line: u64,
    pub(super) column: u64,
}

impl Position {
    pub(super) const START: Self = Self { line: 1, column: 1 };

    pub(super) fn advance(&mut self, bytes: &[u8]) {
        let line = match memchr::memrchr(b'\n', bytes) {
            Some(last) => {
                let breaks = memchr::memchr_iter(b'\n', bytes).count();
                self.line = self.line.saturating_add(breaks as u64);
                self.column = 1;
                bytes.get(last.saturating_add(1)..).unwrap_or_default()
            }
            None => bytes,
        };
        self.column = self.column.saturating_add(characters(line));
    }
}

/// A position in a text that consists of two parts, and where that is.
pub(super) struct Counted {
    at: usize,
    pub(super) position: Position,
}

impl Counted {
    pub(super) fn from(position: Position) -> Self {
        Self { at: 0, position }
    }

    /// Moves on to `place`, which is not before the one where it is.
    pub(super) fn advance(&mut self, place: usize, [first, second]: [&[u8]; 2]) {
        let border = first.len();
        let within = first.get(self.at..place.min(border));
        self.position.advance(within.unwrap_or_default());
        let after = self.at.saturating_sub(border)..place.saturating_sub(border);
        self.position.advance(second.get(after).unwrap_or_default());
        self.at = place;
    }
}

/// Bytes that neither continue a character of UTF-8 nor are the other half of one of UTF-16.
fn characters(bytes: &[u8]) -> u64 {
    let begins = |byte: &&u8| **byte & 0xc0 != 0x80 && **byte != 0;
    bytes.iter().filter(begins).count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns() {
        let mut position = Position::START;
        for (bytes, line, column) in [
            (&b""[..], 1, 1),
            (b"ab", 1, 3),
            (b"c\n", 2, 1),
            (b"\n\nx", 4, 2),
            ("äß".as_bytes(), 4, 4),
            (b"\n\0x\0y\0", 5, 3),
        ] {
            position.advance(bytes);
            assert_eq!(
                (position.line, position.column),
                (line, column),
                "{}",
                bytes.escape_ascii()
            );
        }
    }
}
