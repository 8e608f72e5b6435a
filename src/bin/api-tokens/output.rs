use std::{
    io::{self, ErrorKind, Write},
    path::Path,
};

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

/// Bytes as text for a terminal: what is no text, or would do something to the terminal, is written
/// as `\x1b`, and what reorders a line or is not seen, as `\u{202e}`.
pub(crate) fn shown(bytes: &[u8]) -> String {
    use core::fmt::Write;

    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            // Writing to a string never fails.
            let _ = if character.is_control() {
                write!(text, "\\x{:02x}", u32::from(character))
            } else if misleads(character) {
                write!(text, "{}", character.escape_unicode())
            } else {
                text.write_char(character)
            };
        }
        for byte in chunk.invalid() {
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

/// A path, in the same way.
pub(crate) fn shown_path(path: &Path) -> String {
    shown(path.as_os_str().as_encoded_bytes())
}

/// Breaks or reorders the line it is shown in, or is not seen. The same set as the library's for
/// names; the joiners U+200C and U+200D stay, since scripts and emoji need them.
fn misleads(character: char) -> bool {
    matches!(character,
        '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}'
        | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}'
        | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_act_on_is_written_out() {
        assert_eq!(shown(b"a\x1b[31m/\xff\xc3\xa4\n"), "a\\x1b[31m/\\xff\u{e4}\\x0a");
        assert_eq!(
            shown("a\u{202e}b\u{200b}c\u{e0041}".as_bytes()),
            "a\\u{202e}b\\u{200b}c\\u{e0041}"
        );
    }
}
