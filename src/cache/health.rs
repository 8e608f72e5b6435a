use core::time::Duration;

/// How the cache of a node is, for readiness probes and for operators.
///
/// Returned by [`Verifier::cache_health`](crate::Verifier::cache_health): `None` without a cache,
/// which a `max_staleness` of 0 means, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheHealth {
    /// How long ago the last successful poll of the change feed began; `None` before the first.
    pub feed_age: Option<Duration>,
    /// For how long cached records will be used if no further poll returns. Zero: each verification
    /// reads the store.
    pub lease_left: Duration,
    /// How many times the lease has run out since the start.
    pub lease_expirations: u64,
    /// How many records are in memory.
    pub tokens: usize,
    /// How many verifications went by a record in memory, whether they accepted or refused.
    pub hits: u64,
    /// How many needed the store, each by itself or together with others.
    pub misses: u64,
}

impl CacheHealth {
    /// Whether cached records may be used now: a node that is not ready answers correctly, but
    /// slowly, and depends on the store for every request. While the store is down, all nodes are
    /// unready together.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        !self.lease_left.is_zero()
    }

    /// Hits among hits and misses: 0 to 1; 0 before the first.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a rate is for people")]
    pub fn hit_rate(&self) -> f64 {
        let all = self.hits.saturating_add(self.misses);
        if all == 0 { 0.0 } else { self.hits as f64 / all as f64 }
    }
}
