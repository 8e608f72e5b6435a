//! Metrics, for the `metrics` facade.

use std::time::Instant;

use jiff::Timestamp;
use metrics::{Label, counter, histogram};

use crate::{
    Changes, Cursor, EventNumber, Found, ListFilter, NumberedEvent, PageKey, Prefix, RefusalReason,
    StoreError, TokenId, TokenRecord, TokenStore, Usage, WriteBatch,
};

/// A store that measures how long another one takes, for the [`metrics`] facade.
///
/// It records `api_tokens_store_duration_seconds`, a histogram, labelled with the `operation`
/// (`find`, `write`, `list`, `changes_since`, `record_usage`, `usage`, `events`, `prune`) and the
/// `outcome`: `ok`, or the [kind](crate::StoreErrorKind) of the error as text. A call that was
/// given up by its caller is not recorded.
///
/// All other metrics come from the [`Background`](crate::Background), which lists them.
///
/// ```
/// use api_tokens::{Keyring, MemoryStore, MeteredStore, Verifier, prefix};
///
/// let store = MeteredStore::new(MemoryStore::new());
/// let verifier = Verifier::new(prefix!("acme_live"), &Keyring::unkeyed(), store);
/// ```
#[derive(Debug, Clone)]
pub struct MeteredStore<S>(S);

impl<S: TokenStore> MeteredStore<S> {
    /// Measures `store`.
    pub const fn new(store: S) -> Self {
        Self(store)
    }
}

async fn measured<T>(
    operation: &'static str,
    call: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    let begun = Instant::now();
    let result = call.await;
    let outcome = result.as_ref().map_or_else(|error| error.kind().as_str(), |_| "ok");
    let labels = [("operation", operation), ("outcome", outcome)];
    histogram!("api_tokens_store_duration_seconds", &labels).record(begun.elapsed());
    result
}

impl<S: TokenStore> TokenStore for MeteredStore<S> {
    async fn find(&self, id: &TokenId) -> Result<Option<Found>, StoreError> {
        measured("find", self.0.find(id)).await
    }

    async fn write(&self, batch: &WriteBatch) -> Result<(), StoreError> {
        measured("write", self.0.write(batch)).await
    }

    async fn list(
        &self,
        filter: &ListFilter,
        after: Option<&PageKey>,
        limit: usize,
    ) -> Result<Vec<TokenRecord>, StoreError> {
        measured("list", self.0.list(filter, after, limit)).await
    }

    async fn changes_since(
        &self,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Result<Changes, StoreError> {
        measured("changes_since", self.0.changes_since(cursor, limit)).await
    }

    async fn changed(&self) {
        self.0.changed().await;
    }

    async fn record_usage(&self, batch: &[Usage]) -> Result<(), StoreError> {
        measured("record_usage", self.0.record_usage(batch)).await
    }

    async fn usage(&self, ids: &[TokenId]) -> Result<Vec<Usage>, StoreError> {
        measured("usage", self.0.usage(ids)).await
    }

    async fn events(
        &self,
        token: &TokenId,
        before: Option<EventNumber>,
        limit: usize,
    ) -> Result<Vec<NumberedEvent>, StoreError> {
        measured("events", self.0.events(token, before, limit)).await
    }

    async fn prune(&self, ended_before: Timestamp, limit: usize) -> Result<usize, StoreError> {
        measured("prune", self.0.prune(ended_before, limit)).await
    }
}

/// What one tick of the background has to tell.
pub(crate) struct Metrics {
    prefix: Label,
}

impl Metrics {
    pub(crate) fn of(prefix: Prefix) -> Self {
        Self { prefix: Label::new("prefix", prefix.to_string()) }
    }

    pub(crate) fn accepted(&self, count: u64) {
        self.verifications("accepted", count);
    }

    pub(crate) fn refused(&self, reason: RefusalReason, count: u64) {
        self.verifications(reason.as_str(), count);
    }

    fn verifications(&self, outcome: &'static str, count: u64) {
        let labels = vec![self.prefix.clone(), Label::from_static_parts("outcome", outcome)];
        counter!("api_tokens_verifications_total", labels).increment(count);
    }

    #[cfg(feature = "cache")]
    pub(crate) fn cache(&self, health: &crate::CacheHealth) {
        let labels = || vec![self.prefix.clone()];
        counter!("api_tokens_cache_hits_total", labels()).absolute(health.hits);
        counter!("api_tokens_cache_misses_total", labels()).absolute(health.misses);
        counter!("api_tokens_cache_lease_expirations_total", labels())
            .absolute(health.lease_expirations);
        #[expect(clippy::cast_precision_loss, reason = "a gauge is a floating point number")]
        metrics::gauge!("api_tokens_cache_tokens", labels()).set(health.tokens as f64);
        metrics::gauge!("api_tokens_cache_lease_seconds", labels())
            .set(health.lease_left.as_secs_f64());
        if let Some(age) = health.feed_age {
            metrics::gauge!("api_tokens_cache_feed_age_seconds", labels()).set(age.as_secs_f64());
        }
    }
}
