use std::io::{self, ErrorKind, Write};

use serde::Serialize;

use crate::failure::{Failure, reason};

/// Says something on stderr, where nobody may read it.
pub(crate) fn tell(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// Writes what the command was asked for to stdout. Whoever reads it may stop, as `head` does: that
/// is no failure.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::new(format!("cannot write to stdout: {}", reason(&error))))
        }
        _ => Ok(()),
    }
}

/// One line of JSON.
pub(crate) fn json_line(value: &impl Serialize) -> Result<String, Failure> {
    let line = serde_json::to_string(value)
        .map_err(|error| Failure::new(format!("cannot write JSON: {error}")))?;
    Ok(line + "\n")
}
