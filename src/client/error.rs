use core::{fmt, time::Duration};
use std::{io, process::ExitStatus};

use super::value::Malformed;
use crate::Prefix;

/// Why there is no token: where it was looked for, what is wrong there, and what to do.
///
/// It holds no part of what was found, so it can be logged and shown.
#[derive(thiserror::Error)]
#[error("{place}{problem}")]
pub struct TokenSourceError {
    place: String,
    problem: Problem,
}

impl TokenSourceError {
    /// Whether there was nothing in any of the places: the person has not set a token up yet.
    #[must_use]
    pub fn is_absent(&self) -> bool {
        matches!(self.problem, Problem::Absent(_))
    }

    /// Whether there was something, but not a token of the expected prefix. Neither this nor
    /// [`is_absent`](Self::is_absent): a place could not be asked, or not as it is.
    #[must_use]
    pub fn is_malformed(&self) -> bool {
        matches!(self.problem, Problem::Malformed(_))
    }

    pub(super) fn absent(absences: String, prefix: &Prefix) -> Self {
        Self { place: absences, problem: Problem::Absent(*prefix) }
    }

    pub(super) fn malformed(place: String, malformed: Malformed) -> Self {
        Self { place, problem: Problem::Malformed(malformed) }
    }

    pub(super) fn failed(place: String, failure: Failure) -> Self {
        Self { place, problem: Problem::Failed(failure) }
    }
}

impl fmt::Debug for TokenSourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[derive(Debug, thiserror::Error)]
enum Problem {
    // The absences are a sentence already.
    #[error(": expected a token, which begins with {0}_")]
    Absent(Prefix),
    #[error(" {0}")]
    Malformed(Malformed),
    #[error(" {0}")]
    Failed(Failure),
}

/// Why a place could not be asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("is set, and so is {0}: unset one of them")]
    BothSet(String),
    #[error("does not exist")]
    NoSuchFile,
    #[error("cannot be read: {0}")]
    Unreadable(io::Error),
    #[error("has more than 64 KiB: expected a token and nothing else")]
    TooLong,
    #[error("cannot be read: the file has a line that is not of the form NAME=value")]
    NotDotenv,
    #[error("cannot be read: the file has more than 64 variables within its values")]
    TooManyVariables,
    #[error("is set twice: remove the one that does not count")]
    SetTwice,
    #[error("cannot be read: a credential has a name, not a path")]
    NotAName,
    #[error("cannot be read: there is no such program; is it installed, and in PATH?")]
    NoSuchProgram,
    #[error("cannot be read: the program does not start: {0}")]
    NotStarted(io::Error),
    #[error("does not count: the program failed ({0}), and may have written why to standard error")]
    Failed(ExitStatus),
    #[error("is not there after {0:?}: is it waiting for somebody?")]
    Slow(Duration),
    #[error("cannot be read: the reading was broken off")]
    Ended,
    #[cfg(feature = "keyring")]
    #[error("cannot be read: {0}")]
    Keyring(String),
}
