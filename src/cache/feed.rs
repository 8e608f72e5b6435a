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
    settings: Cache,
    /// Up to where changes have been applied.
    cursor: Mutex<Option<Cursor>>,
    applied: AtomicU64,
    /// When the lease ends, in nanoseconds of the monotonic clock; 0 before the first.
    lease: AtomicU64,
    /// When the poll began that the lease is from.
    polled: AtomicU64,
    expirations: AtomicU64,
}

impl Feed {
    pub(super) fn new(settings: Cache) -> Self {
        Self {
            settings,
            cursor: Mutex::default(),
            applied: AtomicU64::new(0),
            lease: AtomicU64::new(0),
            polled: AtomicU64::new(0),
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

    pub(super) fn applied(&self) -> Revision {
        Revision(self.applied.load(Ordering::Acquire))
    }

    pub(super) fn age(&self, now: Duration) -> Option<Duration> {
        let polled = Duration::from_nanos(self.polled.load(Ordering::Relaxed));
        (!self.lease().is_zero()).then(|| now.saturating_sub(polled))
    }

    pub(super) fn expirations(&self) -> u64 {
        self.expirations.load(Ordering::Relaxed)
    }

    fn cursor(&self) -> Option<Cursor> {
        *self.cursor.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All changes up to `cursor` have been applied.
    fn advance(&self, cursor: Cursor) {
        *self.cursor.lock().unwrap_or_else(PoisonError::into_inner) = Some(cursor);
        self.applied.store(cursor.revision.0, Ordering::Release);
    }

    /// All changes that were acknowledged before a poll that began at `begun` have been applied.
    fn extend(&self, begun: Duration, now: Duration) {
        let until = nanoseconds(begun.saturating_add(self.max_staleness()));
        self.polled.fetch_max(nanoseconds(begun), Ordering::Relaxed);
        let before = self.lease.fetch_max(until, Ordering::AcqRel);
        if before != 0 && before <= nanoseconds(now) {
            self.expirations.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// How long to wait for a poll, and between two.
pub(crate) struct Pace {
    interval: Duration,
    max_staleness: Duration,
    /// How many polls in a row have failed.
    failures: u32,
}

impl Pace {
    fn new(settings: Cache) -> Self {
        let Cache { max_staleness, poll_interval, .. } = settings;
        let interval = poll_interval.min(max_staleness / 4).max(Duration::from_millis(1));
        Self { interval, max_staleness, failures: 0 }
    }

    /// A poll that hangs is given up in time for another one within the lease.
    pub(crate) fn patience(&self) -> Duration {
        self.max_staleness / 2
    }

    /// How long to wait before the next poll: at least, and at most if there is no hint.
    ///
    /// Hints come thick and fast while many tokens are revoked, and each poll reads what there is. When
    /// the store fails, all nodes ask less and less often, and none at the same time as the others:
    /// `now` differs between them, and so what is made of its last digits.
    pub(crate) fn pauses(&mut self, is_ok: bool, now: Duration) -> (Duration, Duration) {
        const BETWEEN_HINTS: Duration = Duration::from_millis(5);
        const LONGEST: Duration = Duration::from_secs(1);
        const MOST_DOUBLINGS: u32 = 10;

        self.failures = if is_ok { 0 } else { self.failures.saturating_add(1) };
        let doublings = self.failures.min(MOST_DOUBLINGS);
        let pause = self.interval.saturating_mul(1 << doublings);
        let pause = if is_ok { pause } else { pause.min(LONGEST.max(self.interval)) };
        // Between three quarters and the whole.
        let pause = pause.mul_f64(0.75 + f64::from(now.subsec_nanos() % 1000) / 4000.0);
        if is_ok { (BETWEEN_HINTS.min(pause), pause) } else { (pause, pause) }
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl CachedRecords {
    pub(crate) fn pace(&self) -> Pace {
        Pace::new(self.feed.settings)
    }

    /// Reads and applies what has changed since the last poll, and extends the lease. Several may run
    /// at once, and each may be dropped at any point.
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
