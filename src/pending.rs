//! What verifications leave for the background to do, so that no request waits for it.

use core::sync::atomic::{AtomicU64, Ordering};
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::{RefusalReason, TokenDigest, TokenId, usage::UsageTracker};

/// How many tokens can wait for something. The next ones are turned away, and come again with
/// their next use.
const MAX_TASKS: usize = 10_000;

/// How many refusals of one reason have an event in one tick.
pub(crate) const EVENTS_PER_TICK: u64 = 10;

pub(crate) struct Pending {
    pub(crate) usage: UsageTracker,
    pub(crate) refusals: Refusals,
    #[cfg(feature = "metrics")]
    pub(crate) accepted: Accepted,
    tasks: Mutex<HashMap<Key, Task>>,
    #[cfg(feature = "tokio")]
    pub(crate) wake: tokio::sync::Notify,
}

/// One task of a kind for each token.
type Key = (TokenId, core::mem::Discriminant<Task>);

#[derive(Debug, Clone, Copy)]
pub(crate) enum Task {
    /// Store this digest, made under the current key, if the record still has this version.
    DigestAgain { version: u32, digest: TokenDigest },
    /// End the overlap of the token's predecessor: the token has been used.
    RetirePredecessor,
    /// The token was presented after its overlap.
    Reused,
}

impl Pending {
    pub(crate) fn new(usage_capacity: usize) -> Self {
        Self {
            usage: UsageTracker::new(usage_capacity),
            refusals: Refusals::default(),
            #[cfg(feature = "metrics")]
            accepted: Accepted::default(),
            tasks: Mutex::default(),
            #[cfg(feature = "tokio")]
            wake: tokio::sync::Notify::new(),
        }
    }

    pub(crate) fn add(&self, id: TokenId, task: Task) {
        let mut tasks = self.tasks();
        let key = (id, core::mem::discriminant(&task));
        // A flood of tokens under an earlier key must leave room for the rest.
        let room = match task {
            Task::DigestAgain { .. } => MAX_TASKS / 2,
            Task::RetirePredecessor | Task::Reused => MAX_TASKS,
        };
        if tasks.len() < room && tasks.insert(key, task).is_none() {
            #[cfg(feature = "tokio")]
            self.wake.notify_one();
        }
    }

    pub(crate) fn waiting(&self) -> Vec<(TokenId, Task)> {
        self.tasks().iter().map(|((id, _), task)| (*id, *task)).collect()
    }

    pub(crate) fn done(&self, id: TokenId, task: Task) {
        self.tasks().remove(&(id, core::mem::discriminant(&task)));
    }

    fn tasks(&self) -> MutexGuard<'_, HashMap<Key, Task>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts refusals by reason, within the present tick.
#[derive(Default)]
pub(crate) struct Refusals([AtomicU64; RefusalReason::ALL.len()]);

impl Refusals {
    /// Counts one, and says whether it should have an event: a flood of requests must not become
    /// a flood of events.
    pub(crate) fn count(&self, reason: RefusalReason) -> bool {
        let before = self.0.get(reason as usize).map(|count| count.fetch_add(1, Ordering::Relaxed));
        before.is_some_and(|before| before < EVENTS_PER_TICK)
    }

    /// Begins another tick. Returns how many of each reason there were in the last one.
    pub(crate) fn take(&self) -> impl Iterator<Item = (RefusalReason, u64)> {
        RefusalReason::ALL
            .into_iter()
            .zip(&self.0)
            .map(|(reason, count)| (reason, count.swap(0, Ordering::Relaxed)))
            .filter(|(_, count)| *count > 0)
    }
}

/// Counts what many requests do at once: by token, so that they do not all write to one place.
#[cfg(feature = "metrics")]
#[derive(Default)]
pub(crate) struct Accepted(crate::sharded::Sharded<Counter>);

/// Alone in its cache line.
#[cfg(feature = "metrics")]
#[derive(Default)]
#[repr(align(64))]
struct Counter(AtomicU64);

#[cfg(feature = "metrics")]
impl Accepted {
    pub(crate) fn count(&self, id: &TokenId) {
        self.0.of(id).0.fetch_add(1, Ordering::Relaxed);
    }

    /// How many there were since this was last asked.
    pub(crate) fn take(&self) -> u64 {
        self.0.iter().map(|counter| counter.0.swap(0, Ordering::Relaxed)).sum()
    }
}
