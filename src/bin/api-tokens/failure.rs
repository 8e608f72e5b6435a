use core::fmt::Display;
use std::{io, path::Path};

use api_tokens::{FieldError, IssuerError, KeyError, StoreError};

use crate::output::tell;

/// Why the command did not do what it was asked: what is wrong, where, and what to do, in words for
/// whoever asked.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Failure(String);

impl Failure {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }

    /// Something that was to be done with a file.
    pub(crate) fn of_file(verb: &str, path: &Path, error: &io::Error) -> Self {
        Self(format!("cannot {verb} {}: {}", path.display(), reason(error)))
    }

    pub(crate) fn print(&self) {
        tell(&self.line());
    }

    /// As it is printed.
    pub(crate) fn line(&self) -> String {
        format!("error: {}\n", self.shown())
    }

    /// For whoever may read it.
    pub(crate) fn shown(&self) -> String {
        without_tokens(&self.0)
    }
}

/// What the system says, without its number.
pub(crate) fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error ") {
        Some(end) => text.get(..end).unwrap_or_default().to_lowercase(),
        None => text,
    }
}

/// The text without anything in it that may be a token of any prefix, such as one that was given in
/// the place of an id or a path.
pub(crate) fn without_tokens(text: &str) -> String {
    /// An id, an underscore, and the secret with its checksum.
    const LEAST: usize = 16 + 1 + 45;
    let is_of_token = |character: char| character.is_ascii_alphanumeric() || character == '_';
    let mut result = String::with_capacity(text.len());
    for piece in text.split_inclusive(|character| !is_of_token(character)) {
        let word = piece.trim_end_matches(|character| !is_of_token(character));
        if word.len() < LEAST {
            result.push_str(piece);
        } else {
            result.push_str("[a token?]");
            result.push_str(piece.strip_prefix(word).unwrap_or_default());
        }
    }
    result
}

impl From<IssuerError> for Failure {
    fn from(error: IssuerError) -> Self {
        Self(error.to_string())
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self(error.to_string())
    }
}

impl From<KeyError> for Failure {
    fn from(error: KeyError) -> Self {
        Self(error.to_string())
    }
}

impl From<FieldError> for Failure {
    fn from(error: FieldError) -> Self {
        Self(error.to_string())
    }
}

/// Adds what was being done, or with what.
pub(crate) trait Context<T> {
    fn context(self, what: impl Display) -> Result<T, Failure>;
}

impl<T, E: Display> Context<T> for Result<T, E> {
    fn context(self, what: impl Display) -> Result<T, Failure> {
        self.map_err(|error| Failure(format!("{what}: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_may_be_a_token_is_left_out() {
        let token = format!("acme_live_{}_{}", "I".repeat(16), "S".repeat(45));
        let text = format!("no file '{token}', nor /tmp/{token}");
        assert_eq!(without_tokens(&text), "no file '[a token?]', nor /tmp/[a token?]");
        let id = "cannot find Ky9Pf34qY6Nb3wWD in äcme";
        assert_eq!(without_tokens(id), id);
    }

    #[test]
    fn what_the_system_says_has_no_numbers() {
        let error = io::Error::from_raw_os_error(2);
        assert_eq!(reason(&error), "no such file or directory");
    }
}
