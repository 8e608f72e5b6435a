//! The record that a verification goes by, and for how long it may.

use std::sync::Arc;

#[cfg(feature = "cache")]
use jiff::Timestamp;

#[cfg(feature = "cache")]
use crate::cache::{Accepted, CachedRecords, Leased, Source};
use crate::{
    StoreError, StoreErrorKind, TokenId, TokenRecord, TokenStore, VerifyError, shared::Shared,
};
#[cfg(feature = "cache")]
use core::{pin::Pin, time::Duration};

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

    #[cfg(feature = "cache")]
    fn until(&self) -> Duration {
        match self {
            Self::Read(_) => Duration::ZERO,
            Self::Leased(leased) => leased.until,
        }
    }
}

#[cfg(not(feature = "cache"))]
impl<S: TokenStore> Shared<S> {
    #[expect(clippy::unused_self, reason = "only a cache has any")]
    pub(crate) fn cached(&self, _id: &TokenId) -> Option<Held> {
        None
    }

    #[expect(clippy::unused_self, reason = "only a cache has hits")]
    pub(crate) fn count_hit(&self, _id: &TokenId) {}

    #[expect(clippy::unused_self, reason = "only a cache has anything to forget")]
    pub(crate) fn forget(&self, _id: &TokenId) {}

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

    /// Counts a verification that went by a record in memory.
    pub(crate) fn count_hit(&self, id: &TokenId) {
        if let Some(cache) = &self.cache {
            cache.count_hit(id);
        }
    }

    /// Lets no verification that begins after this go by what was read of a token before.
    pub(crate) fn forget(&self, id: &TokenId) {
        if let Some(cache) = &self.cache {
            cache.forget(id);
        }
    }

    /// Reads the record from the store, for a verification.
    pub(crate) async fn find(&self, id: &TokenId) -> Result<Option<Held>, StoreError> {
        if let Some(cache) = &self.cache {
            cache.count_miss(id);
        }
        self.look_up(id).await
    }

    async fn look_up(&self, id: &TokenId) -> Result<Option<Held>, StoreError> {
        let Some(cache) = &self.cache else { return self.read_held(id).await };
        Ok(cache.read(&self.store, &*self.clock, id).await?.map(Held::Leased))
    }

    pub(crate) fn max_staleness(&self) -> Duration {
        self.cache.as_ref().map(CachedRecords::max_staleness).unwrap_or_default()
    }

    /// Whether what was decided by a record, perhaps a refusal, counts: asked when it has been.
    pub(crate) fn may_rely_on(&self, held: &Held, refused: Option<&VerifyError>) -> bool {
        let (Some(cache), Held::Leased(leased)) = (&self.cache, held) else { return true };
        let until = match refused {
            Some(_) => cache.refuses_until(leased),
            None => leased.until,
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

#[cfg(feature = "cache")]
impl<S: TokenStore> Shared<S> {
    fn accepted(&self, held: &Held) -> Accepted {
        // Negative if it ended just now.
        let until_end = |end: Timestamp| end.duration_since(self.clock.now()).try_into();
        let end = held.record().ends_at();
        let ends_in = end.map_or(Duration::MAX, |end| until_end(end).unwrap_or_default());
        Accepted { until: held.until(), ends_in }
    }
}

#[cfg(feature = "cache")]
impl<S: TokenStore> Source for Shared<S> {
    fn cache(&self) -> Option<&CachedRecords> {
        self.cache.as_ref()
    }

    fn now(&self) -> Duration {
        self.clock.monotonic()
    }

    fn check<'a>(
        &'a self,
        id: &'a TokenId,
        margin: Duration,
    ) -> Pin<Box<dyn Future<Output = Result<Accepted, VerifyError>> + Send + 'a>> {
        Box::pin(async move {
            let lasts = |held: &Held| self.clock.monotonic().saturating_add(margin) < held.until();
            if let Some(held) = self.cached(id).filter(lasts) {
                let checked = self.check(held.record()).await;
                if self.may_rely_on(&held, checked.as_ref().err()) {
                    return checked.map(|_| self.accepted(&held));
                }
            }
            let held = self.look_up(id).await?.ok_or(VerifyError::UnknownToken)?;
            let checked = self.check(held.record()).await;
            if self.may_rely_on(&held, checked.as_ref().err()) {
                return checked.map(|_| self.accepted(&held));
            }
            Err(too_late().into())
        })
    }
}

/// What was read says nothing about now.
pub(crate) fn too_late() -> StoreError {
    let context = "read a record: the answer took longer than it may be relied on";
    StoreError::new(StoreErrorKind::Unavailable, context)
}
