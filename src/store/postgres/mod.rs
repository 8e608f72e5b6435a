//! PostgreSQL, for services of several nodes.

mod array;
mod connect;
mod connection;
mod error;
mod features;
mod listener;
mod options;
mod schema;
mod statements;

use core::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use sha2::{Digest, Sha256};
use tokio::sync::watch;
use tokio_postgres::Row;

pub use self::options::PostgresOptions;
use self::{
    array::Parameters, connection::Connections, listener::Listener, schema::first_eight,
    statements::Statements,
};
use super::{
    Change, Changes, Cursor, EventNumber, Found, ListFilter, NumberedEvent, PageKey, Revision,
    StoreError, StoreErrorKind, TokenStore, WriteBatch,
    row::{self, Row as _, Unreadable},
};
use crate::{TokenId, TokenRecord, Usage};

/// How many changes are kept for readers, and after how many the older ones are deleted.
const CHANGES_KEPT: i64 = 100_000;
const CHANGES_FORGOTTEN_AT_ONCE: i64 = 1_000;

/// Keeps records in a PostgreSQL database, which any number of processes on any number of machines
/// may use at once.
///
/// Every method is one statement: one round trip, one transaction, one snapshot. It runs on tokio,
/// with I/O and timers enabled. Use it on the runtime on which it was opened: when that ends, so
/// does listening for changes.
///
/// A clone is cheap and shares everything. Dropping the last clone closes the connections.
///
/// # Durability
///
/// An acknowledged write is durable as far as the server is. The store raises `synchronous_commit`
/// to `on` for its own transactions, where a default turns it off (`remote_apply` stays). What it
/// assumes, and cannot see:
///
/// - `fsync = on` and `full_page_writes = on`, which are the defaults, and a disk that keeps what
///   it has acknowledged.
/// - For revocations to survive the loss of the primary: a **synchronous standby**
///   (`synchronous_standby_names`), and failover to that standby only. After a failover to an
///   asynchronous one, what the primary had not sent is gone: a token whose revocation is gone is
///   accepted again.
///
/// # Failover
///
/// Records and changes are read from the primary alone, and only servers that take writes are
/// connected to: give all of them, as in `postgres://a,b,c/db`. A server that was demoted behind an
/// open connection answers nothing more ([`Unavailable`](StoreErrorKind::Unavailable)); only usage
/// and events may still come from it.
///
/// After a promotion, a restart of the server, a recovery from a backup or from a copy of its
/// files, and after a dump was restored into tables made anew, the history is another one
/// ([`Cursor::incarnation`]), so that readers forget what they know. What nobody can tell is that
/// rows of a dump were loaded into tables that were there: begin another history then, with your
/// schema: `UPDATE api_tokens.token_head SET incarnation = (random() * 9007199254740991)::bigint`.
///
/// A primary that does not know that it was replaced goes on answering: fence it, as Patroni does
/// with a watchdog, or see [`PostgresOptions::confirmed_reads`].
///
/// # Cost
///
/// A read and a write each take one round trip; a write waits for the disk, and one that updates
/// waits for every other that does, since changes are numbered in the order of their commits: on a
/// disk that takes a millisecond, about a thousand updating transactions a second, each of up to
/// thousands of records. Inserts do not wait for one another.
///
/// The events in `token_event` are kept for ever, about 300 bytes each, and cannot be updated: what
/// you no longer need of them, delete by their column `at`.
#[derive(Clone)]
pub struct PostgresStore {
    shared: Arc<Shared>,
}

struct Shared {
    statements: Statements,
    connections: Connections,
    /// For `changes_since` alone: what a cache goes by must not wait behind what it could not find.
    feed: Connections,
    hints: watch::Sender<()>,
    _listener: Option<Listener>,
}

impl PostgresStore {
    /// Opens the store at `url`, whose tables exist, with the defaults of [`PostgresOptions`].
    ///
    /// # Errors
    ///
    /// See [`PostgresOptions::open`].
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        PostgresOptions::new(url).open().await
    }

    /// Deletes changes that nobody needs any more, once in a while, and without anybody waiting for
    /// it. What is not deleted now is deleted the next time.
    fn forget_changes(&self, revision: i64, updates: usize) {
        let epoch = |revision: i64| revision.div_euclid(CHANGES_FORGOTTEN_AT_ONCE);
        let before = revision.saturating_sub(bounded(updates));
        if epoch(before) == epoch(revision) {
            return;
        }
        let shared = Arc::clone(&self.shared);
        tokio::spawn(async move {
            let mut parameters = Parameters::default();
            parameters.integer(revision.saturating_sub(CHANGES_KEPT));
            let forget = &shared.statements.forget_changes;
            let _ = shared.connections.write("forget changes", forget, parameters).await;
        });
    }
}

impl TokenStore for PostgresStore {
    async fn find(&self, id: &TokenId) -> Result<Option<Found>, StoreError> {
        const CONTEXT: &str = "find a record";
        const REVISION: usize = row::COLUMNS.len();
        let Shared { statements, connections, .. } = &*self.shared;
        let mut parameters = Parameters::default();
        parameters.text(id.as_str());
        let rows =
            connections.read_primary(CONTEXT, &statements.find, parameters, REVISION + 1).await?;
        let row = rows.first().ok_or_else(|| statements.no_head())?;
        if row.text(0).is_ok_and(|id| id.is_none()) {
            return Ok(None);
        }
        Ok(Some(Found {
            record: Arc::new(row::record(row, &statements.token_table)?),
            as_of: revision(row, REVISION).ok_or_else(|| statements.no_head())?,
        }))
    }

    async fn write(&self, batch: &WriteBatch) -> Result<(), StoreError> {
        const CONTEXT: &str = "write records";
        let Shared { statements, connections, .. } = &*self.shared;
        let (statement, parameters) = statements.write(batch)?;
        let rows = connections.write(CONTEXT, &statement, parameters).await?;
        let answer = rows.first().map(|row| (row.flag(0), row.integer(1)));
        match answer {
            Some((Ok(Some(true)), Ok(revision))) => {
                if let Some(revision) = revision {
                    self.forget_changes(revision, batch.updates.len());
                }
                Ok(())
            }
            Some((Ok(Some(false)), _)) => Err(StoreError::new(StoreErrorKind::Conflict, CONTEXT)),
            _ => Err(StoreError::new(StoreErrorKind::Other, CONTEXT)),
        }
    }

    async fn list(
        &self,
        filter: &ListFilter,
        after: Option<&PageKey>,
        limit: usize,
    ) -> Result<Vec<TokenRecord>, StoreError> {
        let Shared { statements, connections, .. } = &*self.shared;
        let (query, parameters) = statements.list(filter, after, bounded(limit));
        let rows = connections
            .read_primary("list records", &query, parameters, row::COLUMNS.len())
            .await?;
        // One row without a record, if there are none.
        let records = rows.iter().filter(|row| !row.text(0).is_ok_and(|id| id.is_none()));
        records.map(|row| row::record(row, &statements.token_table)).collect()
    }

    async fn changes_since(
        &self,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Result<Changes, StoreError> {
        const RECOVERY: usize = 5;
        let Shared { statements, feed, .. } = &*self.shared;
        let mut parameters = Parameters::default();
        let after =
            cursor.map_or(i64::MAX, |cursor| i64::try_from(cursor.revision.0).unwrap_or(i64::MAX));
        parameters.integer(after);
        parameters.integer(bounded(limit));
        let rows =
            feed.read_primary("read changes", &statements.changes, parameters, RECOVERY).await?;
        let head = rows.first().and_then(head).ok_or_else(|| statements.no_head())?;
        statements.changes_after(cursor, head, &rows)
    }

    async fn changed(&self) {
        let mut hints = self.shared.hints.subscribe();
        // Never fails, since we hold a sender.
        let _ = hints.changed().await;
    }

    async fn record_usage(&self, batch: &[Usage]) -> Result<(), StoreError> {
        let Shared { statements, connections, .. } = &*self.shared;
        let mut parameters = Parameters::default();
        parameters.usages(batch);
        connections.write("record usage", &statements.record_usage, parameters).await?;
        Ok(())
    }

    async fn usage(&self, ids: &[TokenId]) -> Result<Vec<Usage>, StoreError> {
        let Shared { statements, connections, .. } = &*self.shared;
        let mut parameters = Parameters::default();
        parameters.ids(ids.iter().copied());
        let rows = connections.read("read usage", &statements.usage, parameters).await?;
        rows.iter().map(|row| row::usage(row, &statements.usage_table)).collect()
    }

    async fn events(
        &self,
        token: &TokenId,
        before: Option<EventNumber>,
        limit: usize,
    ) -> Result<Vec<NumberedEvent>, StoreError> {
        let Shared { statements, connections, .. } = &*self.shared;
        let before = before
            .map_or(i64::MAX, |EventNumber(number)| i64::try_from(number).unwrap_or(i64::MAX));
        let mut parameters = Parameters::default();
        parameters.text(token.as_str());
        parameters.integer(before);
        parameters.integer(bounded(limit));
        let rows = connections.read("read events", &statements.events, parameters).await?;
        rows.iter().map(|row| row::event(row, &statements.event_table)).collect()
    }

    async fn prune(&self, ended_before: Timestamp, limit: usize) -> Result<usize, StoreError> {
        const CONTEXT: &str = "prune records";
        let Shared { statements, connections, .. } = &*self.shared;
        let mut parameters = Parameters::default();
        parameters.integer(ended_before.as_microsecond());
        parameters.integer(bounded(limit));
        let rows = connections.write(CONTEXT, &statements.prune, parameters).await?;
        let count = rows.first().and_then(|row| row.integer(0).ok()?);
        count
            .and_then(|count| count.try_into().ok())
            .ok_or_else(|| StoreError::new(StoreErrorKind::Other, CONTEXT))
    }
}

impl Statements {
    /// Which changes there are after `cursor`, by the rows that the statement `changes` answered.
    fn changes_after(
        &self,
        cursor: Option<&Cursor>,
        head: Cursor,
        rows: &[Row],
    ) -> Result<Changes, StoreError> {
        let cursor = match cursor {
            Some(cursor)
                if cursor.incarnation == head.incarnation && cursor.revision <= head.revision =>
            {
                *cursor
            }
            _ => return Ok(Changes::Reset { next: head }),
        };
        let mut changes = Vec::new();
        let mut next = cursor;
        for row in rows {
            let Some(revision) = revision(row, 0) else { break };
            if revision.0 != next.revision.0.saturating_add(1) {
                // Revisions have no gaps but where the oldest were forgotten.
                return Ok(Changes::Reset { next: head });
            }
            let id =
                row.text(1).ok().flatten().and_then(|id| id.parse().ok()).ok_or_else(|| {
                    let table = &self.change_table;
                    let context = format!("table {table}, column id, revision {}", revision.0);
                    StoreError::new(StoreErrorKind::Corrupt, context)
                })?;
            changes.push(Change { id, revision });
            next.revision = revision;
        }
        if changes.is_empty() && cursor.revision < head.revision {
            // All of them were forgotten.
            return Ok(Changes::Reset { next: head });
        }
        Ok(Changes::Since { changes, next })
    }
}

/// Where the history stands, by a row that the statement `changes` answered.
fn head(row: &Row) -> Option<Cursor> {
    let incarnation = row.integer(2).ok()??;
    let table = row.integer(4).ok()??;
    let (timeline, started, system) = (row.text(6).ok()?, row.text(7).ok()?, row.text(8).ok()?);
    // The stored number alone would come back with a backup.
    let history = format!("{incarnation} {table} {timeline:?} {started:?} {system:?}");
    let incarnation = first_eight(&Sha256::digest(history));
    Some(Cursor { incarnation, revision: revision(row, 3)? })
}

fn revision(row: &Row, index: usize) -> Option<Revision> {
    Some(Revision(row.integer(index).ok()??.unsigned_abs()))
}

/// A limit as PostgreSQL takes it.
fn bounded(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

impl row::Row for Row {
    fn text(&self, index: usize) -> Result<Option<&str>, Unreadable> {
        self.try_get(index).map_err(|_| Unreadable)
    }

    fn integer(&self, index: usize) -> Result<Option<i64>, Unreadable> {
        self.try_get(index).map_err(|_| Unreadable)
    }

    fn flag(&self, index: usize) -> Result<Option<bool>, Unreadable> {
        self.try_get(index).map_err(|_| Unreadable)
    }
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore")
            .field("table", &self.shared.statements.token_table)
            .finish_non_exhaustive()
    }
}
