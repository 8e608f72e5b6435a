//! SQLite, the embedded default.

mod schema;
mod threads;

use core::{fmt, time::Duration};
use std::{
    fs::OpenOptions,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use jiff::Timestamp;
use rusqlite::{
    Connection, ErrorCode, OpenFlags, OptionalExtension, ToSql, params_from_iter,
    types::ToSqlOutput,
};

use self::{
    schema::{Schema, Statements},
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

/// How a [`SqliteStore`] is opened: which file, and which tables in it.
///
/// # Defaults
///
/// - table prefix: `api_`, so that the tables are `api_token`, `api_token_head`,
///   `api_token_change`, `api_token_usage`, `api_token_event` and `api_token_migration`
/// - busy timeout: 5 seconds
///
/// ```
/// # let directory = tempfile::tempdir()?;
/// # std::env::set_current_dir(&directory)?;
/// use api_tokens::SqliteOptions;
///
/// let options = SqliteOptions::new("tokens.db");
/// options.migrate()?;
/// let store = options.open()?;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct SqliteOptions {
    path: PathBuf,
    table_prefix: String,
    busy_timeout: Duration,
}

impl SqliteOptions {
    /// The defaults, for the file at `path`: one of its own, or the host's own database.
    ///
    /// An in-memory database does not work, since each thread has its own connection:
    /// [`MemoryStore`](crate::MemoryStore) is for that.
    #[must_use]
    pub fn new(path: impl AsRef<Path>) -> Self {
        Self {
            path: path.as_ref().to_owned(),
            table_prefix: "api_".to_owned(),
            busy_timeout: Duration::from_secs(5),
        }
    }

    /// Puts `prefix` before the name of each table and index: at most 32 characters of `a-z`,
    /// `0-9` and `_`, which neither start with a digit nor with `sqlite_`.
    #[must_use]
    pub fn table_prefix(self, prefix: &str) -> Self {
        Self { table_prefix: prefix.to_owned(), ..self }
    }

    /// How long a write waits while another process writes to the same file, before it is
    /// [`Unavailable`](StoreErrorKind::Unavailable); a day at most.
    #[must_use]
    pub fn busy_timeout(self, timeout: Duration) -> Self {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        Self { busy_timeout: timeout.min(DAY), ..self }
    }

    /// Creates the tables, or brings them to the version that this crate needs.
    ///
    /// Creates the file if it is missing, readable and writable by its owner alone (mode 0600 on
    /// Unix); one that exists keeps its mode. Switches the file to WAL mode. Several processes may
    /// do this at once. Blocks: call it when the program starts.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the file cannot be opened or a migration fails; no table is changed then.
    pub fn migrate(&self) -> Result<(), StoreError> {
        let schema = Schema::new(&self.table_prefix)?;
        self.path().and_then(|path| create_private(&path)).map_err(|error| {
            let context = format!("create {}", self.path.display());
            StoreError::new(StoreErrorKind::Unavailable, context).with_source(error)
        })?;
        let mut connection = self.connect()?;
        schema.migrate(&mut connection)?;
        self.switch_to_wal(&connection)
    }

    /// The SQL of each migration, for those who run their own: the first makes version 1 of
    /// the tables, and so on. Each belongs in a transaction.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the table prefix is not one.
    pub fn migrations(&self) -> Result<Vec<String>, StoreError> {
        Ok(Schema::new(&self.table_prefix)?.migrations())
    }

    /// Opens the store. Switches the file to WAL mode, if it is in another. Blocks for a moment:
    /// call it when the program starts.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the file does not exist or cannot be opened, if its tables are missing or
    /// older than this crate needs ([`migrate`](Self::migrate) was not run), or newer than it
    /// understands.
    pub fn open(&self) -> Result<SqliteStore, StoreError> {
        // Lists have a thread of their own, so that no verification waits behind one.
        let lookup_threads =
            std::thread::available_parallelism().map_or(2, |cores| cores.get().min(4));
        let schema = Schema::new(&self.table_prefix)?;
        let writer = self.connect()?;
        schema.check(&writer)?;
        self.switch_to_wal(&writer)?;
        let read_only = || {
            let connection = self.connect()?;
            connection
                .pragma_update(None, "query_only", true)
                .map_err(failed("make a connection read-only"))?;
            Ok(connection)
        };
        let lookups =
            (0..lookup_threads).map(|_| read_only()).collect::<Result<_, StoreError>>()?;
        let lists = vec![read_only()?];
        Ok(SqliteStore {
            shared: Arc::new(Shared {
                statements: Arc::new(Statements::new(&schema)),
                lookups: Readers::start(lookups)?,
                lists: Readers::start(lists)?,
                writer: Writer::start(writer)?,
            }),
        })
    }

    /// Absolute, so that no path means something else to SQLite, as `:memory:` and `file:` would.
    fn path(&self) -> io::Result<PathBuf> {
        std::path::absolute(&self.path)
    }

    fn connect(&self) -> Result<Connection, StoreError> {
        // Without CREATE, so that a mistyped path is an error.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let context = || format!("open {}", self.path.display());
        let path = self.path().map_err(|error| {
            StoreError::new(StoreErrorKind::Unavailable, context()).with_source(error)
        })?;
        let connect = || {
            let connection = Connection::open_with_flags(path, flags)?;
            connection.busy_timeout(self.busy_timeout)?;
            // NORMAL may forget the last commits when the power fails, and with them a
            // revocation that somebody relies on.
            connection.pragma_update(None, "synchronous", "FULL")?;
            connection.set_prepared_statement_cache_capacity(32);
            Ok(connection)
        };
        connect().map_err(|error| error_of(context(), error))
    }

    /// The mode stays with the file, so one connection is enough.
    fn switch_to_wal(&self, connection: &Connection) -> Result<(), StoreError> {
        const PAUSE: Duration = Duration::from_millis(10);
        let context = || format!("switch {} to WAL mode", self.path.display());
        let begun = Instant::now();
        loop {
            let mode = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0));
            match mode {
                Ok(mode) if String::as_str(&mode) == "wal" => return Ok(()),
                Ok(_) => return Err(StoreError::new(StoreErrorKind::Other, context())),
                // Where two connections switch at once, SQLite gives up without waiting.
                Err(error)
                    if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
                        && begun.elapsed() < self.busy_timeout =>
                {
                    std::thread::sleep(PAUSE);
                }
                Err(error) => return Err(error_of(context(), error)),
            }
        }
    }
}

/// Makes an empty file that is its owner's alone, if there is none. SQLite gives the files it
/// puts beside it the same mode.
fn create_private(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

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
/// The events in `api_token_event` are kept for ever, about 300 bytes each: what you no longer need of
/// them, move away or delete by their column `at`.
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
