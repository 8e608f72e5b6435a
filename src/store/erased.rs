use core::{fmt, pin::Pin};
use std::sync::Arc;

use jiff::Timestamp;

use super::{
    Changes, Cursor, EventNumber, Found, ListFilter, NumberedEvent, PageKey, StoreError,
    TokenStore, WriteBatch,
};
use crate::{TokenId, TokenRecord, Usage};

/// Any [`TokenStore`] as one type, for programs that choose their store when they start.
///
/// A clone shares the store. Costs one allocation a call, about 10 ns.
///
/// ```
/// use api_tokens::{DynTokenStore, Keyring, MemoryStore, Verifier, prefix};
///
/// let store = DynTokenStore::new(MemoryStore::new());
/// let verifier: Verifier<DynTokenStore> =
///     Verifier::new(prefix!("acme_live"), &Keyring::unkeyed(), store);
/// ```
// A struct and not `Arc<dyn …>` itself: the lifetime in a `dyn` type keeps the compiler from
// seeing that a future which holds it is `Send`.
#[derive(Clone)]
pub struct DynTokenStore(Arc<dyn Erased>);

impl DynTokenStore {
    /// Erases the type of `store`.
    pub fn new(store: impl TokenStore) -> Self {
        Self(Arc::new(store))
    }
}

impl TokenStore for DynTokenStore {
    async fn find(&self, id: &TokenId) -> Result<Option<Found>, StoreError> {
        self.0.find(id).await
    }

    async fn write(&self, batch: &WriteBatch) -> Result<(), StoreError> {
        self.0.write(batch).await
    }

    async fn list(
        &self,
        filter: &ListFilter,
        after: Option<&PageKey>,
        limit: usize,
    ) -> Result<Vec<TokenRecord>, StoreError> {
        self.0.list(filter, after, limit).await
    }

    async fn changes_since(
        &self,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Result<Changes, StoreError> {
        self.0.changes_since(cursor, limit).await
    }

    async fn changed(&self) {
        self.0.changed().await;
    }

    async fn record_usage(&self, batch: &[Usage]) -> Result<(), StoreError> {
        self.0.record_usage(batch).await
    }

    async fn usage(&self, ids: &[TokenId]) -> Result<Vec<Usage>, StoreError> {
        self.0.usage(ids).await
    }

    async fn events(
        &self,
        token: &TokenId,
        before: Option<EventNumber>,
        limit: usize,
    ) -> Result<Vec<NumberedEvent>, StoreError> {
        self.0.events(token, before, limit).await
    }

    async fn prune(&self, ended_before: Timestamp, limit: usize) -> Result<usize, StoreError> {
        self.0.prune(ended_before, limit).await
    }
}

impl fmt::Debug for DynTokenStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DynTokenStore").finish_non_exhaustive()
    }
}

type BoxedFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// [`TokenStore`] with boxed futures, which makes a trait that can be `dyn`.
trait Erased: Send + Sync {
    fn find<'a>(&'a self, id: &'a TokenId) -> BoxedFuture<'a, Option<Found>>;
    fn write<'a>(&'a self, batch: &'a WriteBatch) -> BoxedFuture<'a, ()>;
    fn list<'a>(
        &'a self,
        filter: &'a ListFilter,
        after: Option<&'a PageKey>,
        limit: usize,
    ) -> BoxedFuture<'a, Vec<TokenRecord>>;
    fn changes_since<'a>(
        &'a self,
        cursor: Option<&'a Cursor>,
        limit: usize,
    ) -> BoxedFuture<'a, Changes>;
    fn changed(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
    fn record_usage<'a>(&'a self, batch: &'a [Usage]) -> BoxedFuture<'a, ()>;
    fn usage<'a>(&'a self, ids: &'a [TokenId]) -> BoxedFuture<'a, Vec<Usage>>;
    fn events<'a>(
        &'a self,
        token: &'a TokenId,
        before: Option<EventNumber>,
        limit: usize,
    ) -> BoxedFuture<'a, Vec<NumberedEvent>>;
    fn prune(&self, ended_before: Timestamp, limit: usize) -> BoxedFuture<'_, usize>;
}

impl<S: TokenStore> Erased for S {
    fn find<'a>(&'a self, id: &'a TokenId) -> BoxedFuture<'a, Option<Found>> {
        Box::pin(TokenStore::find(self, id))
    }

    fn write<'a>(&'a self, batch: &'a WriteBatch) -> BoxedFuture<'a, ()> {
        Box::pin(TokenStore::write(self, batch))
    }

    fn list<'a>(
        &'a self,
        filter: &'a ListFilter,
        after: Option<&'a PageKey>,
        limit: usize,
    ) -> BoxedFuture<'a, Vec<TokenRecord>> {
        Box::pin(TokenStore::list(self, filter, after, limit))
    }

    fn changes_since<'a>(
        &'a self,
        cursor: Option<&'a Cursor>,
        limit: usize,
    ) -> BoxedFuture<'a, Changes> {
        Box::pin(TokenStore::changes_since(self, cursor, limit))
    }

    fn changed(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(TokenStore::changed(self))
    }

    fn record_usage<'a>(&'a self, batch: &'a [Usage]) -> BoxedFuture<'a, ()> {
        Box::pin(TokenStore::record_usage(self, batch))
    }

    fn usage<'a>(&'a self, ids: &'a [TokenId]) -> BoxedFuture<'a, Vec<Usage>> {
        Box::pin(TokenStore::usage(self, ids))
    }

    fn events<'a>(
        &'a self,
        token: &'a TokenId,
        before: Option<EventNumber>,
        limit: usize,
    ) -> BoxedFuture<'a, Vec<NumberedEvent>> {
        Box::pin(TokenStore::events(self, token, before, limit))
    }

    fn prune(&self, ended_before: Timestamp, limit: usize) -> BoxedFuture<'_, usize> {
        Box::pin(TokenStore::prune(self, ended_before, limit))
    }
}
