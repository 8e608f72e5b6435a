//! The record that a verification goes by, and for how long it may.

use std::sync::Arc;

#[cfg(feature = "cache")]
use crate::cache::{CachedRecords, Leased, Source};
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
}

#[cfg(not(feature = "cache"))]
impl<S: TokenStore> Shared<S> {
    #[expect(clippy::unused_self, reason = "only a cache has any")]
    pub(crate) fn cached(&self, _id: &TokenId) -> Option<Held> {
        None
    }

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

    /// Lets no verification that begins after this go by what was read of a token before.
    pub(crate) fn forget(&self, id: &TokenId) {
        if let Some(cache) = &self.cache {
            cache.forget(id);
        }
    }

    /// Reads the record from the store.
    pub(crate) async fn find(&self, id: &TokenId) -> Result<Option<Held>, StoreError> {
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
            Some(VerifyError::NotActive { .. }) => cache.refuses_until(leased),
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

#[cfg(feature = "cache")]
impl<S: TokenStore> Source for Shared<S> {
    fn cache(&self) -> Option<&CachedRecords> {
        self.cache.as_ref()
    }

    fn check<'a>(
        &'a self,
        id: &'a TokenId,
    ) -> Pin<Box<dyn Future<Output = Result<Duration, VerifyError>> + Send + 'a>> {
        Box::pin(async {
            if let Some(held) = self.cached(id) {
                let checked = self.check(held.record()).await;
                if self.may_rely_on(&held, checked.as_ref().err()) {
                    checked?;
                    return Ok(self.accepted_for(&held));
                }
            }
            let held = self.find(id).await?.ok_or(VerifyError::UnknownToken)?;
            let checked = self.check(held.record()).await;
            if !self.may_rely_on(&held, checked.as_ref().err()) {
                return Err(too_late().into());
            }
            checked?;
            Ok(self.accepted_for(&held))
        })
    }
}

#[cfg(feature = "cache")]
impl<S: TokenStore> Shared<S> {
    /// Until the record ends, or must be looked at again.
    fn accepted_for(&self, held: &Held) -> Duration {
        let leased_for = match held {
            Held::Read(_) => Duration::ZERO,
            Held::Leased(leased) => leased.until.saturating_sub(self.clock.monotonic()),
        };
        match held.record().ends_at() {
            // Negative if it ended just now.
            Some(end) => end.duration_since(self.clock.now()).try_into().unwrap_or_default(),
            None => Duration::MAX,
        }
        .min(leased_for)
    }
}

/// What was read says nothing about now.
pub(crate) fn too_late() -> StoreError {
    let context = "read a record: the answer took longer than it may be relied on";
    StoreError::new(StoreErrorKind::Unavailable, context)
}
