//! Waiting for the end of a token.

use core::{pin::pin, time::Duration};
use std::{pin::Pin, sync::Arc};

use tokio::{sync::Notify, time::timeout};

use super::{CachedRecords, entry::Entry, flight::Shards};
use crate::{
    StoreError, StoreErrorKind, TokenId, TokenStore, VerifyError, held::Held, shared::Shared,
};

/// Where a watch asks whether a token is still accepted: the verifier, without its type.
pub(crate) trait Source: Send + Sync {
    fn cache(&self) -> Option<&CachedRecords>;

    /// For how long the token is accepted, as far as can be told now; or why it is not.
    fn check<'a>(
        &'a self,
        id: &'a TokenId,
    ) -> Pin<Box<dyn Future<Output = Result<Duration, VerifyError>> + Send + 'a>>;
}

/// A token that is watched.
#[derive(Default)]
pub(super) struct Watched {
    changed: Arc<Notify>,
    watches: usize,
}

impl Watched {
    pub(super) fn notify(&self) {
        self.changed.notify_waiters();
    }
}

impl Entry {
    /// Waits until the token is no longer accepted, or nobody can tell, and says why.
    pub(crate) async fn revoked(&self) -> VerifyError {
        // Else a store that answers late, each time, would be asked without a pause.
        const SHORTEST: Duration = Duration::from_millis(1);

        let Some(source) = self.source.upgrade() else { return unwatched() };
        let Some(cache) = source.cache() else { return unwatched() };
        let id = self.record.id;
        let watch = Watch::new(&cache.shards, id);
        loop {
            let mut changed = pin!(watch.changed.notified());
            // Before the check, so that no change comes between.
            changed.as_mut().enable();
            match source.check(&id).await {
                Ok(accepted_for) => {
                    let _ = timeout(accepted_for.max(SHORTEST), changed).await;
                }
                Err(reason) => return reason,
            }
        }
    }
}

pub(crate) fn unwatched() -> VerifyError {
    StoreError::new(StoreErrorKind::Other, "watch a token: its verifier is gone or has no cache")
        .into()
}

struct Watch<'a> {
    shards: &'a Shards,
    id: TokenId,
    changed: Arc<Notify>,
}

impl<'a> Watch<'a> {
    fn new(shards: &'a Shards, id: TokenId) -> Self {
        let mut shard = shards.of(&id);
        let watched = shard.watched.entry(id).or_default();
        watched.watches = watched.watches.saturating_add(1);
        Self { shards, id, changed: Arc::clone(&watched.changed) }
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        let mut shard = self.shards.of(&self.id);
        if let Some(watched) = shard.watched.get_mut(&self.id) {
            watched.watches = watched.watches.saturating_sub(1);
            if watched.watches == 0 {
                shard.watched.remove(&self.id);
            }
        }
    }
}

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
            self.check(held.record()).await?;
            Ok(self.accepted_for(&held))
        })
    }
}

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
