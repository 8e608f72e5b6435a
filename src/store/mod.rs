//! Where records are kept: the [`TokenStore`] trait, its contract, and the back ends.

mod erased;
mod error;
mod memory;
#[cfg(feature = "sqlite")]
mod sqlite;

use core::fmt;
use std::sync::Arc;

use jiff::Timestamp;

pub use erased::DynTokenStore;
pub use error::{StoreError, StoreErrorKind};
pub use memory::MemoryStore;
#[cfg(feature = "sqlite")]
pub use sqlite::{SqliteOptions, SqliteStore};

use crate::{Principal, Project, TokenId, TokenRecord, clock::to_microseconds};

/// Keeps token records.
///
/// A store inserts, reads, compares-and-sets, lists and reports changes; what a change means is
/// decided elsewhere, so a back end is one file and cannot get the rules of a token's life wrong.
/// Implementations write plain `async fn`. A program that wants one type for all stores uses
/// [`DynTokenStore`].
///
/// A complete implementation is in `examples/custom_store.rs`; prove yours with the suite in the
/// `testing` module (feature `testing`).
///
/// # Contract
///
/// - **Durable and linearizable.** When `insert`, `update` or `prune` returns `Ok`, the change
///   survives a crash, and every later `find`, `list` and `changes_since`, from any process,
///   sees it. A store never reads from a replica that lags behind.
/// - **Atomic.** Each method happens wholly or not at all. If it fails with
///   [`StoreErrorKind::Unavailable`] or [`Other`](StoreErrorKind::Other), a write may have
///   happened or not; otherwise it has not.
/// - **Faithful.** A record comes back as it was written. Its timestamps are whole microseconds;
///   a store need not keep more. Texts compare byte by byte (as with `COLLATE "C"`).
/// - **Changes in commit order.** Each `update` increases the store's [`Revision`] and notes
///   the token's id under it, in the same transaction, so that whoever reads the notes in order
///   misses none. An `insert` need not be noted (what does not exist is never cached), nor a
///   `prune` (what is pruned is dead).
/// - **Errors by kind.** See [`StoreErrorKind`]. A store that cannot answer says so; it never
///   answers "not found" instead.
/// - **Cancellation.** A future may be dropped at any point. A write that had begun may then
///   happen or not.
/// - **No blocking.** The futures do not block the thread that polls them.
pub trait TokenStore: Send + Sync + 'static {
    /// Adds a new record.
    ///
    /// # Errors
    ///
    /// [`AlreadyExists`](StoreErrorKind::AlreadyExists) if there is a record of this id, which
    /// is left as it is; else see [`StoreErrorKind`].
    fn insert(&self, record: &TokenRecord) -> impl Future<Output = Result<(), StoreError>> + Send;

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

    /// Replaces the record of the same id, if the stored version is `record.version - 1`.
    ///
    /// Callers do not change the fields that never change ([`TokenRecord`] says which); a store
    /// need not check.
    ///
    /// # Errors
    ///
    /// [`Conflict`](StoreErrorKind::Conflict) if the stored version is another one or there is
    /// no such record; nothing is changed then. Else see [`StoreErrorKind`].
    fn update(&self, record: &TokenRecord) -> impl Future<Output = Result<(), StoreError>> + Send;

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
    /// `limit` is at least 1. A store keeps at least the latest 10,000 changes: counted, not timed,
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

    /// Deletes up to `limit` records whose [`ends_at`](TokenRecord::ends_at) is before
    /// `ended_before`, and tells how many.
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
    /// more.
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
