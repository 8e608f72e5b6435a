//! What a verifier process did with one token, in instants of the machine's clock.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use api_tokens::{Status, Verified, VerifyError};
use serde::{Deserialize, Serialize};

/// One verification: when it was called, when it read the clock for the last time, and when it
/// returned.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    pub(crate) begun: Duration,
    pub(crate) checked: Duration,
    pub(crate) ended: Duration,
}

/// Of one token, while several verify it.
#[derive(Debug)]
pub(crate) struct Seen {
    last_from_memory: AtomicU64,
    last_begun: AtomicU64,
    last_checked: AtomicU64,
    last_ended: AtomicU64,
    first_revoked: AtomicU64,
    last_revoked: AtomicU64,
    outages: AtomicU64,
    lease_left: AtomicU64,
    came_back: AtomicU64,
    unexpected: Mutex<Option<String>>,
}

/// The same, to be sent.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Summary {
    /// Of acceptances: the latest begin, check and end.
    pub(crate) last_begun: Option<Duration>,
    pub(crate) last_checked: Option<Duration>,
    pub(crate) last_ended: Option<Duration>,
    /// When the first refusal because of the revocation had ended.
    pub(crate) first_revoked: Option<Duration>,
    pub(crate) outages: u64,
    /// The most that was left of the lease when memory was not enough to accept it.
    pub(crate) lease_left: Option<Duration>,
    /// How many acceptances began after a refusal had ended.
    pub(crate) came_back: u64,
    /// A refusal of another kind.
    pub(crate) unexpected: Option<String>,
}

impl Seen {
    pub(crate) fn new() -> Self {
        Self {
            last_from_memory: AtomicU64::new(0),
            last_begun: AtomicU64::new(0),
            last_checked: AtomicU64::new(0),
            last_ended: AtomicU64::new(0),
            first_revoked: AtomicU64::new(u64::MAX),
            last_revoked: AtomicU64::new(0),
            outages: AtomicU64::new(0),
            lease_left: AtomicU64::new(0),
            came_back: AtomicU64::new(0),
            unexpected: Mutex::default(),
        }
    }

    pub(crate) fn note(
        &self,
        times: Times,
        from_memory: bool,
        result: &Result<Verified, VerifyError>,
    ) {
        let Times { begun, checked, ended } = times;
        match result {
            Ok(_) => {
                self.last_begun.fetch_max(nanoseconds(begun), Relaxed);
                self.last_checked.fetch_max(nanoseconds(checked), Relaxed);
                self.last_ended.fetch_max(nanoseconds(ended), Relaxed);
                if from_memory {
                    self.last_from_memory.fetch_max(nanoseconds(begun), Relaxed);
                }
                if nanoseconds(begun) > self.first_revoked.load(Relaxed) {
                    self.came_back.fetch_add(1, Relaxed);
                }
            }
            Err(VerifyError::NotActive { status: Status::Revoked, .. }) => {
                self.first_revoked.fetch_min(nanoseconds(ended), Relaxed);
                self.last_revoked.fetch_max(nanoseconds(begun), Relaxed);
            }
            Err(VerifyError::Outage(_)) => {
                self.outages.fetch_add(1, Relaxed);
            }
            Err(error) => {
                *self.unexpected.lock().expect("no panic") = Some(error.to_string());
            }
        }
    }

    /// It was not accepted from memory when so much was left of the lease.
    pub(crate) fn note_miss(&self, lease_left: Duration) {
        self.lease_left.fetch_max(nanoseconds(lease_left), Relaxed);
    }

    /// Outages and misses while the verifier was starting.
    pub(crate) fn forget_outages(&self) {
        self.outages.store(0, Relaxed);
        self.lease_left.store(0, Relaxed);
    }

    pub(crate) fn is_from_memory_since(&self, instant: Duration) -> bool {
        self.last_from_memory.load(Relaxed) > nanoseconds(instant)
    }

    pub(crate) fn is_revoked_since(&self, instant: Duration) -> bool {
        self.last_revoked.load(Relaxed) > nanoseconds(instant)
    }

    pub(crate) fn summary(&self) -> Summary {
        let last = |instant: &AtomicU64| {
            Some(instant.load(Relaxed)).filter(|last| *last > 0).map(Duration::from_nanos)
        };
        let first = |instant: &AtomicU64| {
            Some(instant.load(Relaxed)).filter(|first| *first < u64::MAX).map(Duration::from_nanos)
        };
        Summary {
            last_begun: last(&self.last_begun),
            last_checked: last(&self.last_checked),
            last_ended: last(&self.last_ended),
            first_revoked: first(&self.first_revoked),
            outages: self.outages.load(Relaxed),
            lease_left: last(&self.lease_left),
            came_back: self.came_back.load(Relaxed),
            unexpected: self.unexpected.lock().expect("no panic").clone(),
        }
    }
}

fn nanoseconds(instant: Duration) -> u64 {
    u64::try_from(instant.as_nanos()).expect("a time of this machine")
}
