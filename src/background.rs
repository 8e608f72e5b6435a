use core::fmt;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::{SignedDuration, Timestamp};

use crate::{
    Event, EventKind, IssuerError, StoreError, StoreErrorKind, TokenId, TokenRecord, TokenStore,
    WriteBatch,
    pending::{EVENTS_PER_TICK, Pending, Task},
    shared::{ROUNDS, Shared, advance},
};

/// How long one token's reuse is not reported again.
const REUSE_REPORTED_FOR: SignedDuration = SignedDuration::from_hours(1);

/// The work that no request waits for: writing when tokens were used, digesting tokens again under
/// a new key, retiring predecessors whose successor is in use, reporting reuse, and summing up
/// refusals. And with a `Cache`, polling for changes: without it nothing is ever verified from
/// memory.
///
/// With the feature `tokio`, spawn `run_until`. On any other runtime, call
/// [`tick`](Self::tick) about once a second, [`flush`](Self::flush) at the end, and with a cache
/// `poll_changes` every poll interval.
///
/// A store that is slow or fails delays this work and, but for the cache, nothing else: what could
/// not be written stays in memory, within bounds, and is tried again. What is in memory is lost
/// when the process dies: at most the usage since the last write.
///
/// # Metrics
///
/// With the feature `metrics`, each tick records for the facade of the crate `metrics`, each
/// labelled with the `prefix` of the tokens:
///
/// - `api_tokens_verifications_total`, a counter, labelled with the `outcome`: `accepted`, or the
///   [`RefusalReason`](crate::RefusalReason) as text. A request that was accepted and then lacked a
///   scope counts as both.
/// - with a cache, the counters `api_tokens_cache_hits_total`, `api_tokens_cache_misses_total`,
///   `api_tokens_cache_lease_expirations_total`, and the gauges `api_tokens_cache_tokens`,
///   `api_tokens_cache_feed_age_seconds` and `api_tokens_cache_lease_seconds`: what
///   `CacheHealth` has.
///
/// `MeteredStore` adds how long the store takes. Of all this, a verification pays for one counter.
pub struct Background<S> {
    shared: Arc<Shared<S>>,
    usage_interval: SignedDuration,
    revoke_family_on_reuse: bool,
    /// When the reuse of a token was last reported.
    reported: Mutex<HashMap<TokenId, Timestamp>>,
}

impl<S: TokenStore> Background<S> {
    pub(crate) fn new(
        shared: Arc<Shared<S>>,
        usage_interval: SignedDuration,
        revoke_family_on_reuse: bool,
    ) -> Self {
        Self { shared, usage_interval, revoke_family_on_reuse, reported: Mutex::default() }
    }

    /// Does what is due. Cancelling it loses nothing.
    ///
    /// # Errors
    ///
    /// The first [`StoreError`]. What could not be done because the store is unavailable is tried
    /// again by the next call.
    pub async fn tick(&mut self) -> Result<(), StoreError> {
        self.work(false).await
    }

    /// Does everything now, also what was not due: for the end of a program.
    ///
    /// # Errors
    ///
    /// As [`tick`](Self::tick).
    pub async fn flush(&mut self) -> Result<(), StoreError> {
        self.work(true).await
    }

    /// Polls the change feed once, for the [`Cache`](crate::Cache); does nothing without one. For
    /// runtimes other than tokio: call it every poll interval, and drop it when it takes longer
    /// than half of `max_staleness`, so that another one returns in time. After each that was
    /// dropped or failed, pause for longer, and give the next twice as long, up to 10 seconds: a
    /// store that is slow to connect to would never answer otherwise. Cancelling it loses nothing.
    ///
    /// # Errors
    ///
    /// The [`StoreError`] of the poll. Cached records go on to be used until their lease ends.
    #[cfg(feature = "cache")]
    pub async fn poll_changes(&self) -> Result<(), StoreError> {
        match &self.shared.cache {
            Some(cache) => cache.poll(&self.shared.store, &*self.shared.clock).await,
            None => Ok(()),
        }
    }

    async fn work(&self, all: bool) -> Result<(), StoreError> {
        let shared = Arc::clone(&self.shared);
        let Some(pending) = &shared.pending else { return Ok(()) };
        self.report_counts(pending);
        // Usage first: one call writes that of many tokens, and each task is a call of its own.
        let usage = self.write_usage(pending, all).await;
        let tasks = self.perform_tasks(pending).await;
        usage.and(tasks)
    }

    async fn perform_tasks(&self, pending: &Pending) -> Result<(), StoreError> {
        let mut result = Ok(());
        for (id, task) in pending.waiting() {
            let done = self.perform(id, task).await;
            if done.as_ref().is_err_and(|error| error.kind() == StoreErrorKind::Unavailable) {
                return done; // as all the others would be
            }
            // What cannot be done at all comes again with the token's next use, not every second;
            // but a family that must be revoked is not given up.
            if done.is_ok() || !matches!(task, Task::Reused) {
                pending.done(id, task);
            }
            result = result.and(done);
        }
        result
    }

    /// Tells what was counted since the last tick.
    fn report_counts(&self, pending: &Pending) {
        #[cfg(feature = "metrics")]
        let metrics = crate::metered::Metrics::of(self.shared.prefix);
        for (reason, count) in pending.refusals.take() {
            #[cfg(feature = "metrics")]
            metrics.refused(reason, count);
            if let Some(count @ 1..) = count.checked_sub(EVENTS_PER_TICK) {
                let kind = EventKind::RefusalsSuppressed { reason, count };
                self.shared.sink.record(&Event::general(self.shared.now(), None, kind));
            }
        }
        #[cfg(feature = "metrics")]
        metrics.accepted(pending.accepted.take());
        #[cfg(all(feature = "metrics", feature = "cache"))]
        if let Some(cache) = &self.shared.cache {
            metrics.cache(&cache.health(&*self.shared.clock));
        }
    }

    fn report_lost(&self, count: u64) {
        if count > 0 {
            let kind = EventKind::UsageLost { count };
            self.shared.sink.record(&Event::general(self.shared.now(), None, kind));
        }
    }

    async fn write_usage(&self, pending: &Pending, all: bool) -> Result<(), StoreError> {
        const BATCH: usize = 1000;
        self.report_lost(pending.usage.take_untracked());
        let now = self.shared.now();
        for batch in pending.usage.due(now, self.usage_interval, all).chunks(BATCH) {
            self.shared.store.record_usage(batch).await?;
            pending.usage.written(batch, now);
        }
        Ok(())
    }

    async fn perform(&self, id: TokenId, task: Task) -> Result<(), StoreError> {
        let done = match task {
            Task::DigestAgain { version, digest } => {
                self.replace(id, |record| {
                    // The keyring may have been replaced since.
                    let is_current = self.shared.digester.load().is_current(&digest);
                    if record.version == version && is_current {
                        record.digest = digest;
                    }
                })
                .await
            }
            Task::RetirePredecessor => self.retire_predecessor(id).await,
            Task::Reused => self.report_reuse(id).await,
        };
        match done {
            Err(IssuerError::Store(error)) => Err(error),
            // Done, or the token is gone or in another state, in which there is nothing to do.
            _ => Ok(()),
        }
    }

    async fn retire_predecessor(&self, id: TokenId) -> Result<(), IssuerError> {
        let record = self.shared.read(id).await?.ok_or(IssuerError::NotFound)?;
        if let Some(predecessor) = record.rotation.and_then(|rotation| rotation.predecessor) {
            let finished = self.shared.finish_rotation(predecessor, None, Some(id)).await;
            // Any other error: gone, revoked or expired, so that there is nothing left to retire.
            if let Err(error @ IssuerError::Store(_)) = finished {
                return Err(error);
            }
        }
        self.replace(id, |record| {
            if let Some(rotation) = &mut record.rotation {
                rotation.retires_predecessor = false;
            }
        })
        .await
    }

    async fn report_reuse(&self, id: TokenId) -> Result<(), IssuerError> {
        let now = self.shared.now();
        self.reported().retain(|_, at| now.duration_since(*at).abs() < REUSE_REPORTED_FOR);
        let is_reported = self.reported().contains_key(&id);
        if !is_reported {
            let record = self.shared.read(id).await?.ok_or(IssuerError::NotFound)?;
            let event = Event::of(&record, now, None, EventKind::ReuseDetected);
            self.shared.write(&WriteBatch { events: vec![event], ..WriteBatch::default() }).await?;
            // What comes next is tried again if it fails, and that is no other reuse.
            self.reported().insert(id, now);
        }
        if self.revoke_family_on_reuse {
            let reason = "used after it was replaced".parse().ok();
            self.shared.revoke_family(id, None, reason.as_ref()).await?;
        }
        Ok(())
    }

    fn reported(&self) -> MutexGuard<'_, HashMap<TokenId, Timestamp>> {
        self.reported.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what is no change of the token's life, and so has no event.
    async fn replace(
        &self,
        id: TokenId,
        replace: impl Fn(&mut TokenRecord),
    ) -> Result<(), IssuerError> {
        for _ in 0..ROUNDS {
            let before = self.shared.read(id).await?.ok_or(IssuerError::NotFound)?;
            let mut record = before.clone();
            replace(&mut record);
            if record == before {
                return Ok(());
            }
            advance(&mut record)?;
            if self.shared.write(&WriteBatch::update(record)).await? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Does the work until `serving` has ended, then all that is left, for ten seconds at most.
    /// Returns what `serving` did.
    ///
    /// ```
    /// use api_tokens::{Keyring, MemoryStore, Verifier, prefix};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
    /// let (verifier, background) =
    ///     Verifier::builder(prefix!("acme_live"), &Keyring::unkeyed(), MemoryStore::new()).build();
    /// background.run_until(serve(verifier)).await?; // at the end of `main`
    /// # Ok::<_, std::io::Error>(()) }).unwrap();
    ///
    /// async fn serve(verifier: Verifier<MemoryStore>) -> std::io::Result<()> {
    ///     Ok(()) // such as `axum::serve(..).with_graceful_shutdown(..).await`
    /// }
    /// # Ok::<_, std::io::Error>(())
    /// ```
    #[cfg(feature = "tokio")]
    pub async fn run_until<T>(mut self, serving: impl Future<Output = T>) -> T {
        use core::{convert::Infallible, future::poll_fn, pin::pin, task::Poll, time::Duration};

        use tokio::time::{sleep, timeout};

        const TICK: Duration = Duration::from_secs(1);
        const END: Duration = Duration::from_secs(10);

        let shared = Arc::clone(&self.shared);
        let Some(pending) = &shared.pending else { return serving.await };
        let output = {
            let mut serving = pin!(serving);
            // Beside one another: neither many tasks nor one that hangs must keep usage waiting.
            let mut ticks = pin!(async {
                let mut is_delayed = false;
                loop {
                    self.report_counts(pending);
                    let done = self.write_usage(pending, false).await;
                    self.report_delay(&mut is_delayed, done);
                    sleep(TICK).await;
                }
            });
            let mut tasks = pin!(async {
                let mut is_delayed = false;
                loop {
                    // What failed is tried again after a tick.
                    let _ = timeout(TICK, pending.wake.notified()).await;
                    let done = self.perform_tasks(pending).await;
                    self.report_delay(&mut is_delayed, done);
                }
            });
            #[cfg(feature = "cache")]
            let mut feed = pin!(async {
                let mut is_delayed = false;
                let report = |polled| self.report_delay(&mut is_delayed, polled);
                match &self.shared.cache {
                    Some(cache) => {
                        cache.follow(&self.shared.store, &*self.shared.clock, report).await
                    }
                    None => core::future::pending().await,
                }
            });
            poll_fn(|context| {
                // The first, so that what is served next goes by it.
                #[cfg(feature = "cache")]
                let _: Poll<Infallible> = feed.as_mut().poll(context);
                // Nor must they wait behind a `serving` that uses up its share of the runtime's
                // time.
                let _: Poll<Infallible> = ticks.as_mut().poll(context);
                let _: Poll<Infallible> = tasks.as_mut().poll(context);
                serving.as_mut().poll(context)
            })
            .await
        };
        // What it could not write is told below.
        let _ = timeout(END, self.flush()).await;
        self.report_lost(u64::try_from(pending.usage.waiting()).unwrap_or(u64::MAX));
        output
    }

    #[cfg(feature = "tokio")]
    fn report_delay(&self, is_delayed: &mut bool, done: Result<(), StoreError>) {
        let was_delayed = core::mem::replace(is_delayed, done.is_err());
        let kind = match done {
            Err(error) if !was_delayed => EventKind::BackgroundDelayed { error: error.to_string() },
            Ok(()) if was_delayed => EventKind::BackgroundResumed,
            _ => return,
        };
        self.shared.sink.record(&Event::general(self.shared.now(), None, kind));
    }
}

impl<S> fmt::Debug for Background<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Background").field("prefix", &self.shared.prefix).finish_non_exhaustive()
    }
}
