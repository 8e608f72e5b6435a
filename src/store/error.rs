use core::{error::Error, fmt};
use std::{borrow::Cow, sync::Arc};

/// Why a store did not do what it was asked: a kind to act on, and for operators what happened
/// and the back end's own error.
///
/// ```
/// use api_tokens::{StoreError, StoreErrorKind};
///
/// let error = StoreError::new(StoreErrorKind::Unavailable, "connect to the database")
///     .with_source(std::io::Error::from(std::io::ErrorKind::ConnectionRefused));
/// assert_eq!(error.kind(), StoreErrorKind::Unavailable);
/// assert_eq!(error.to_string(), "store unavailable: connect to the database: connection refused");
/// ```
#[derive(Debug, Clone)]
pub struct StoreError {
    kind: StoreErrorKind,
    context: Cow<'static, str>,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

impl StoreError {
    /// An error of the given kind; `context` says what was being done, or what is wrong where.
    #[must_use]
    pub fn new(kind: StoreErrorKind, context: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, context: context.into(), source: None }
    }

    /// Adds the error that caused this one.
    #[must_use]
    pub fn with_source(self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { source: Some(Arc::from(source.into())), ..self }
    }

    /// What to act on.
    #[must_use]
    pub fn kind(&self) -> StoreErrorKind {
        self.kind
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "store {}: {}", self.kind, self.context)?;
        match &self.source {
            Some(source) => write!(f, ": {source}"),
            None => Ok(()),
        }
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        // The message includes the source's, so what follows is the source's own source.
        self.source.as_deref().and_then(Error::source)
    }
}

/// The kinds of [`StoreError`].
///
/// A back end decides by its own error codes, never by the text of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// A stored record is not as the write expects: it changed meanwhile, is not there, or is
    /// there already.
    Conflict,
    /// The store cannot be reached or is too busy: trying again later may help.
    Unavailable,
    /// What is stored is not a record. The context names table, column and id.
    Corrupt,
    /// Anything else, such as a missing table.
    Other,
}

impl StoreErrorKind {
    /// As it is written: `conflict`, `unavailable`, `corrupt` or `failed`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Conflict => "conflict",
            Self::Unavailable => "unavailable",
            Self::Corrupt => "corrupt",
            Self::Other => "failed",
        }
    }
}

impl fmt::Display for StoreErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
