//! Reads that are under way: one for each token, however many wait for it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::OnceCell;

use super::{entry::Entry, watch::Watched};
use crate::{StoreError, TokenId, sharded::Sharded};

/// What a read returned, for all who waited for it.
pub(super) type Answer = Result<Option<Arc<Entry>>, StoreError>;

/// A read of one record. Whoever comes first does it; if they give up, the next one does.
pub(super) type Flight = OnceCell<Answer>;

/// Of some tokens: which are being read, and which are watched. Whoever makes a record enter or
/// leave the cache holds this lock.
#[derive(Default)]
pub(super) struct Shard {
    flights: HashMap<TokenId, Joined, foldhash::fast::RandomState>,
    pub(super) watched: HashMap<TokenId, Watched, foldhash::fast::RandomState>,
}

struct Joined {
    flight: Arc<Flight>,
    seats: usize,
}

impl Shard {
    /// Bars a read that is under way from the cache, and lets nobody join it any more.
    pub(super) fn bar(&mut self, id: &TokenId) {
        self.flights.remove(id);
    }

    pub(super) fn bar_all(&mut self) {
        self.flights.clear();
    }

    /// Ends a read. Whether its answer may be cached: not if it was barred.
    pub(super) fn land(&mut self, id: &TokenId, flight: &Arc<Flight>) -> bool {
        let is_open = self.is_open(id, flight);
        if is_open {
            self.flights.remove(id);
        }
        is_open
    }

    fn is_open(&self, id: &TokenId, flight: &Arc<Flight>) -> bool {
        self.flights.get(id).is_some_and(|joined| Arc::ptr_eq(&joined.flight, flight))
    }
}

#[derive(Default)]
pub(super) struct Shards(Sharded<Mutex<Shard>>);

impl Shards {
    pub(super) fn of(&self, id: &TokenId) -> MutexGuard<'_, Shard> {
        lock(self.0.of(id))
    }

    pub(super) fn each(&self) -> impl Iterator<Item = MutexGuard<'_, Shard>> {
        self.0.iter().map(lock)
    }

    /// Joins the read of this token that is under way, or begins one.
    pub(super) fn join(&self, id: TokenId) -> Seat<'_> {
        let mut shard = self.of(&id);
        let joined =
            shard.flights.entry(id).or_insert_with(|| Joined { flight: Arc::default(), seats: 0 });
        let is_first = joined.seats == 0;
        joined.seats = joined.seats.saturating_add(1);
        let flight = Arc::clone(&joined.flight);
        Seat { shards: self, id, flight, is_first }
    }
}

/// A place among those who wait for a read. Whoever leaves last takes it away with them.
pub(super) struct Seat<'a> {
    shards: &'a Shards,
    id: TokenId,
    pub(super) flight: Arc<Flight>,
    /// Whether this read was begun for them.
    pub(super) is_first: bool,
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        let mut shard = self.shards.of(&self.id);
        if shard.is_open(&self.id, &self.flight)
            && let Some(joined) = shard.flights.get_mut(&self.id)
        {
            joined.seats = joined.seats.saturating_sub(1);
            if joined.seats == 0 {
                shard.flights.remove(&self.id);
            }
        }
    }
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}
