use std::io::{self, Read};

use api_tokens::leak::{Finder, Found};
use zeroize::Zeroizing;

/// Looks through whatever can be read, with the same memory for any length.
pub(super) struct Reader {
    finder: Finder,
    buffer: Zeroizing<Vec<u8>>,
}

/// What came of it: all of it, or what came before an error.
pub(super) struct Outcome {
    pub(super) found: Vec<Found>,
    pub(super) bytes: u64,
    pub(super) result: io::Result<()>,
}

impl Reader {
    /// Most files fit, and are read by one call and looked through in one go.
    const BUFFER: usize = 256 * 1024;

    pub(super) fn new(finder: &Finder) -> Self {
        Self { finder: finder.clone(), buffer: Zeroizing::new(vec![0; Self::BUFFER]) }
    }

    pub(super) fn read(&mut self, input: &mut dyn Read) -> Outcome {
        let (mut len, mut result) = fill(input, &mut self.buffer);
        if len < self.buffer.len() {
            let found = self.finder.find(self.buffer.get(..len).unwrap_or_default());
            return Outcome { found, bytes: len as u64, result };
        }
        let mut scan = self.finder.scan();
        let (mut found, mut bytes) = (Vec::new(), 0_u64);
        loop {
            found.extend(scan.push(self.buffer.get(..len).unwrap_or_default()));
            bytes = bytes.saturating_add(len as u64);
            if len < self.buffer.len() || result.is_err() {
                return Outcome { found, bytes, result };
            }
            (len, result) = fill(input, &mut self.buffer);
        }
    }
}

/// Reads until the buffer is full or there is no more. Returns how much that was.
fn fill(input: &mut dyn Read, buffer: &mut [u8]) -> (usize, io::Result<()>) {
    let mut len = 0;
    loop {
        let rest = buffer.get_mut(len..).unwrap_or_default();
        if rest.is_empty() {
            return (len, Ok(()));
        }
        match input.read(rest) {
            Ok(0) => return (len, Ok(())),
            Ok(read) => len = len.saturating_add(read),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (len, Err(error)),
        }
    }
}
