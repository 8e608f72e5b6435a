//! Waiting for the end of a token.

use core::{pin::pin, time::Duration};
use std::{pin::Pin, sync::Arc};

use tokio::{
    sync::Notify,
    time::{sleep, timeout},
};

use super::{CachedRecords, entry::Entry, flight::Shards, follow::spread};
use crate::{StoreError, StoreErrorKind, TokenId, VerifyError};

/// Where a watch asks whether a token is still accepted: the verifier, without its type.
pub(crate) trait Source: Send + Sync {
    fn cache(&self) -> Option<&CachedRecords>;

    /// The monotonic clock's time.
    fn now(&self) -> Duration;

    /// How long the token is accepted, as far as can be told now; or why it is not. From memory
    /// only if the lease lasts for longer than `margin`.
    fn check<'a>(
        &'a self,
        id: &'a TokenId,
        margin: Duration,
    ) -> Pin<Box<dyn Future<Output = Result<Accepted, VerifyError>> + Send + 'a>>;
}

/// That a token was accepted, and for how long that counts.
pub(crate) struct Accepted {
    /// By the monotonic clock.
    pub(crate) until: Duration,
    /// How long it is until the token's own end.
    pub(crate) ends_in: Duration,
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
    /// Waits until the token is no longer accepted, or nobody can tell, and says why. It is known
    /// to be accepted until `known_until`.
    pub(crate) async fn revoked(&self, known_until: Duration) -> VerifyError {
        // Else a store that answers late, each time, would be asked without a pause.
        const SHORTEST: Duration = Duration::from_millis(1);
        const DOUBLINGS: u32 = 3;

        let Some(source) = self.source.upgrade() else { return unwatched() };
        let Some(cache) = source.cache() else { return unwatched() };
        let id = self.record.id;
        let watch = Watch::new(&cache.shards, id);
        // So long before it does not count any more, what is known is looked at again.
        let margin = cache.max_staleness() / 4;
        let now = source.now();
        // Whoever asks later than that begins anew.
        let anew = now.saturating_add(cache.max_staleness());
        let mut until = if now < known_until { known_until } else { anew };
        let mut failures = 0;
        loop {
            let mut changed = pin!(watch.changed.notified());
            // Before the check, so that no change comes between.
            changed.as_mut().enable();
            // A store that hangs must not keep a stream open.
            let patience = until.saturating_sub(source.now()).max(SHORTEST);
            let checked = timeout(patience, source.check(&id, margin)).await;
            match checked.unwrap_or_else(|_| Err(unanswered())) {
                Ok(accepted) => {
                    (until, failures) = (accepted.until, 0);
                    let again = until.saturating_sub(source.now()).saturating_sub(margin);
                    let _ = timeout(again.min(accepted.ends_in).max(SHORTEST), changed).await;
                }
                // What was known counts for a while. After a reset all who watch are here at once,
                // and more than may read at a time.
                Err(VerifyError::Outage(_)) if source.now() < until => {
                    let pause = (margin / 8).saturating_mul(1 << failures);
                    failures = DOUBLINGS.min(failures + 1);
                    let pause = spread(pause, source.now()).max(SHORTEST);
                    sleep(pause.min(until.saturating_sub(source.now()))).await;
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

fn unanswered() -> VerifyError {
    StoreError::new(StoreErrorKind::Unavailable, "watch a token: no answer in time").into()
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
