//! When the change feed is polled.

use core::{convert::Infallible, future::poll_fn, pin::pin, task::Poll, time::Duration};

use tokio::time::{sleep, timeout};

use super::{Cache, CachedRecords};
use crate::{Clock, StoreError, StoreErrorKind, TokenStore};

impl CachedRecords {
    /// Polls the change feed, every poll interval and at once on a hint, and reports each poll.
    pub(crate) async fn follow<S: TokenStore>(
        &self,
        store: &S,
        clock: &dyn Clock,
        mut report: impl FnMut(Result<(), StoreError>),
    ) -> Infallible {
        let mut pace = Pace::new(self.feed.settings);
        loop {
            let mut hint = pin!(store.changed());
            let mut is_hinted = false;
            // From here on, so that a change which this poll misses makes the next one follow at
            // once.
            poll_fn(|context| {
                is_hinted = hint.as_mut().poll(context).is_ready();
                Poll::Ready(())
            })
            .await;
            let polled = timeout(pace.patience(), self.poll(store, clock)).await;
            let polled = polled.unwrap_or_else(|_| {
                Err(StoreError::new(StoreErrorKind::Unavailable, "read changes: no answer in time"))
            });
            let pauses = pace.pauses(polled.is_ok(), clock.monotonic());
            report(polled);
            sleep(pauses.at_least).await;
            if !is_hinted {
                let _ = timeout(pauses.at_most.saturating_sub(pauses.at_least), hint).await;
            }
        }
    }
}

/// How long to wait for a poll, and between two.
struct Pace {
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

    /// How long to wait for an answer. A poll that hangs is given up in time for another one within
    /// the lease; but if that comes to nothing as well, the store may be slow to connect to, and
    /// the lease is lost anyway.
    fn patience(&self) -> Duration {
        const LONGEST: Duration = Duration::from_secs(10);

        let patience = self.max_staleness / 2;
        patience.saturating_mul(1 << self.doublings()).min(patience.max(LONGEST))
    }

    fn doublings(&self) -> u32 {
        const MOST: u32 = 10;

        self.failures.min(MOST)
    }

    /// How long to wait before the next poll.
    ///
    /// Hints come thick and fast while many tokens are revoked, and each poll reads what there is.
    /// When the store fails, all nodes ask less and less often.
    fn pauses(&mut self, is_ok: bool, now: Duration) -> Pauses {
        const BETWEEN_HINTS: Duration = Duration::from_millis(5);
        const LONGEST: Duration = Duration::from_secs(1);

        self.failures = if is_ok { 0 } else { self.failures.saturating_add(1) };
        let pause = self.interval.saturating_mul(1 << self.doublings());
        let pause = if is_ok { pause } else { pause.min(LONGEST.max(self.interval)) };
        let pause = spread(pause, now);
        Pauses { at_least: if is_ok { BETWEEN_HINTS.min(pause) } else { pause }, at_most: pause }
    }
}

/// Between three quarters of a pause and the whole, so that not all who pause go on at the same
/// time: `now` differs between them, and so do its last digits.
pub(super) fn spread(pause: Duration, now: Duration) -> Duration {
    let part = f64::from(now.subsec_nanos() % 1_000_000) / 1_000_000.0;
    pause.mul_f64(0.75 + part / 4.0)
}

/// How long to wait for a hint: not at all before `at_least`, and no longer than `at_most`.
struct Pauses {
    at_least: Duration,
    at_most: Duration,
}
