//! Where records are kept: the [`TokenStore`] trait, its contract, and the back ends.

mod batch;
mod erased;
mod error;
mod memory;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod row;
#[cfg(feature = "sqlite")]
mod sqlite;

use core::fmt;
use std::sync::Arc;

use jiff::Timestamp;

pub use batch::WriteBatch;
pub use erased::DynTokenStore;
pub use error::{StoreError, StoreErrorKind};
pub use memory::MemoryStore;
#[cfg(feature = "postgres")]
pub use postgres::{PostgresOptions, PostgresStore};
#[cfg(feature = "sqlite")]
pub use sqlite::{SqliteOptions, SqliteStore};

use crate::{Event, Principal, Project, TokenId, TokenRecord, Usage, clock::to_microseconds};

/// Keeps token records, when tokens were last used, and what happened to them.
///
/// A store reads, compares-and-sets, lists and reports changes; what a change means is decided
/// elsewhere, so a back end is one file and cannot get the rules of a token's life wrong.
/// Implementations write plain `async fn`. A program that wants one type for all stores uses
/// [`DynTokenStore`].
///
/// A complete implementation is in `examples/custom_store.rs`; prove yours with the suite in the
/// `testing` module (feature `testing`).
///
/// # Contract
///
/// - **Durable and linearizable.** When `write` or `prune` returns `Ok`, the change survives a
///   crash, and every later `find`, `list` and `changes_since`, from any process, sees it. A
///   store never reads from a replica that lags behind.
/// - **Atomic.** Each method happens wholly or not at all. If it fails with
///   [`StoreErrorKind::Unavailable`] or [`Other`](StoreErrorKind::Other), a write may have
///   happened or not; otherwise it has not.
/// - **Faithful.** A record comes back as it was written. Its timestamps are whole microseconds;
///   a store need not keep more. Texts compare byte by byte (as with `COLLATE "C"`).
/// - **Changes in commit order.** Each record that `write` replaces increases the store's
///   [`Revision`], and its id is noted under it, in the same transaction, so that whoever reads
///   the notes in order misses none. An insert is not noted, since what does not exist is never
///   cached; a `prune` need not be, since what is pruned is dead.
/// - **Errors by kind.** See [`StoreErrorKind`]. A store that cannot answer says so; it never
///   answers "not found" instead.
/// - **Cancellation.** A future may be dropped at any point. A write that had begun may then
///   happen or not.
/// - **No blocking.** The futures do not block the thread that polls them, and do not panic: a
///   panic would end the [`Background`](crate::Background).
pub trait TokenStore: Send + Sync + 'static {
    /// Reads the record of an id, with a revision as of which it was read; `None` if there is
    /// none.
    ///
    /// Record and revision belong together: every change up to that revision shows in the
    /// record. The revision may be older than the record, never newer, and includes every change
    /// that was acknowledged before the call. Read both in one snapshot, or the revision first.
    ///
    /// # Errors
    ///
    /// See [`StoreErrorKind`]. [`Corrupt`](StoreErrorKind::Corrupt) if what is stored is not a
    /// record.
    fn find(&self, id: &TokenId) -> impl Future<Output = Result<Option<Found>, StoreError>> + Send;

    /// Adds and replaces records and appends events, all in one transaction, provided that the
    /// stored records are as the batch expects ([`WriteBatch`] says how).
    ///
    /// Callers do not change the fields that never change ([`TokenRecord`] says which); a store
    /// need not check.
    ///
    /// # Errors
    ///
    /// [`Conflict`](StoreErrorKind::Conflict) if a stored record is not as expected; nothing is
    /// written then. Else see [`StoreErrorKind`].
    fn write(&self, batch: &WriteBatch) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Reads up to `limit` records that match `filter`, the newest first: by
    /// [`PageKey`], descending, from the first one after (that is, below) `after`.
    ///
    /// `limit` is at least 1. Fewer than `limit` records mean that there are no more.
    ///
    /// # Errors
    ///
    /// See [`StoreErrorKind`].
    fn list(
        &self,
        filter: &ListFilter,
        after: Option<&PageKey>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<TokenRecord>, StoreError>> + Send;

    /// Reads up to `limit` changes after `cursor`, the oldest first. `None` asks where the
    /// history stands now, and is answered by [`Changes::Reset`].
    ///
    /// `limit` is at least 1. Fewer changes than `limit` mean that there are no more, which is what
    /// a cache relies on. A store keeps at least the latest 10,000 changes: counted, not timed,
    /// so that it takes bounded room and needs no clock. A reader that falls further behind is
    /// reset, which costs it what it had cached, and never its correctness.
    ///
    /// # Errors
    ///
    /// See [`StoreErrorKind`].
    fn changes_since(
        &self,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> impl Future<Output = Result<Changes, StoreError>> + Send;

    /// Resolves when there may be a change, so that a reader need not wait for its next poll; a
    /// hint, which may be late, be lost, or be given for nothing. A change that is made after the
    /// future was first polled should make it resolve, whichever process made it.
    ///
    /// Correctness never depends on it. A store without a signal waits for ever:
    /// `core::future::pending::<()>().await`.
    fn changed(&self) -> impl Future<Output = ()> + Send;

    /// Keeps for each token when and from where it was last used.
    ///
    /// Never goes back: a usage that is not after the one that is kept changes nothing. Usages of
    /// tokens that do not exist are ignored. `batch` is sorted by id, so that two writers lock
    /// rows in the same order, and names each id once. It must not contend with the records: this
    /// is the most frequent write, and none of them is a change of a record.
    ///
    /// # Errors
    ///
    /// See [`StoreErrorKind`].
    fn record_usage(&self, batch: &[Usage]) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Reads what is kept of these tokens' usage, in any order; of a token that was never used,
    /// nothing.
    ///
    /// # Errors
    ///
    /// See [`StoreErrorKind`].
    fn usage(&self, ids: &[TokenId])
    -> impl Future<Output = Result<Vec<Usage>, StoreError>> + Send;

    /// Reads up to `limit` events of one token, the newest first, from the first one before
    /// (that is, below) `before`.
    ///
    /// `limit` is at least 1. Fewer than `limit` mean that there are no more. A store keeps at
    /// least the latest 10,000 events of all tokens together; a durable one keeps all, also of
    /// tokens that were pruned.
    ///
    /// # Errors
    ///
    /// See [`StoreErrorKind`].
    fn events(
        &self,
        token: &TokenId,
        before: Option<EventNumber>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<NumberedEvent>, StoreError>> + Send;

    /// Deletes up to `limit` records whose [`ends_at`](TokenRecord::ends_at) is before
    /// `ended_before`, with their usage, and tells how many. Their events stay.
    ///
    /// `limit` is at least 1. Fewer than `limit` mean that there are no more.
    ///
    /// # Errors
    ///
    /// See [`StoreErrorKind`].
    fn prune(
        &self,
        ended_before: Timestamp,
        limit: usize,
    ) -> impl Future<Output = Result<usize, StoreError>> + Send;
}

/// A record as [`TokenStore::find`] read it.
#[derive(Debug, Clone)]
pub struct Found {
    /// The record, shared so that a store in memory need not copy it.
    pub record: Arc<TokenRecord>,
    /// Every change up to this revision shows in the record.
    pub as_of: Revision,
}

/// Counts the changes of a store, in commit order: 0 before the first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub u64);

/// A place in the history of a store's changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cursor {
    /// Which history: another number after the history was lost or rolled back, as by restoring
    /// a backup.
    pub incarnation: u64,
    /// Every change up to this one has been read.
    pub revision: Revision,
}

/// One noted change: the token of this id is no longer what it was before this revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Change {
    /// Whose record changed.
    pub id: TokenId,
    /// When, in commit order.
    pub revision: Revision,
}

/// What [`TokenStore::changes_since`] answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changes {
    /// The changes after the cursor, the oldest first; `limit` of them mean that there may be
    /// more, and fewer that there are none.
    Since {
        /// The changes. An id may occur more than once.
        changes: Vec<Change>,
        /// Where to go on: the revision of the last change, or the cursor if there is none.
        next: Cursor,
    },
    /// The history does not reach back to the cursor, or is another one, or has not come as far:
    /// anything may have changed, so forget everything that was read before.
    Reset {
        /// Where to go on.
        next: Cursor,
    },
}

/// The place of an event in the order in which a store wrote them: at least 1, increasing, perhaps
/// with gaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventNumber(pub u64);

/// An event as [`TokenStore::events`] read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NumberedEvent {
    /// Its place.
    pub number: EventNumber,
    /// The event.
    pub event: Event,
}

/// Which records [`TokenStore::list`] reads: those that match every field that is set.
///
/// Exhaustive on purpose: a store that forgets a field does not compile.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListFilter {
    /// Only tokens of this project.
    pub project: Option<Project>,
    /// Only tokens that act for this owner.
    pub owner: Option<Principal>,
}

impl ListFilter {
    /// Whether a record matches, for stores that do not query.
    #[must_use]
    pub fn matches(&self, record: &TokenRecord) -> bool {
        let Self { project, owner } = self;
        project.as_ref().is_none_or(|project| *project == record.project)
            && owner.as_ref().is_none_or(|owner| *owner == record.owner)
    }
}

/// A record's place in lists: by time of creation, then by id.
///
/// As text, for use in a URL: microseconds since the epoch, `.`, id.
///
/// ```
/// use api_tokens::PageKey;
///
/// let key: PageKey = "1767225600000000.Ky9Pf34qY6Nb3wWD".parse()?;
/// assert_eq!(key.created_at.to_string(), "2026-01-01T00:00:00Z");
/// assert_eq!(key.to_string(), "1767225600000000.Ky9Pf34qY6Nb3wWD");
/// # Ok::<_, api_tokens::PageKeyError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PageKey {
    /// The record's time of creation.
    pub created_at: Timestamp,
    /// The record's id.
    pub id: TokenId,
}

impl PageKey {
    /// The place of a record.
    #[must_use]
    pub fn of(record: &TokenRecord) -> Self {
        Self { created_at: record.created_at, id: record.id }
    }
}

impl fmt::Display for PageKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", to_microseconds(self.created_at).as_microsecond(), self.id)
    }
}

impl core::str::FromStr for PageKey {
    type Err = PageKeyError;

    fn from_str(text: &str) -> Result<Self, PageKeyError> {
        let (created_at, id) = text.split_once('.').ok_or(PageKeyError)?;
        let created_at = created_at.parse().map_err(|_| PageKeyError)?;
        Ok(Self {
            created_at: Timestamp::from_microsecond(created_at).map_err(|_| PageKeyError)?,
            id: id.parse().map_err(|_| PageKeyError)?,
        })
    }
}

/// A text that is not a [`PageKey`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a page key")]
pub struct PageKeyError;
