use core::time::Duration;
use std::sync::{
    Arc,
    atomic::{AtomicI64, AtomicU64, Ordering},
};

use jiff::{SignedDuration, Timestamp};

use crate::Clock;

/// A clock that stands still until it is told otherwise. Clones show the same time.
///
/// ```
/// use api_tokens::{Clock, testing::ManualClock};
/// use jiff::SignedDuration;
///
/// let clock = ManualClock::new("2026-01-01T00:00:00Z".parse()?);
/// clock.advance(SignedDuration::from_secs(90));
/// assert_eq!(clock.now().to_string(), "2026-01-01T00:01:30Z");
/// # Ok::<_, jiff::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct ManualClock {
    time: Arc<Time>,
}

#[derive(Debug)]
struct Time {
    /// Since the epoch.
    microsecond: AtomicI64,
    /// How far it has been moved forward, in microseconds.
    monotonic: AtomicU64,
}

impl ManualClock {
    /// A clock that shows `now`, to the microsecond.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        let microsecond = AtomicI64::new(now.as_microsecond());
        Self { time: Arc::new(Time { microsecond, monotonic: AtomicU64::new(0) }) }
    }

    /// Makes it show `now`, to the microsecond, as when a wall clock is set: no time passes.
    pub fn set(&self, now: Timestamp) {
        self.time.microsecond.store(now.as_microsecond(), Ordering::SeqCst);
    }

    /// Lets time pass. If `by` is negative, the clock is set back, and none passes.
    pub fn advance(&self, by: SignedDuration) {
        let by = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
        self.time.microsecond.fetch_add(by, Ordering::SeqCst);
        self.time.monotonic.fetch_add(u64::try_from(by).unwrap_or(0), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_microsecond(self.time.microsecond.load(Ordering::SeqCst))
            .unwrap_or(Timestamp::MAX)
    }

    fn monotonic(&self) -> Duration {
        Duration::from_micros(self.time.monotonic.load(Ordering::SeqCst))
    }
}
