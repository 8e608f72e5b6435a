//! The change feed: what makes cached records leave, and their lease last.

use core::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};
use std::sync::{Mutex, PoisonError};

use super::{Cache, CachedRecords};
use crate::{Changes, Clock, Cursor, Revision, StoreError, TokenStore};

/// How many changes are read at a time.
const PAGE: usize = 1000;

pub(super) struct Feed {
    pub(super) settings: Cache,
    /// Up to where changes have been applied.
    cursor: Mutex<Option<Cursor>>,
    /// When the lease ends, in nanoseconds of the monotonic clock; 0 before the first.
    lease: AtomicU64,
    expirations: AtomicU64,
}

impl Feed {
    pub(super) fn new(settings: Cache) -> Self {
        Self {
            settings,
            cursor: Mutex::default(),
            lease: AtomicU64::new(0),
            expirations: AtomicU64::new(0),
        }
    }

    pub(super) fn max_staleness(&self) -> Duration {
        self.settings.max_staleness
    }

    /// The instant at which cached records are no longer used.
    pub(super) fn lease(&self) -> Duration {
        Duration::from_nanos(self.lease.load(Ordering::Acquire))
    }

    /// Up to which revision changes have been applied.
    pub(super) fn applied(&self) -> Revision {
        self.cursor().map_or(Revision(0), |cursor| cursor.revision)
    }

    /// How long ago the poll began that the lease is from.
    pub(super) fn age(&self, now: Duration) -> Option<Duration> {
        let lease = self.lease();
        let until_now = now.saturating_add(self.max_staleness());
        (!lease.is_zero()).then(|| until_now.saturating_sub(lease))
    }

    /// How many leases ran out, the present one included.
    pub(super) fn expirations(&self, now: Duration) -> u64 {
        let lease = self.lease();
        let present = u64::from(!lease.is_zero() && lease <= now);
        self.expirations.load(Ordering::Relaxed).saturating_add(present)
    }

    fn cursor(&self) -> Option<Cursor> {
        *self.cursor.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All changes up to `cursor` have been applied.
    fn advance(&self, cursor: Cursor) {
        *self.cursor.lock().unwrap_or_else(PoisonError::into_inner) = Some(cursor);
    }

    /// All changes that were acknowledged before a poll that began at `begun` have been applied.
    fn extend(&self, begun: Duration, now: Duration) {
        let until = nanoseconds(begun.saturating_add(self.max_staleness()));
        let before = self.lease.fetch_max(until, Ordering::AcqRel);
        if before != 0 && before <= nanoseconds(now) {
            self.expirations.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl CachedRecords {
    /// Reads and applies what has changed since the last poll, and extends the lease. Several may
    /// run at once, and each may be dropped at any point.
    pub(crate) async fn poll<S: TokenStore>(
        &self,
        store: &S,
        clock: &dyn Clock,
    ) -> Result<(), StoreError> {
        loop {
            // Before the store is asked: a revocation that is acknowledged while it answers may be
            // missing from the answer, and must not outlive the lease by the time that this took.
            let begun = clock.monotonic();
            let cursor = self.feed.cursor();
            let is_last = match store.changes_since(cursor.as_ref(), PAGE).await? {
                Changes::Since { changes, next } => {
                    for change in &changes {
                        self.forget(&change.id);
                    }
                    self.feed.advance(next);
                    changes.len() < PAGE
                }
                Changes::Reset { next } => {
                    self.forget_all();
                    self.feed.advance(next);
                    true
                }
            };
            if is_last {
                self.feed.extend(begun, clock.monotonic());
                return Ok(());
            }
        }
    }
}
