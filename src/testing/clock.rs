use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
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
    microsecond: Arc<AtomicI64>,
}

impl ManualClock {
    /// A clock that shows `now`, to the microsecond.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        Self { microsecond: Arc::new(AtomicI64::new(now.as_microsecond())) }
    }

    /// Makes it show `now`, to the microsecond.
    pub fn set(&self, now: Timestamp) {
        self.microsecond.store(now.as_microsecond(), Ordering::SeqCst);
    }

    /// Moves it forward, or back if `by` is negative.
    pub fn advance(&self, by: SignedDuration) {
        let by = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
        self.microsecond.fetch_add(by, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_microsecond(self.microsecond.load(Ordering::SeqCst))
            .unwrap_or(Timestamp::MAX)
    }
}
