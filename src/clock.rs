use jiff::{SignedDuration, Timestamp};

/// Tells the time. A parameter everywhere, so that tests are deterministic.
///
/// # Contract
///
/// `now` returns at once and without blocking. A verification calls it if the token has a
/// `not_before`, an `expires_at` or an overlap that ends; with a background also for a token's
/// first use in a second, and for a refusal that is told. It may jump
/// (as a wall clock does when it is set): expiry follows the clock, revocation does not depend
/// on it.
pub trait Clock: Send + Sync + 'static {
    /// The present instant.
    fn now(&self) -> Timestamp;
}

/// The system's clock: [`Timestamp::now`], about 25 ns a call.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        #[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
        Timestamp::now()
    }
}

/// `duration` after `time`, or the end of time.
pub(crate) fn after(time: Timestamp, duration: SignedDuration) -> Timestamp {
    time.checked_add(duration).unwrap_or(if duration.is_negative() {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    })
}

/// Stores keep microseconds; what is not kept must not count before it is stored either.
pub(crate) fn to_microseconds(time: Timestamp) -> Timestamp {
    // The last second that jiff knows is whole: it has no microseconds.
    Timestamp::from_microsecond(time.as_microsecond())
        .or_else(|_| Timestamp::from_second(time.as_second()))
        .unwrap_or(time)
}
