use core::{
    fmt,
    future::poll_fn,
    sync::atomic::{AtomicU64, Ordering},
    task::{Poll, Waker},
};
use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockWriteGuard},
};

use jiff::Timestamp;

use super::{
    Change, Changes, Cursor, EventNumber, Found, ListFilter, NumberedEvent, PageKey, Revision,
    StoreError, StoreErrorKind, TokenStore, WriteBatch,
};
use crate::{Event, TokenId, TokenRecord, Usage, sharded::Sharded};

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
    shards: Sharded<RwLock<Records>>,
    /// Increased after the record of a change is in its shard, so that a reader who first reads
    /// this and then the shard sees every change up to it.
    head: AtomicU64,
    /// Held by every writer.
    history: Mutex<History>,
}

/// Hashed with a fast function: ids come out of a random number generator or a hash here, so
/// nobody can choose those in the map and make it slow.
type Records = HashMap<TokenId, Arc<TokenRecord>, foldhash::fast::RandomState>;

#[derive(Default)]
struct History {
    order: BTreeMap<PageKey, Arc<TokenRecord>>,
    /// The latest changes, the newest last; the first has revision `head - len + 1`.
    changes: VecDeque<TokenId>,
    /// The latest events, the newest last, which has the number `events_written`.
    events: VecDeque<Event>,
    events_written: u64,
    usage: HashMap<TokenId, Usage>,
    /// Who waits for a change.
    waiting: Vec<Waker>,
}

/// There is only one history of a store in memory: it is gone when the process is.
const INCARNATION: u64 = 1;

/// How many changes are kept for readers, and how many events.
const KEPT: usize = 10_000;

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

    fn record(&self, id: &TokenId) -> Option<Arc<TokenRecord>> {
        let shard = self.shared.shards.of(id).read().unwrap_or_else(PoisonError::into_inner);
        shard.get(id).map(Arc::clone)
    }
}

/// Shards that stay locked until a whole change is made: whoever has read one of its records as
/// it became reads no other as it was. Who locks several holds the history, so in any order.
struct Locked<'a> {
    shared: &'a Shared,
    by_first_character: HashMap<u8, RwLockWriteGuard<'a, Records>>,
}

impl<'a> Locked<'a> {
    fn new(shared: &'a Shared) -> Self {
        Self { shared, by_first_character: HashMap::new() }
    }

    fn shard(&mut self, id: &TokenId) -> &mut Records {
        let [first_character, ..] = id.as_bytes();
        let shard = self.shared.shards.of(id);
        let lock = || shard.write().unwrap_or_else(PoisonError::into_inner);
        self.by_first_character.entry(*first_character).or_insert_with(lock)
    }
}

/// Appends to what is kept, and drops the oldest beyond.
fn keep<T>(kept: &mut VecDeque<T>, new: T) {
    if kept.len() == KEPT {
        kept.pop_front();
    }
    kept.push_back(new);
}

impl TokenStore for MemoryStore {
    async fn find(&self, id: &TokenId) -> Result<Option<Found>, StoreError> {
        let as_of = Revision(self.shared.head.load(Ordering::Acquire));
        Ok(self.record(id).map(|record| Found { record, as_of }))
    }

    async fn write(&self, batch: &WriteBatch) -> Result<(), StoreError> {
        let mut history = self.history();
        let version = |id| self.record(&id).map(|record| record.version);
        if batch.expectations().any(|(id, expected)| version(id) != expected) {
            return Err(StoreError::new(StoreErrorKind::Conflict, "write records"));
        }
        let WriteBatch { inserts, updates, unchanged: _, events } = batch;
        let mut locked = Locked::new(&self.shared);
        for record in inserts.iter().chain(updates) {
            let record = Arc::new(record.clone());
            history.order.insert(PageKey::of(&record), Arc::clone(&record));
            locked.shard(&record.id).insert(record.id, record);
        }
        for record in updates {
            keep(&mut history.changes, record.id);
            self.shared.head.fetch_add(1, Ordering::Release);
        }
        for event in events {
            keep(&mut history.events, event.clone());
            history.events_written = history.events_written.saturating_add(1);
        }
        if !updates.is_empty() {
            history.waiting.drain(..).for_each(Waker::wake);
        }
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

    async fn changed(&self) {
        let mut head = None;
        poll_fn(|context| {
            let mut history = self.history();
            let now = self.shared.head.load(Ordering::Acquire);
            if *head.get_or_insert(now) != now {
                return Poll::Ready(());
            }
            if !history.waiting.iter().any(|waker| waker.will_wake(context.waker())) {
                history.waiting.push(context.waker().clone());
            }
            Poll::Pending
        })
        .await;
    }

    async fn record_usage(&self, batch: &[Usage]) -> Result<(), StoreError> {
        let mut history = self.history();
        for new in batch.iter().filter(|usage| self.record(&usage.id).is_some()) {
            let kept = history.usage.entry(new.id).or_insert_with(|| new.clone());
            if kept.last_used_at < new.last_used_at {
                *kept = new.clone();
            }
        }
        Ok(())
    }

    async fn usage(&self, ids: &[TokenId]) -> Result<Vec<Usage>, StoreError> {
        let history = self.history();
        Ok(ids.iter().filter_map(|id| history.usage.get(id).cloned()).collect())
    }

    async fn events(
        &self,
        token: &TokenId,
        before: Option<EventNumber>,
        limit: usize,
    ) -> Result<Vec<NumberedEvent>, StoreError> {
        let history = self.history();
        let numbers = (1..=history.events_written).rev();
        let newest_first = numbers.map(EventNumber).zip(history.events.iter().rev());
        Ok(newest_first
            .filter(|(number, _)| before.is_none_or(|before| *number < before))
            .filter(|(_, event)| event.token.as_ref() == Some(token))
            .map(|(number, event)| NumberedEvent { number, event: event.clone() })
            .take(limit)
            .collect())
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
        let mut locked = Locked::new(&self.shared);
        for key in &ended {
            history.order.remove(key);
            history.usage.remove(&key.id);
            locked.shard(&key.id).remove(&key.id);
        }
        Ok(ended.len())
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").finish_non_exhaustive()
    }
}
