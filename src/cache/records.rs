use core::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};
use std::sync::{Arc, Weak};

use quick_cache::{
    UnitWeighter,
    sync::{Cache as QuickCache, DefaultLifecycle},
};
use tokio::sync::Semaphore;

use super::{
    Cache, CacheHealth, Source,
    entry::Entry,
    feed::Feed,
    flight::{Answer, Flight, Shards},
    watch::Watched,
};
use crate::{Clock, Found, StoreError, StoreErrorKind, TokenId, TokenStore, sharded::Sharded};

/// How many may wait for a lookup, for each one that may run.
const QUEUE: usize = 64;

/// How long a lookup waits for its turn, if that is more than the staleness that is allowed.
const PATIENCE: Duration = Duration::from_secs(1);

type Entries = QuickCache<TokenId, Arc<Entry>, UnitWeighter, foldhash::fast::RandomState>;

/// The records that are in memory, the lease under which they are used, and the way they get there.
pub(crate) struct CachedRecords {
    entries: Entries,
    pub(super) shards: Shards,
    pub(super) feed: Feed,
    /// Who reads the store, and who reads it or waits to.
    lookups: Semaphore,
    queue: Semaphore,
    source: Weak<dyn Source>,
    counts: Sharded<Counts>,
}

/// Alone in its cache line, so that no two tokens' requests write to the same one without need.
#[derive(Default)]
#[repr(align(64))]
struct Counts {
    hits: AtomicU64,
    misses: AtomicU64,
}

/// A record, and until when it may be relied on, by the monotonic clock.
#[derive(Debug, Clone)]
pub(crate) struct Leased {
    pub(crate) entry: Arc<Entry>,
    pub(crate) until: Duration,
}

impl CachedRecords {
    /// `source` is where a watch asks again.
    pub(crate) fn new(settings: Cache, source: Weak<dyn Source>) -> Self {
        let Cache { capacity, max_lookups, .. } = settings;
        let lookups = max_lookups.clamp(1, Semaphore::MAX_PERMITS / (QUEUE + 1));
        Self {
            entries: Entries::with(
                capacity,
                u64::try_from(capacity).unwrap_or(u64::MAX),
                UnitWeighter,
                foldhash::fast::RandomState::default(),
                DefaultLifecycle::default(),
            ),
            shards: Shards::default(),
            feed: Feed::new(settings),
            lookups: Semaphore::new(lookups),
            queue: Semaphore::new(lookups.saturating_mul(QUEUE + 1)),
            source,
            counts: Sharded::default(),
        }
    }

    pub(crate) fn max_staleness(&self) -> Duration {
        self.feed.max_staleness()
    }

    /// The record, if it is in memory. Its `until` may have passed: that is for the caller to
    /// check, once the record has been put to use.
    pub(crate) fn get(&self, id: &TokenId) -> Option<Leased> {
        // Before the record: a lease that is extended later says nothing of what was taken before.
        let until = self.feed.lease();
        let entry = self.entries.get(id)?;
        Some(Leased { entry, until })
    }

    /// Counts a verification that went by a record in memory.
    pub(crate) fn count_hit(&self, id: &TokenId) {
        self.counts.of(id).hits.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a verification that needs the store.
    pub(crate) fn count_miss(&self, id: &TokenId) {
        self.counts.of(id).misses.fetch_add(1, Ordering::Relaxed);
    }

    /// From when on a refusal by this record must be asked for again. An id may come back
    /// after it was pruned, when it is imported again, and nobody notes that as a change.
    pub(crate) fn refuses_until(&self, leased: &Leased) -> Duration {
        leased.until.min(leased.entry.read_at.saturating_add(self.max_staleness()))
    }

    /// Reads the record from the store, together with all others who want it now.
    pub(crate) async fn read<S: TokenStore>(
        &self,
        store: &S,
        clock: &dyn Clock,
        id: &TokenId,
    ) -> Result<Option<Leased>, StoreError> {
        for is_second in [false, true] {
            let seat = self.shards.join(*id);
            let lookup = || self.look_up(store, clock, id, &seat.flight);
            let answer = seat.flight.get_or_init(lookup).await.clone()?;
            // A read that others began may be older than this request, and so may the token not be:
            // the second read is not.
            if answer.is_some() || seat.is_first || is_second {
                return Ok(answer.map(|entry| {
                    let until = entry.read_at.saturating_add(self.max_staleness());
                    Leased { entry, until }
                }));
            }
        }
        Ok(None)
    }

    async fn look_up<S: TokenStore>(
        &self,
        store: &S,
        clock: &dyn Clock,
        id: &TokenId,
        flight: &Arc<Flight>,
    ) -> Answer {
        let answer = self.ask(store, clock, id).await;
        let mut shard = self.shards.of(id);
        // Also if there is no record: whoever joins a read from now on must not be told what was
        // before they came.
        let may_enter = shard.land(id, flight);
        if let (true, Ok(Some(entry))) = (may_enter, &answer) {
            self.entries.insert(*id, Arc::clone(entry));
        }
        answer
    }

    async fn ask<S: TokenStore>(&self, store: &S, clock: &dyn Clock, id: &TokenId) -> Answer {
        let busy = || StoreError::new(StoreErrorKind::Unavailable, "too many lookups are waiting");
        let _place = self.queue.try_acquire().map_err(|_| busy())?;
        let asked_at = clock.monotonic();
        let _turn = self.lookups.acquire().await.map_err(|_| busy())?;
        let read_at = clock.monotonic();
        if read_at.saturating_sub(asked_at) > self.max_staleness().max(PATIENCE) {
            // When the store hangs, the queue must not hang for as many turns as there are in it.
            return Err(busy());
        }
        let applied = self.feed.applied();
        let found = store.find(id).await?;
        let Some(Found { record, as_of }) = found else { return Ok(None) };
        if as_of < applied {
            // Its changes have been seen here: this is no answer, but a replica's that lags behind.
            let context = "read a record: the answer is older than changes that were read before";
            return Err(StoreError::new(StoreErrorKind::Unavailable, context));
        }
        let record = Arc::unwrap_or_clone(record);
        Ok(Some(Arc::new(Entry { record, read_at, source: Weak::clone(&self.source) })))
    }

    /// Forgets a record, also one that is being read, because it has changed.
    pub(crate) fn forget(&self, id: &TokenId) {
        let mut shard = self.shards.of(id);
        shard.bar(id);
        self.entries.remove(id);
        if let Some(watched) = shard.watched.get(id) {
            watched.notify();
        }
    }

    pub(super) fn forget_all(&self) {
        self.shards.each().for_each(|mut shard| shard.bar_all());
        // What enters now was read after the flights above were barred.
        self.entries.clear();
        // Last, since they look at what is there.
        self.shards.each().for_each(|shard| shard.watched.values().for_each(Watched::notify));
    }

    pub(crate) fn health(&self, clock: &dyn Clock) -> CacheHealth {
        let now = clock.monotonic();
        let sum = |count: fn(&Counts) -> &AtomicU64| {
            self.counts.iter().map(|counts| count(counts).load(Ordering::Relaxed)).sum()
        };
        CacheHealth {
            feed_age: self.feed.age(now),
            lease_left: self.feed.lease().saturating_sub(now),
            lease_expirations: self.feed.expirations(now),
            tokens: self.entries.len(),
            hits: sum(|counts| &counts.hits),
            misses: sum(|counts| &counts.misses),
        }
    }
}
