//! What the driver and the pool say, as our errors.

use std::{borrow::Cow, io};

use deadpool_postgres::{HookError, PoolError};
use tokio_postgres::{
    Error,
    error::{DbError, SqlState},
};

use crate::{StoreError, StoreErrorKind};

/// Why a call came to nothing.
pub(super) enum Failure {
    Pool(PoolError),
    Statement(Error),
    /// None came in time.
    NoAnswer,
    /// The server is a standby, though it was the primary when the connection was made.
    Standby,
}

impl Failure {
    /// Whether the connection is as good as before: the server has answered, and undone the
    /// statement.
    pub(super) fn keeps_connection(&self) -> bool {
        let Self::Statement(error) = self else { return false };
        error.code().is_some_and(|code| {
            class(code) == "23" || is_rolled_back(code) || *code == SqlState::QUERY_CANCELED
        })
    }

    /// Whether the call has done nothing, and may succeed if it is made again at once; `reads` if
    /// it never does anything.
    pub(super) fn is_passing(&self, reads: bool) -> bool {
        match self {
            Self::Pool(_) | Self::NoAnswer => false,
            Self::Standby => true,
            Self::Statement(error) => match error.code() {
                Some(code) => {
                    let stale = [
                        // The tables were altered since the statement was prepared.
                        SqlState::FEATURE_NOT_SUPPORTED,
                        // Somebody else, such as a pooler, has dropped it.
                        SqlState::INVALID_SQL_STATEMENT_NAME,
                        // A record was pruned while its usage was being written.
                        SqlState::FOREIGN_KEY_VIOLATION,
                    ];
                    is_rolled_back(code)
                        || stale.contains(code)
                        // The server ends the connection. A statement that took too long would do
                        // so again.
                        || (reads && class(code) == "57" && *code != SqlState::QUERY_CANCELED)
                }
                None => reads && error.is_closed(),
            },
        }
    }

    pub(super) fn into_error(self, context: &'static str) -> StoreError {
        match self {
            Self::Pool(PoolError::Backend(error)) => failed(format!("{context}: connect"), error),
            Self::Pool(PoolError::PostCreateHook(HookError::Backend(error))) => {
                failed(format!("{context}: prepare the connection"), error)
            }
            Self::Pool(PoolError::PostCreateHook(HookError::Message(message))) => {
                StoreError::new(StoreErrorKind::Other, message)
            }
            Self::Pool(error) => {
                StoreError::new(StoreErrorKind::Unavailable, context).with_source(error)
            }
            Self::Statement(error) => failed(context, error),
            Self::NoAnswer => StoreError::new(StoreErrorKind::Unavailable, context),
            Self::Standby => StoreError::new(
                StoreErrorKind::Unavailable,
                format!("{context}: the server is a standby"),
            ),
        }
    }
}

/// Makes our error of the driver's, saying what was being done.
pub(super) fn failed(context: impl Into<Cow<'static, str>>, error: Error) -> StoreError {
    let result = StoreError::new(kind(&error), context);
    match error.as_db_error() {
        // Without the detail, which may quote the row.
        Some(server) => {
            // A name that is another client's, or that the pooler has forgotten.
            let pooled = [SqlState::DUPLICATE_PSTATEMENT, SqlState::INVALID_SQL_STATEMENT_NAME];
            let hint = if pooled.contains(server.code()) {
                ": behind a pooler, see PostgresOptions::transaction_pooler"
            } else {
                ""
            };
            let (message, code) = (server.message(), server.code().code());
            result.with_source(format!("{message} (SQLSTATE {code}){hint}"))
        }
        None => match std::error::Error::source(&error) {
            Some(source) if is_certificate_refused(&error) => result.with_source(format!(
                "{source}: the certificate of the server's authority is to be given to \
                 PostgresOptions::root_certificate_pem"
            )),
            Some(source) => result.with_source(format!("{error}: {source}")),
            None => result.with_source(error),
        },
    }
}

/// Which no waiting will mend.
fn is_certificate_refused(error: &Error) -> bool {
    let source = std::error::Error::source(error);
    let io = source.and_then(<dyn std::error::Error>::downcast_ref::<io::Error>);
    let tls = io.and_then(io::Error::get_ref).and_then(|it| it.downcast_ref::<rustls::Error>());
    matches!(tls, Some(rustls::Error::InvalidCertificate(_)))
}

pub(super) fn kind(error: &Error) -> StoreErrorKind {
    if is_certificate_refused(error) {
        return StoreErrorKind::Other;
    }
    let Some(code) = error.code() else {
        let io =
            std::error::Error::source(error).is_some_and(<dyn std::error::Error>::is::<io::Error>);
        return if io || error.is_closed() {
            StoreErrorKind::Unavailable
        } else {
            StoreErrorKind::Other
        };
    };
    let table = error.as_db_error().and_then(DbError::table);
    match class(code) {
        // Connections, rollbacks under concurrency, resources, operators, the system itself.
        "08" | "40" | "53" | "57" | "58" => StoreErrorKind::Unavailable,
        // Tried again by `is_passing`, in vain.
        _ if *code == SqlState::FOREIGN_KEY_VIOLATION => StoreErrorKind::Unavailable,
        _ if [SqlState::READ_ONLY_SQL_TRANSACTION, SqlState::LOCK_NOT_AVAILABLE].contains(code) => {
            StoreErrorKind::Unavailable
        }
        // Of a record's id, and not of what we number ourselves.
        _ if *code == SqlState::UNIQUE_VIOLATION && table.is_none_or(|table| table == "token") => {
            StoreErrorKind::Conflict
        }
        _ if [SqlState::DATA_CORRUPTED, SqlState::INDEX_CORRUPTED].contains(code) => {
            StoreErrorKind::Corrupt
        }
        _ => StoreErrorKind::Other,
    }
}

/// Whether the transaction has done nothing, because of others that ran at the same time.
fn is_rolled_back(code: &SqlState) -> bool {
    // "Statement completion unknown" is of the same class: a commit whose answer was lost.
    class(code) == "40" && *code != SqlState::T_R_STATEMENT_COMPLETION_UNKNOWN
}

/// The first two characters of an SQLSTATE.
fn class(code: &SqlState) -> &str {
    code.code().get(..2).unwrap_or_default()
}
