use zeroize::Zeroizing;

use super::{error::Failure, file::MAX_LEN, place::Text};

/// dotenvy puts variables into values that come after them, so that each line could be twice as long as
/// the one before, and no limit on the file would be one on the work.
const MAX_VARIABLES: usize = 64;

/// The value of a variable in the text of a `.env` file.
pub(super) fn find(text: &[u8], variable: &str) -> Result<Option<Text>, Failure> {
    let text = text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text);
    if text.iter().filter(|byte| **byte == b'$').nth(MAX_VARIABLES).is_some() {
        return Err(Failure::TooManyVariables);
    }
    let mut found = None;
    for line in dotenvy::from_read_iter(text) {
        // Its error holds the line, and goes no further. A broken line may be a quote that was not
        // closed, so that what follows it cannot be trusted.
        let (name, value) = line.map_err(|_| Failure::NotDotenv)?;
        let value = Zeroizing::new(value.into_bytes());
        if value.len() > MAX_LEN {
            return Err(Failure::TooLong);
        }
        // Shells take the last one, dotenvy's own `load` the first.
        if name == variable && found.replace(value).is_some() {
            return Err(Failure::SetTwice);
        }
    }
    Ok(found)
}
