use core::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// Tells the time. A parameter everywhere, so that tests are deterministic.
///
/// # Contract
///
/// Both methods return at once and without blocking.
///
/// A verification calls `now` if the token has a `not_before`, an `expires_at` or an overlap that
/// ends; with a background also for a token's first use in a second, and for a refusal that is
/// told. It may jump (as a wall clock does when it is set): expiry follows it, revocation does not
/// depend on it.
///
/// A verification from a cache calls `monotonic` once, and one that reads the store a few times: it
/// decides whether a record is too old.
pub trait Clock: Send + Sync + 'static {
    /// The present instant.
    fn now(&self) -> Timestamp;

    /// The time since some fixed instant. It never goes back and is never set, and **it goes on
    /// while the machine is suspended**.
    fn monotonic(&self) -> Duration;
}

/// The system's clocks, each about 25 ns a call.
///
/// [`now`](Clock::now) is [`Timestamp::now`]. [`monotonic`](Clock::monotonic) is `CLOCK_BOOTTIME`
/// on Linux and Android, `CLOCK_MONOTONIC` on Apple's systems, where that counts suspended time,
/// and [`Instant`](std::time::Instant) elsewhere: on Windows that counts it, too; on other systems,
/// check.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        #[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
        Timestamp::now()
    }

    #[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
    fn monotonic(&self) -> Duration {
        use rustix::time::{ClockId, clock_gettime};

        #[cfg(not(target_vendor = "apple"))]
        const CLOCK: ClockId = ClockId::Boottime;
        #[cfg(target_vendor = "apple")]
        const CLOCK: ClockId = ClockId::Monotonic;
        // Since the machine was started, so never negative.
        clock_gettime(CLOCK).try_into().unwrap_or_default()
    }

    #[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
    fn monotonic(&self) -> Duration {
        use std::{sync::LazyLock, time::Instant};

        static FIRST: LazyLock<Instant> = LazyLock::new(Instant::now);
        FIRST.elapsed()
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
