//! Verification from memory, with a bound on how long a revocation can go unnoticed.

mod entry;
mod feed;
mod flight;
mod follow;
mod health;
mod records;
mod watch;

use core::time::Duration;

pub use health::CacheHealth;

pub(crate) use records::{CachedRecords, Leased};
pub(crate) use watch::{Accepted, Source, unwatched};

/// Keeps records in memory, so that most verifications need no store, and still refuses what is
/// revoked: at once on the node that revoked it, on the others within milliseconds where the store
/// gives hints, else by their next poll, and **never later
/// than [`max_staleness`](Self::max_staleness) after the revocation was acknowledged**, whatever
/// fails.
///
/// ```
/// use core::time::Duration;
/// use api_tokens::{Cache, Keyring, MemoryStore, Verifier, prefix};
///
/// let (verifier, background) =
///     Verifier::builder(prefix!("acme_live"), &Keyring::unkeyed(), MemoryStore::new())
///         .cache(Cache::new().max_staleness(Duration::from_millis(500)))
///         .build();
/// // background.run_until(serve(verifier)).await
/// ```
///
/// # Defaults
///
/// - max staleness: 1 second
/// - poll interval: 50 milliseconds
/// - capacity: 100,000 tokens
/// - lookups: 32 at a time
///
/// # How it works
///
/// The cache holds records, never results: each request still proves its secret against the digest.
/// The [`Background`](crate::Background) polls
/// [`TokenStore::changes_since`](crate::TokenStore::changes_since), every poll interval and at once
/// on a hint of the store's. Each poll that returns removes the records that changed, and then
/// extends a **lease** to `max_staleness` after the *beginning* of that poll. A cached record is
/// used only within the lease; otherwise the store is read, and if it cannot be, the verification
/// is an outage.
///
/// Nobody need run the background for the promise to hold: without it there is no lease, and every
/// verification reads the store.
///
/// # What is promised
///
/// **Theorem.** Let a change of a record be acknowledged at time *T*, by `write` returning on any
/// node. Then no verification whose check happens later than *T* + `max_staleness` goes by the
/// record as it was before.
///
/// The *check* is the moment at which the verification reads the clock, after it has compared the
/// digest, and before it returns.
///
/// **Assumptions.** (1) The store keeps its [contract](crate::TokenStore#contract): a `find` or
/// `changes_since` that begins after *T* shows the change, also after a failover. (2) The node's
/// [`Clock::monotonic`](crate::Clock::monotonic) runs at the rate of real time and goes on while
/// the machine is suspended. An error of 100 parts in a million adds 0.1 ms a second.
///
/// **Proof.** Let *S* be `max_staleness`, and let a verification check at *C* > *T* + *S*. It went
/// by one of two:
///
/// - *A cached record.* The verification read the lease *L* first, then took the record, then
///   checked that *C* < *L*. *L* is *P* + *S* for a poll that began at *P*, so *P* > *T*, and by
///   (1) that poll or one before it returned the change. Before the lease became *L*, the record
///   was removed, and what was being read of it meanwhile was barred from the cache. Whatever was
///   put there since was read since, and shows the change, by (1).
/// - *A record read from the store.* The check made sure that this `find` began no earlier than
///   *C* − *S*, and so after *T*: it shows the change, by (1). ∎
///
/// On the node that makes the change nothing of this is needed: when the call returns, its cache
/// has forgotten the record. If the call is dropped before it returns, or a bulk change finds that
/// somebody else was first, the bound is what holds.
///
/// Outside of it: a virtual machine or a process that is paused after the check goes on where it
/// was; so does the request, which was accepted in time. And time that a host's
/// [`OwnerPolicy`](crate::OwnerPolicy) takes is before the check.
///
/// # What it costs
///
/// A verification from the cache reads a clock, takes the lock of one shard of many, and allocates
/// nothing. An entry takes about 600 bytes: a record with short texts, and what the cache needs. A
/// poll that finds nothing is one small read of the store, about 23 per second and node.
///
/// What is not in the cache is read once, however many requests wait for it (twice if there is no
/// such token), and at most [`max_lookups`](Self::max_lookups) are read at a time. So a flood of
/// made-up tokens cannot take down the store. That there is no token of an id is never cached, and
/// a refusal from memory counts for `max_staleness` after its record was read: then it is read
/// again.
///
/// Since requests wait for one another's reads, do not keep a verification that has begun without
/// polling it: await it or drop it.
#[derive(Debug, Clone, Copy)]
#[must_use]
pub struct Cache {
    max_staleness: Duration,
    poll_interval: Duration,
    capacity: usize,
    max_lookups: usize,
}

impl Cache {
    /// The defaults.
    pub const fn new() -> Self {
        Self {
            max_staleness: Duration::from_secs(1),
            poll_interval: Duration::from_millis(50),
            capacity: 100_000,
            max_lookups: 32,
        }
    }

    /// How long after its acknowledgement a revocation may at most go unnoticed, and how long
    /// cached tokens work when the store fails. An hour at most; 0 reads the store each time, as
    /// without a cache.
    ///
    /// Set the same on all nodes, also on those that only revoke: it is what
    /// `Revoked::effective_everywhere` waits for.
    ///
    /// Both a poll and a lookup must return within it: less than ten round trips to the store will
    /// not do, since a new connection takes about six.
    pub const fn max_staleness(self, max_staleness: Duration) -> Self {
        const HOUR: Duration = Duration::from_secs(60 * 60);
        let max_staleness =
            if max_staleness.as_nanos() < HOUR.as_nanos() { max_staleness } else { HOUR };
        Self { max_staleness, ..self }
    }

    /// How long to wait between two polls: up to this long, but no longer than a quarter of
    /// `max_staleness`, and no less than a millisecond. It varies by a quarter, so that nodes do
    /// not keep in step.
    pub const fn poll_interval(self, poll_interval: Duration) -> Self {
        Self { poll_interval, ..self }
    }

    /// How many records to keep. Beyond that, those that are used least give way. With 0, each
    /// verification reads the store.
    pub const fn capacity(self, tokens: usize) -> Self {
        Self { capacity: tokens, ..self }
    }

    /// How many records to read from the store at a time, at least 1. Up to 64 times as many wait;
    /// any beyond that are an outage, and so is one that has waited longer than a second or
    /// `max_staleness`, whichever is more, when its turn comes.
    pub const fn max_lookups(self, lookups: usize) -> Self {
        Self { max_lookups: lookups, ..self }
    }

    /// Whether nothing would ever be used from memory.
    pub(crate) const fn is_off(&self) -> bool {
        self.max_staleness.is_zero()
    }
}

impl Default for Cache {
    fn default() -> Self {
        Self::new()
    }
}
