//! A store in memory that fails, waits, or answers with what was before, when it is told to.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
};

use api_tokens::{
    Changes, Cursor, EventNumber, Found, ListFilter, MemoryStore, NumberedEvent, PageKey,
    StoreError, StoreErrorKind, TokenId, TokenRecord, TokenStore, Usage, WriteBatch,
};
use jiff::Timestamp;
use tokio::sync::Semaphore;

#[derive(Clone, Default)]
pub(crate) struct HeldStore(Arc<Inner>);

#[derive(Default)]
struct Inner {
    memory: MemoryStore,
    fails: AtomicBool,
    silent: AtomicBool,
    held: Mutex<Option<Arc<Semaphore>>>,
    finds: AtomicUsize,
    waiting: AtomicUsize,
    most_waiting: AtomicUsize,
    polls: AtomicUsize,
    /// What `changes_since` answers once.
    reset: AtomicBool,
    /// What `find` answers, instead of what is there.
    past: Mutex<Option<Found>>,
}

impl HeldStore {
    pub(crate) fn finds(&self) -> usize {
        self.0.finds.load(SeqCst)
    }

    pub(crate) fn polls(&self) -> usize {
        self.0.polls.load(SeqCst)
    }

    /// How many answers are held back, and the most there ever were.
    pub(crate) fn waiting(&self) -> usize {
        self.0.waiting.load(SeqCst)
    }

    pub(crate) fn most_waiting(&self) -> usize {
        self.0.most_waiting.load(SeqCst)
    }

    pub(crate) fn fail(&self, fails: bool) {
        self.0.fails.store(fails, SeqCst);
    }

    /// Gives no hints any more.
    pub(crate) fn be_silent(&self) {
        self.0.silent.store(true, SeqCst);
    }

    pub(crate) fn reset_once(&self) {
        self.0.reset.store(true, SeqCst);
    }

    pub(crate) async fn answer_from_the_past(&self, id: TokenId) {
        let found = self.0.memory.find(&id).await.expect("find");
        *self.0.past.lock().expect("no panic") = found;
    }

    /// Holds back the answers of reads that begin from now on, which were read when they began,
    /// until permits are added to what this returns.
    pub(crate) fn hold(&self) -> Arc<Semaphore> {
        let held = Arc::new(Semaphore::new(0));
        *self.0.held.lock().expect("no panic") = Some(Arc::clone(&held));
        held
    }

    pub(crate) fn hold_no_more(&self) {
        *self.0.held.lock().expect("no panic") = None;
    }

    fn check(&self) -> Result<(), StoreError> {
        if self.0.fails.load(SeqCst) {
            return Err(StoreError::new(StoreErrorKind::Unavailable, "told to fail"));
        }
        Ok(())
    }

    async fn wait(&self) {
        let held = self.0.held.lock().expect("no panic").clone();
        if let Some(held) = held {
            let waiting = Waiting::new(&self.0);
            held.acquire().await.expect("open").forget();
            drop(waiting);
        }
    }
}

/// Counted while it lives, also if whoever waits gives up.
struct Waiting<'a>(&'a Inner);

impl<'a> Waiting<'a> {
    fn new(inner: &'a Inner) -> Self {
        let waiting = inner.waiting.fetch_add(1, SeqCst) + 1;
        inner.most_waiting.fetch_max(waiting, SeqCst);
        Self(inner)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, SeqCst);
    }
}

impl TokenStore for HeldStore {
    async fn find(&self, id: &TokenId) -> Result<Option<Found>, StoreError> {
        self.0.finds.fetch_add(1, SeqCst);
        self.check()?;
        let past = self.0.past.lock().expect("no panic").clone();
        let found = match past {
            Some(found) if found.record.id == *id => Some(found),
            _ => self.0.memory.find(id).await?,
        };
        self.wait().await;
        Ok(found)
    }

    async fn write(&self, batch: &WriteBatch) -> Result<(), StoreError> {
        self.check()?;
        self.0.memory.write(batch).await
    }

    async fn list(
        &self,
        filter: &ListFilter,
        after: Option<&PageKey>,
        limit: usize,
    ) -> Result<Vec<TokenRecord>, StoreError> {
        self.0.memory.list(filter, after, limit).await
    }

    async fn changes_since(
        &self,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Result<Changes, StoreError> {
        self.0.polls.fetch_add(1, SeqCst);
        self.check()?;
        let cursor = cursor.filter(|_| !self.0.reset.swap(false, SeqCst));
        let changes = self.0.memory.changes_since(cursor, limit).await?;
        self.wait().await;
        Ok(changes)
    }

    async fn changed(&self) {
        if self.0.silent.load(SeqCst) {
            std::future::pending::<()>().await;
        }
        self.0.memory.changed().await;
    }

    async fn record_usage(&self, batch: &[Usage]) -> Result<(), StoreError> {
        self.0.memory.record_usage(batch).await
    }

    async fn usage(&self, ids: &[TokenId]) -> Result<Vec<Usage>, StoreError> {
        self.0.memory.usage(ids).await
    }

    async fn events(
        &self,
        token: &TokenId,
        before: Option<EventNumber>,
        limit: usize,
    ) -> Result<Vec<NumberedEvent>, StoreError> {
        self.0.memory.events(token, before, limit).await
    }

    async fn prune(&self, ended_before: Timestamp, limit: usize) -> Result<usize, StoreError> {
        self.0.memory.prune(ended_before, limit).await
    }
}
