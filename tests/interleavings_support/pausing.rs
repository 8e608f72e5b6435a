use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use api_tokens::{
    Changes, Cursor, EventNumber, Found, ListFilter, NumberedEvent, PageKey, SqliteStore,
    StoreError, StoreErrorKind, TokenId, TokenRecord, TokenStore, Usage, WriteBatch,
};
use jiff::Timestamp;
use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};

/// Pauses for a random moment before about every second call, so that two processes interleave
/// at every point between two calls, and not only where the scheduler happens to stop them.
pub(super) struct PausingStore {
    store: SqliteStore,
    rng: Mutex<ChaCha8Rng>,
    conflicts: Arc<AtomicU32>,
}

impl PausingStore {
    /// Counts in `conflicts` the writes that found something else than they expected.
    pub(super) fn new(store: SqliteStore, seed: u64, conflicts: Arc<AtomicU32>) -> Self {
        Self { store, rng: Mutex::new(ChaCha8Rng::seed_from_u64(seed)), conflicts }
    }

    async fn pause(&self) {
        const LONGEST: u64 = 3000;
        let pause = {
            let mut rng = self.rng.lock().expect("no panic");
            rng.random_bool(0.5).then(|| Duration::from_micros(rng.random_range(0..LONGEST)))
        };
        if let Some(pause) = pause {
            tokio::time::sleep(pause).await;
        }
    }
}

impl TokenStore for PausingStore {
    async fn find(&self, id: &TokenId) -> Result<Option<Found>, StoreError> {
        self.pause().await;
        self.store.find(id).await
    }

    async fn write(&self, batch: &WriteBatch) -> Result<(), StoreError> {
        self.pause().await;
        let written = self.store.write(batch).await;
        if written.as_ref().is_err_and(|error| error.kind() == StoreErrorKind::Conflict) {
            self.conflicts.fetch_add(1, Ordering::Relaxed);
        }
        written
    }

    async fn list(
        &self,
        filter: &ListFilter,
        after: Option<&PageKey>,
        limit: usize,
    ) -> Result<Vec<TokenRecord>, StoreError> {
        self.pause().await;
        self.store.list(filter, after, limit).await
    }

    async fn changes_since(
        &self,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Result<Changes, StoreError> {
        self.store.changes_since(cursor, limit).await
    }

    async fn changed(&self) {
        self.store.changed().await;
    }

    async fn record_usage(&self, batch: &[Usage]) -> Result<(), StoreError> {
        self.store.record_usage(batch).await
    }

    async fn usage(&self, ids: &[TokenId]) -> Result<Vec<Usage>, StoreError> {
        self.store.usage(ids).await
    }

    async fn events(
        &self,
        token: &TokenId,
        before: Option<EventNumber>,
        limit: usize,
    ) -> Result<Vec<NumberedEvent>, StoreError> {
        self.store.events(token, before, limit).await
    }

    async fn prune(&self, ended_before: Timestamp, limit: usize) -> Result<usize, StoreError> {
        self.store.prune(ended_before, limit).await
    }
}
