//! A store that cannot answer, for the tests of the HTTP integrations.

use api_tokens::{
    Changes, Cursor, EventNumber, Found, ListFilter, NumberedEvent, PageKey, StoreError,
    StoreErrorKind, TokenId, TokenRecord, TokenStore, Usage, WriteBatch,
};
use jiff::Timestamp;

/// A store whose database cannot be reached.
pub(crate) struct BrokenStore;

fn unavailable<T>() -> Result<T, StoreError> {
    Err(StoreError::new(StoreErrorKind::Unavailable, "connect to db.internal"))
}

impl TokenStore for BrokenStore {
    async fn find(&self, _id: &TokenId) -> Result<Option<Found>, StoreError> {
        unavailable()
    }

    async fn write(&self, _batch: &WriteBatch) -> Result<(), StoreError> {
        unavailable()
    }

    async fn list(
        &self,
        _filter: &ListFilter,
        _after: Option<&PageKey>,
        _limit: usize,
    ) -> Result<Vec<TokenRecord>, StoreError> {
        unavailable()
    }

    async fn changes_since(
        &self,
        _cursor: Option<&Cursor>,
        _limit: usize,
    ) -> Result<Changes, StoreError> {
        unavailable()
    }

    async fn changed(&self) {
        std::future::pending::<()>().await;
    }

    async fn record_usage(&self, _batch: &[Usage]) -> Result<(), StoreError> {
        unavailable()
    }

    async fn usage(&self, _ids: &[TokenId]) -> Result<Vec<Usage>, StoreError> {
        unavailable()
    }

    async fn events(
        &self,
        _token: &TokenId,
        _before: Option<EventNumber>,
        _limit: usize,
    ) -> Result<Vec<NumberedEvent>, StoreError> {
        unavailable()
    }

    async fn prune(&self, _ended_before: Timestamp, _limit: usize) -> Result<usize, StoreError> {
        unavailable()
    }
}
