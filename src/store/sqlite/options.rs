use core::time::Duration;
use std::{
    fs::OpenOptions,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::{
    Shared, SqliteStore, error_of, failed,
    schema::{Schema, Statements},
    threads::{Readers, Writer},
};
use crate::{StoreError, StoreErrorKind};

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
    /// [`StoreError`] if the table prefix is not valid.
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
