//! The record that a verification goes by, and for how long it may.

use std::sync::Arc;

#[cfg(feature = "cache")]
use crate::cache::{CachedRecords, Leased};
use crate::{StoreError, TokenId, TokenRecord, TokenStore, VerifyError, shared::Shared};

#[derive(Debug, Clone)]
pub(crate) enum Held {
    /// As it was just read.
    Read(Arc<TokenRecord>),
    /// As it was read at some time, by way of the cache.
    #[cfg(feature = "cache")]
    Leased(Leased),
}

impl Held {
    pub(crate) fn record(&self) -> &TokenRecord {
        match self {
            Self::Read(record) => record,
            #[cfg(feature = "cache")]
            Self::Leased(leased) => &leased.entry.record,
        }
    }
}

#[cfg(not(feature = "cache"))]
impl<S: TokenStore> Shared<S> {
    #[expect(clippy::unused_self, reason = "only a cache has any")]
    pub(crate) fn cached(&self, _id: &TokenId) -> Option<Held> {
        None
    }

    pub(crate) async fn find(&self, id: &TokenId) -> Result<Option<Held>, StoreError> {
        self.read_held(id).await
    }

    #[expect(clippy::unused_self, reason = "only a cache has terms")]
    pub(crate) fn may_rely_on(&self, _held: &Held, _refused: Option<&VerifyError>) -> bool {
        true
    }
}

#[cfg(feature = "cache")]
impl<S: TokenStore> Shared<S> {
    /// The record, if it is in memory.
    pub(crate) fn cached(&self, id: &TokenId) -> Option<Held> {
        self.cache.as_ref()?.get(id).map(Held::Leased)
    }

    /// Reads the record from the store.
    pub(crate) async fn find(&self, id: &TokenId) -> Result<Option<Held>, StoreError> {
        let Some(cache) = &self.cache else { return self.read_held(id).await };
        Ok(cache.read(&self.store, &*self.clock, id).await?.map(Held::Leased))
    }

    pub(crate) fn max_staleness(&self) -> core::time::Duration {
        self.cache.as_ref().map(CachedRecords::max_staleness).unwrap_or_default()
    }

    /// Whether what was decided by a record, perhaps a refusal, counts: asked when it has been.
    pub(crate) fn may_rely_on(&self, held: &Held, refused: Option<&VerifyError>) -> bool {
        let (Some(cache), Held::Leased(leased)) = (&self.cache, held) else { return true };
        let until = match refused {
            Some(VerifyError::NotActive { status, .. }) if status.is_final() => {
                cache.refuses_until(leased)
            }
            _ => leased.until,
        };
        self.clock.monotonic() < until
    }
}

impl<S: TokenStore> Shared<S> {
    async fn read_held(&self, id: &TokenId) -> Result<Option<Held>, StoreError> {
        let found = self.store.find(id).await?;
        Ok(found.map(|found| Held::Read(found.record)))
    }
}
