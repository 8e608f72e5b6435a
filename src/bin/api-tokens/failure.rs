use core::fmt::Display;
use std::{io, path::Path};

use api_tokens::{FieldError, IssuerError, KeyError, StoreError};

use crate::output::{shown, shown_path, tell};

/// Why the command did not do what it was asked: what is wrong, where, and what to do, in words for
/// whoever asked.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Failure {
    message: String,
    is_outage: bool,
}

impl Failure {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), is_outage: false }
    }

    /// Whoever was asked cannot answer at the moment, whatever the question.
    pub(crate) fn outage(message: impl Into<String>) -> Self {
        Self { message: message.into(), is_outage: true }
    }

    pub(crate) fn is_outage(&self) -> bool {
        self.is_outage
    }

    /// Something that was to be done with a file.
    pub(crate) fn of_file(verb: &str, path: &Path, error: &io::Error) -> Self {
        Self::new(format!("cannot {verb} {}: {}", shown_path(path), reason(error)))
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
        let lines: Vec<String> = self.message.lines().map(|line| shown(line.as_bytes())).collect();
        without_tokens(&lines.join("\n"))
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
        if word.len() < LEAST && !has_cut_token(word) {
            result.push_str(piece);
        } else {
            result.push_str("[a token?]");
            result.push_str(piece.strip_prefix(word).unwrap_or_default());
        }
    }
    result
}

/// Whether there is an id in it, and after it so much of a secret that the rest might be guessed: a
/// token whose end was not pasted along.
fn has_cut_token(word: &str) -> bool {
    const ID: usize = 16;
    const TELLING: usize = 20;
    let parts = || word.split('_');
    parts().zip(parts().skip(1)).any(|(id, secret)| id.len() == ID && secret.len() >= TELLING)
}

impl From<IssuerError> for Failure {
    fn from(error: IssuerError) -> Self {
        Self::new(error.to_string())
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::new(error.to_string())
    }
}

impl From<KeyError> for Failure {
    fn from(error: KeyError) -> Self {
        Self::new(error.to_string())
    }
}

impl From<FieldError> for Failure {
    fn from(error: FieldError) -> Self {
        Self::new(error.to_string())
    }
}

/// Adds what was being done, or with what.
pub(crate) trait Context<T> {
    fn context(self, what: impl Display) -> Result<T, Failure>;
}

impl<T, E: Display> Context<T> for Result<T, E> {
    fn context(self, what: impl Display) -> Result<T, Failure> {
        self.map_err(|error| Failure::new(format!("{what}: {error}")))
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
        let cut = format!("no 'any_{}_{}'", "I".repeat(16), "S".repeat(20));
        assert_eq!(without_tokens(&cut), "no '[a token?]'");
        let id = "cannot find Ky9Pf34qY6Nb3wWD in äcme";
        assert_eq!(without_tokens(id), id);
    }

    #[test]
    fn what_the_system_says_has_no_numbers() {
        let error = io::Error::from_raw_os_error(2);
        assert_eq!(reason(&error), "no such file or directory");
    }
}
