//! SQLite, the embedded default.

mod options;
mod schema;
mod threads;

use core::fmt;
use std::{path::Path, sync::Arc};

use jiff::Timestamp;
use rusqlite::{
    Connection, ErrorCode, OptionalExtension, ToSql, params_from_iter, types::ToSqlOutput,
};

pub use self::options::SqliteOptions;
use self::{
    schema::Statements,
    threads::{Readers, Writer},
};
use super::{
    Change, Changes, Cursor, EventNumber, Found, ListFilter, NumberedEvent, PageKey, Revision,
    StoreError, StoreErrorKind, TokenStore, WriteBatch,
    row::{self, Unreadable, Value},
};
use crate::{Event, TokenId, TokenRecord, Usage};

/// How many changes are kept for readers.
const CHANGES_KEPT: i64 = 100_000;

/// Keeps records in a SQLite file, of its own or beside the host's tables.
///
/// SQLite runs on threads of the store's own, so the futures never block and need no particular
/// runtime. Writes that come together share a transaction, and so a wait for the disk; each has
/// reached the disk when it returns (WAL, `synchronous = FULL`). Several processes may use one
/// file on one machine, and a change of one is seen by the next read of any other.
///
/// A clone is cheap and shares everything. Dropping the last clone waits for the writes that are
/// under way.
///
/// # Cost
///
/// A read takes a hop to another thread and back besides the query itself. Each write waits for
/// the disk. At most 10,000 calls wait for each thread; one more is
/// [`Unavailable`](StoreErrorKind::Unavailable).
///
/// The events in `api_token_event` are kept for ever, about 300 bytes each: what you no longer need
/// of them, move away or delete by their column `at`.
///
/// # Backups
///
/// Stop every process before the file is replaced, moved or deleted: those that have it open go
/// on with the file that was there, and what they write is lost.
///
/// A file that was restored from a backup has lost the revocations since: revoke them again
/// before it is used. And begin another history, which SQLite cannot know by itself, with your
/// table prefix: `UPDATE api_token_head SET incarnation = abs(random() >> 1)`.
#[derive(Clone)]
pub struct SqliteStore {
    shared: Arc<Shared>,
}

struct Shared {
    statements: Arc<Statements>,
    lookups: Readers,
    lists: Readers,
    writer: Writer,
}

impl SqliteStore {
    /// Opens the store at `path`, whose tables exist, with the defaults of [`SqliteOptions`].
    ///
    /// # Errors
    ///
    /// See [`SqliteOptions::open`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        SqliteOptions::new(path).open()
    }

    fn statements(&self) -> Arc<Statements> {
        Arc::clone(&self.shared.statements)
    }
}

impl TokenStore for SqliteStore {
    async fn find(&self, id: &TokenId) -> Result<Option<Found>, StoreError> {
        let statements = self.statements();
        let id = *id;
        self.shared
            .lookups
            .read(move |connection| {
                let error = failed("find a record");
                let mut find = connection.prepare_cached(&statements.find).map_err(&error)?;
                let mut rows = find.query([id.as_str()]).map_err(&error)?;
                let Some(row) = rows.next().map_err(&error)? else { return Ok(None) };
                let revision: i64 = row.get(row::COLUMNS.len()).map_err(&error)?;
                Ok(Some(Found {
                    record: Arc::new(row::record(row, &statements.token_table)?),
                    as_of: Revision(revision.unsigned_abs()),
                }))
            })
            .await
    }

    async fn write(&self, batch: &WriteBatch) -> Result<(), StoreError> {
        let statements = self.statements();
        let write = Write::of(batch)?;
        self.shared
            .writer
            .write(move |connection| match write.apply(connection, &statements) {
                Ok(true) => Ok(()),
                Ok(false) => Err(StoreError::new(StoreErrorKind::Conflict, "write records")),
                Err(error) => Err(error_of("write records", error)),
            })
            .await
    }

    async fn list(
        &self,
        filter: &ListFilter,
        after: Option<&PageKey>,
        limit: usize,
    ) -> Result<Vec<TokenRecord>, StoreError> {
        let statements = self.statements();
        let (query, values) = statements.list(filter, after, bounded(limit));
        self.shared
            .lists
            .read(move |connection| {
                let error = failed("list records");
                let mut list = connection.prepare_cached(&query).map_err(&error)?;
                let mut rows = list.query(params_from_iter(values)).map_err(&error)?;
                let mut records = Vec::new();
                while let Some(row) = rows.next().map_err(&error)? {
                    records.push(row::record(row, &statements.token_table)?);
                }
                Ok(records)
            })
            .await
    }

    async fn changes_since(
        &self,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Result<Changes, StoreError> {
        let statements = self.statements();
        let cursor = cursor.copied();
        self.shared
            .lookups
            .read(move |connection| {
                // One transaction, so that head and changes belong together.
                let _snapshot =
                    connection.unchecked_transaction().map_err(failed("read changes"))?;
                changes_since(connection, &statements, cursor, limit)
            })
            .await
    }

    async fn changed(&self) {
        // Other processes give no signal, and this one's own changes need none.
        core::future::pending::<()>().await;
    }

    async fn record_usage(&self, batch: &[Usage]) -> Result<(), StoreError> {
        let statements = self.statements();
        let batch = batch.to_vec();
        self.shared
            .writer
            .write(move |connection| {
                let error = failed("record usage");
                let mut record =
                    connection.prepare_cached(&statements.record_usage).map_err(&error)?;
                for usage in &batch {
                    record.execute(params_from_iter(row::usage_values(usage))).map_err(&error)?;
                }
                Ok(())
            })
            .await
    }

    async fn usage(&self, ids: &[TokenId]) -> Result<Vec<Usage>, StoreError> {
        let statements = self.statements();
        let ids = ids.to_vec();
        self.shared
            .lists
            .read(move |connection| {
                let error = failed("read usage");
                // One transaction, so that all of them are of the same moment.
                let _snapshot = connection.unchecked_transaction().map_err(&error)?;
                let mut read = connection.prepare_cached(&statements.usage).map_err(&error)?;
                let mut usages = Vec::new();
                for id in ids {
                    let mut rows = read.query([id.as_str()]).map_err(&error)?;
                    if let Some(row) = rows.next().map_err(&error)? {
                        usages.push(row::usage(row, &statements.usage_table)?);
                    }
                }
                Ok(usages)
            })
            .await
    }

    async fn events(
        &self,
        token: &TokenId,
        before: Option<EventNumber>,
        limit: usize,
    ) -> Result<Vec<NumberedEvent>, StoreError> {
        let statements = self.statements();
        let token = *token;
        let before = before
            .map_or(i64::MAX, |EventNumber(number)| i64::try_from(number).unwrap_or(i64::MAX));
        self.shared
            .lists
            .read(move |connection| {
                let error = failed("read events");
                let mut read = connection.prepare_cached(&statements.events).map_err(&error)?;
                let mut rows =
                    read.query((token.as_str(), before, bounded(limit))).map_err(&error)?;
                let mut events = Vec::new();
                while let Some(row) = rows.next().map_err(&error)? {
                    events.push(row::event(row, &statements.event_table)?);
                }
                Ok(events)
            })
            .await
    }

    async fn prune(&self, ended_before: Timestamp, limit: usize) -> Result<usize, StoreError> {
        let statements = self.statements();
        self.shared
            .writer
            .write(move |connection| {
                let error = failed("prune records");
                connection
                    .prepare_cached(&statements.prune_usage)
                    .and_then(|mut prune| {
                        prune.execute((ended_before.as_microsecond(), bounded(limit)))
                    })
                    .map_err(&error)?;
                let mut prune = connection.prepare_cached(&statements.prune).map_err(&error)?;
                prune.execute((ended_before.as_microsecond(), bounded(limit))).map_err(&error)
            })
            .await
    }
}

type Values = [Value; row::COLUMNS.len()];

/// A batch as the thread takes it: owned, its records as values of their rows.
struct Write {
    expectations: Vec<(TokenId, Option<u32>)>,
    inserts: Vec<Values>,
    updates: Vec<(TokenId, Values)>,
    events: Vec<Event>,
}

impl Write {
    fn of(batch: &WriteBatch) -> Result<Self, StoreError> {
        let values = |record: &TokenRecord| Ok((record.id, row::values(record)?));
        Ok(Self {
            expectations: batch.expectations().collect(),
            inserts: batch.inserts.iter().map(row::values).collect::<Result<_, _>>()?,
            updates: batch.updates.iter().map(values).collect::<Result<_, StoreError>>()?,
            events: batch.events.clone(),
        })
    }

    /// Whether the stored records were as expected; else nothing is written.
    fn apply(self, connection: &Connection, statements: &Statements) -> rusqlite::Result<bool> {
        let mut version = connection.prepare_cached(&statements.version)?;
        for (id, expected) in self.expectations {
            // Wider than a version, so that a damaged one is as little as any other what somebody
            // expects, and no error for all who share the transaction.
            let stored: Option<i64> =
                version.query_row([id.as_str()], |row| row.get(0)).optional()?;
            if stored != expected.map(i64::from) {
                return Ok(false);
            }
        }
        for values in self.inserts {
            let mut insert = connection.prepare_cached(&statements.insert)?;
            insert.execute(params_from_iter(values))?;
        }
        for (id, values) in self.updates {
            let mut update = connection.prepare_cached(&statements.update)?;
            update.execute(params_from_iter(values))?;
            let revision: i64 = connection
                .prepare_cached(&statements.advance_head)?
                .query_row([], |row| row.get(0))?;
            let mut note = connection.prepare_cached(&statements.note_change)?;
            note.execute((revision, id.as_str()))?;
            let mut forget = connection.prepare_cached(&statements.forget_changes)?;
            forget.execute([revision.saturating_sub(CHANGES_KEPT)])?;
        }
        for event in self.events {
            let mut append = connection.prepare_cached(&statements.append_event)?;
            append.execute(params_from_iter(row::event_values(&event)))?;
        }
        Ok(true)
    }
}

fn changes_since(
    connection: &Connection,
    statements: &Statements,
    cursor: Option<Cursor>,
    limit: usize,
) -> Result<Changes, StoreError> {
    let error = failed("read changes");
    let mut head = connection.prepare_cached(&statements.head).map_err(&error)?;
    let (incarnation, revision): (i64, i64) =
        head.query_row([], |row| Ok((row.get(0)?, row.get(1)?))).map_err(&error)?;
    let head = Cursor {
        incarnation: incarnation.unsigned_abs(),
        revision: Revision(revision.unsigned_abs()),
    };
    let cursor = match cursor {
        Some(cursor)
            if cursor.incarnation == head.incarnation && cursor.revision <= head.revision =>
        {
            cursor
        }
        _ => return Ok(Changes::Reset { next: head }),
    };

    let mut read = connection.prepare_cached(&statements.changes).map_err(&error)?;
    let after = i64::try_from(cursor.revision.0).unwrap_or(i64::MAX);
    let mut rows = read.query((after, bounded(limit))).map_err(&error)?;
    let mut changes = Vec::new();
    let mut next = cursor;
    while let Some(row) = rows.next().map_err(&error)? {
        let (revision, id): (i64, String) =
            (row.get(0).map_err(&error)?, row.get(1).map_err(&error)?);
        let revision = Revision(revision.unsigned_abs());
        if revision.0 != next.revision.0.saturating_add(1) {
            // Revisions have no gaps but where the oldest were forgotten.
            return Ok(Changes::Reset { next: head });
        }
        let id = id.parse().map_err(|_| {
            let table = &statements.change_table;
            let context = format!("table {table}, column id, revision {}", revision.0);
            StoreError::new(StoreErrorKind::Corrupt, context)
        })?;
        changes.push(Change { id, revision });
        next.revision = revision;
    }
    if changes.is_empty() && limit > 0 && cursor.revision < head.revision {
        // All of them were forgotten.
        return Ok(Changes::Reset { next: head });
    }
    Ok(Changes::Since { changes, next })
}

/// A limit as SQLite takes it.
fn bounded(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// Makes our error of SQLite's, saying what was being done.
fn failed(context: &'static str) -> impl Fn(rusqlite::Error) -> StoreError {
    move |error| error_of(context, error)
}

fn error_of(
    context: impl Into<std::borrow::Cow<'static, str>>,
    error: rusqlite::Error,
) -> StoreError {
    let kind = match error.sqlite_error_code() {
        Some(
            ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::CannotOpen
            | ErrorCode::DiskFull
            | ErrorCode::SystemIoFailure
            | ErrorCode::OutOfMemory
            | ErrorCode::PermissionDenied
            | ErrorCode::ReadOnly,
        ) => StoreErrorKind::Unavailable,
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => StoreErrorKind::Corrupt,
        _ => StoreErrorKind::Other,
    };
    StoreError::new(kind, context).with_source(error)
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        match self {
            Self::Text(text) => text.to_sql(),
            Self::Integer(integer) => integer.to_sql(),
            Self::Flag(flag) => flag.to_sql(),
        }
    }
}

impl row::Row for rusqlite::Row<'_> {
    fn text(&self, index: usize) -> Result<Option<&str>, Unreadable> {
        self.get_ref(index).ok().and_then(|value| value.as_str_or_null().ok()).ok_or(Unreadable)
    }

    fn integer(&self, index: usize) -> Result<Option<i64>, Unreadable> {
        self.get_ref(index).ok().and_then(|value| value.as_i64_or_null().ok()).ok_or(Unreadable)
    }

    fn flag(&self, index: usize) -> Result<Option<bool>, Unreadable> {
        Ok(self.integer(index)?.map(|integer| integer != 0))
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore")
            .field("table", &self.shared.statements.token_table)
            .finish_non_exhaustive()
    }
}
