use core::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
};
use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
};

use jiff::Timestamp;

use super::{
    Change, Changes, Cursor, Found, ListFilter, PageKey, Revision, StoreError, StoreErrorKind,
    TokenStore,
};
use crate::{TokenId, TokenRecord};

/// Keeps records in this process's memory: for tests, and for services that load their tokens
/// from configuration.
///
/// A read takes the lock of one shard of many and allocates nothing; the futures are ready when
/// first polled. A clone shares the records.
///
/// **Not durable**, and so no store for tokens that people create.
#[derive(Clone, Default)]
pub struct MemoryStore {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    shards: Shards,
    /// Increased after the record of a change is in its shard, so that a reader who first reads
    /// this and then the shard sees every change up to it.
    head: AtomicU64,
    /// Held by every writer.
    history: Mutex<History>,
}

#[derive(Default)]
struct History {
    order: BTreeMap<PageKey, Arc<TokenRecord>>,
    /// The latest changes, the newest last; the first has revision `head - len + 1`.
    changes: VecDeque<TokenId>,
}

/// There is only one history of a store in memory: it is gone when the process is.
const INCARNATION: u64 = 1;

/// How many changes are kept for readers.
const CHANGES_KEPT: usize = 10_000;

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn history(&self) -> MutexGuard<'_, History> {
        // No writer panics halfway, so a poisoned lock guards whole data.
        self.shared.history.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TokenStore for MemoryStore {
    async fn insert(&self, record: &TokenRecord) -> Result<(), StoreError> {
        let mut history = self.history();
        if self.shared.shards.find(&record.id).is_some() {
            return Err(StoreError::new(StoreErrorKind::AlreadyExists, "insert a record"));
        }
        let record = Arc::new(record.clone());
        history.order.insert(PageKey::of(&record), Arc::clone(&record));
        self.shared.shards.insert(record);
        Ok(())
    }

    async fn find(&self, id: &TokenId) -> Result<Option<Found>, StoreError> {
        let as_of = Revision(self.shared.head.load(Ordering::Acquire));
        Ok(self.shared.shards.find(id).map(|record| Found { record, as_of }))
    }

    async fn update(&self, record: &TokenRecord) -> Result<(), StoreError> {
        let mut history = self.history();
        let stored = self.shared.shards.find(&record.id);
        if stored.and_then(|stored| stored.version.checked_add(1)) != Some(record.version) {
            return Err(StoreError::new(StoreErrorKind::Conflict, "update a record"));
        }
        let record = Arc::new(record.clone());
        history.order.insert(PageKey::of(&record), Arc::clone(&record));
        if history.changes.len() == CHANGES_KEPT {
            history.changes.pop_front();
        }
        history.changes.push_back(record.id);
        self.shared.shards.insert(record);
        self.shared.head.fetch_add(1, Ordering::Release);
        Ok(())
    }

    async fn list(
        &self,
        filter: &ListFilter,
        after: Option<&PageKey>,
        limit: usize,
    ) -> Result<Vec<TokenRecord>, StoreError> {
        use core::ops::Bound::{Excluded, Unbounded};

        let history = self.history();
        let below = after.map_or(Unbounded, |after| Excluded(*after));
        let newest_first = history.order.range((Unbounded, below)).rev();
        let matching =
            newest_first.map(|(_, record)| record).filter(|record| filter.matches(record));
        Ok(matching.take(limit).map(|record| TokenRecord::clone(record)).collect())
    }

    async fn changes_since(
        &self,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Result<Changes, StoreError> {
        let history = self.history();
        let head = self.shared.head.load(Ordering::Acquire);
        let at = |revision| Cursor { incarnation: INCARNATION, revision: Revision(revision) };
        let kept = u64::try_from(history.changes.len()).unwrap_or(u64::MAX);
        let forgotten = head.saturating_sub(kept);
        let read = match cursor {
            Some(Cursor { incarnation: INCARNATION, revision: Revision(read) })
                if (forgotten..=head).contains(read) =>
            {
                *read
            }
            _ => return Ok(Changes::Reset { next: at(head) }),
        };
        let noted = (forgotten.saturating_add(1)..).zip(&history.changes);
        let changes: Vec<_> = noted
            .skip_while(|(revision, _)| *revision <= read)
            .take(limit)
            .map(|(revision, id)| Change { id: *id, revision: Revision(revision) })
            .collect();
        let next = at(changes.last().map_or(read, |change| change.revision.0));
        Ok(Changes::Since { changes, next })
    }

    async fn prune(&self, ended_before: Timestamp, limit: usize) -> Result<usize, StoreError> {
        let mut history = self.history();
        let ended = |record: &TokenRecord| record.ends_at().is_some_and(|end| end < ended_before);
        let ended: Vec<PageKey> = history
            .order
            .iter()
            .filter(|(_, record)| ended(record))
            .map(|(key, _)| *key)
            .take(limit)
            .collect();
        for key in &ended {
            history.order.remove(key);
            self.shared.shards.remove(&key.id);
        }
        Ok(ended.len())
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").finish_non_exhaustive()
    }
}

/// Hashed with a fast function: ids are drawn at random here, so nobody can choose those in the
/// map and make it slow.
type Shard = RwLock<HashMap<TokenId, Arc<TokenRecord>, foldhash::fast::RandomState>>;

/// A map in shards, each with its own lock, so that no lock is shared by all requests. The first
/// character of an id picks its shard: an ASCII code, 62 of which occur equally often.
struct Shards([Shard; 128]);

impl Default for Shards {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Shard::default()))
    }
}

impl Shards {
    fn shard(&self, id: &TokenId) -> &Shard {
        let [first_character, ..] = id.as_bytes();
        let [any, ..] = &self.0;
        self.0.get(usize::from(*first_character)).unwrap_or(any)
    }

    fn find(&self, id: &TokenId) -> Option<Arc<TokenRecord>> {
        self.shard(id).read().unwrap_or_else(PoisonError::into_inner).get(id).map(Arc::clone)
    }

    fn insert(&self, record: Arc<TokenRecord>) {
        let mut shard = self.shard(&record.id).write().unwrap_or_else(PoisonError::into_inner);
        shard.insert(record.id, record);
    }

    fn remove(&self, id: &TokenId) {
        self.shard(id).write().unwrap_or_else(PoisonError::into_inner).remove(id);
    }
}
