//! A store whose lists fail, as when it goes down in the middle of a request.

use api_tokens::{
    Changes, Cursor, EventNumber, Found, ListFilter, MemoryStore, NumberedEvent, PageKey,
    StoreError, StoreErrorKind, TokenId, TokenRecord, TokenStore, Usage, WriteBatch,
};
use jiff::Timestamp;

#[derive(Default)]
pub(crate) struct UnlistedStore(MemoryStore);

impl TokenStore for UnlistedStore {
    async fn list(
        &self,
        _filter: &ListFilter,
        _after: Option<&PageKey>,
        _limit: usize,
    ) -> Result<Vec<TokenRecord>, StoreError> {
        Err(StoreError::new(StoreErrorKind::Unavailable, "list at db.internal"))
    }

    async fn find(&self, id: &TokenId) -> Result<Option<Found>, StoreError> {
        self.0.find(id).await
    }

    async fn write(&self, batch: &WriteBatch) -> Result<(), StoreError> {
        self.0.write(batch).await
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
