//! The public keys of a service that signs its reports: fetched when needed, kept in memory.

use core::{error::Error, pin::Pin, time::Duration};
use std::{collections::HashMap, sync::Arc};

use arc_swap::ArcSwap;
use p256::{ecdsa::VerifyingKey, pkcs8::DecodePublicKey};
use serde::Deserialize;
use tokio::{sync::Mutex, time::timeout};

use crate::Clock;

/// Where the public keys of a service come from.
///
/// What is fetched is kept and fetched again as [`SignedReports`](super::SignedReports) says; a
/// source only fetches.
///
/// # Contract
///
/// `fetch` returns the document as it is now, in JSON:
/// `{"public_keys":[{"key_identifier":"…","key":"-----BEGIN PUBLIC KEY-----…"}]}`, of at most
/// 256 KiB. Over a channel that nobody else can change: whoever chooses the keys can sign. It is
/// given up after ten seconds.
///
/// ```
/// use api_tokens::leak::reports::{KeySource, KeySourceError};
///
/// /// A copy that comes with the service's configuration.
/// struct Configured(Vec<u8>);
///
/// impl KeySource for Configured {
///     async fn fetch(&self) -> Result<Vec<u8>, KeySourceError> {
///         Ok(self.0.clone())
///     }
/// }
/// ```
pub trait KeySource: Send + Sync + 'static {
    /// Fetches the document.
    ///
    /// # Errors
    ///
    /// If it cannot be had. The error goes to the operator, by [`tracing`].
    fn fetch(&self) -> impl Future<Output = Result<Vec<u8>, KeySourceError>> + Send;
}

/// Why the document cannot be had.
pub type KeySourceError = Box<dyn Error + Send + Sync>;

/// [`KeySource`] with a boxed future, which makes a trait that can be `dyn`.
trait DynKeySource: Send + Sync {
    fn fetch(&self) -> Fetching<'_>;
}

type Fetching<'a> = Pin<Box<dyn Future<Output = Result<Vec<u8>, KeySourceError>> + Send + 'a>>;

impl<K: KeySource> DynKeySource for K {
    fn fetch(&self) -> Fetching<'_> {
        Box::pin(KeySource::fetch(self))
    }
}

/// The greatest size of the document, in bytes.
pub(super) const MAX_DOCUMENT: usize = 256 * 1024;

/// How long no other fetch begins after one.
const FETCH_INTERVAL: Duration = Duration::from_secs(60);

/// The same after one that failed.
const RETRY_INTERVAL: Duration = Duration::from_secs(10);

/// How long a fetch may take.
const FETCH_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a key is trusted without asking whether it still is one.
const MAX_AGE: Duration = Duration::from_secs(60 * 60);

pub(super) struct Keys {
    source: Arc<dyn DynKeySource>,
    clock: Box<dyn Clock>,
    known: ArcSwap<Known>,
    /// When the next fetch may begin. Locked while there is one.
    next_fetch: Mutex<Duration>,
}

#[derive(Default)]
struct Known {
    keys: HashMap<String, VerifyingKey>,
    /// When they were asked for; `None` if never.
    asked_at: Option<Duration>,
}

/// Why there was no fetch.
pub(super) struct NotFetched {
    pub(super) retry_after: Duration,
}

impl Keys {
    pub(super) fn new(source: impl KeySource, clock: Box<dyn Clock>) -> Self {
        Self::of(Arc::new(source), clock)
    }

    pub(super) fn with_clock(&self, clock: Box<dyn Clock>) -> Self {
        Self::of(Arc::clone(&self.source), clock)
    }

    fn of(source: Arc<dyn DynKeySource>, clock: Box<dyn Clock>) -> Self {
        Self { source, clock, known: ArcSwap::default(), next_fetch: Mutex::default() }
    }

    /// The key of this id; `None` if the service has no such key.
    pub(super) async fn find(
        self: &Arc<Self>,
        id: &str,
    ) -> Result<Option<VerifyingKey>, NotFetched> {
        let now = self.clock.monotonic();
        let known = self.known.load_full();
        if let Some(key) = known.keys.get(id) {
            if known.asked_at.is_some_and(|at| now.saturating_sub(at) < MAX_AGE) {
                return Ok(Some(*key));
            }
            // Whether or not it can be fetched again now.
            let _ = self.in_a_task(now, true).await;
            return Ok(self.known(id));
        }
        let fetched = self.in_a_task(now, false).await;
        match self.known(id) {
            Some(key) => Ok(Some(key)),
            None => fetched.map(|()| None),
        }
    }

    fn known(&self, id: &str) -> Option<VerifyingKey> {
        self.known.load().keys.get(id).copied()
    }

    /// A client that goes away takes no fetch with it: else one that always does would keep the keys
    /// from being fetched at all.
    async fn in_a_task(
        self: &Arc<Self>,
        since: Duration,
        is_known: bool,
    ) -> Result<(), NotFetched> {
        let keys = Arc::clone(self);
        let task = tokio::spawn(async move { keys.refresh(since, is_known).await });
        // A source that panics has fetched nothing.
        task.await.unwrap_or(Err(NotFetched { retry_after: RETRY_INTERVAL }))
    }

    /// Fetches the keys, unless somebody has done so `since`, or it is too early. Whoever knows a
    /// key does not wait for somebody else.
    async fn refresh(&self, since: Duration, is_known: bool) -> Result<(), NotFetched> {
        let mut next_fetch = match self.next_fetch.try_lock() {
            Ok(next_fetch) => next_fetch,
            Err(_) if is_known => return Err(NotFetched { retry_after: RETRY_INTERVAL }),
            Err(_) => self.next_fetch.lock().await,
        };
        let now = self.clock.monotonic();
        if self.known.load().asked_at >= Some(since) {
            return Ok(());
        }
        if let Some(retry_after) = next_fetch.checked_sub(now).filter(|wait| !wait.is_zero()) {
            return Err(NotFetched { retry_after });
        }
        *next_fetch = now.saturating_add(RETRY_INTERVAL);
        let fetched = timeout(FETCH_TIMEOUT, self.source.fetch()).await;
        let fetched = fetched.unwrap_or_else(|elapsed| Err(elapsed.into()));
        match fetched.and_then(|document| read(&document)) {
            Ok(keys) => {
                self.known.store(Arc::new(Known { keys, asked_at: Some(now) }));
                *next_fetch = now.saturating_add(FETCH_INTERVAL);
                Ok(())
            }
            Err(error) => {
                let error: &dyn Error = &*error;
                tracing::error!(target: "api_tokens::leak", error, "no keys for signed reports");
                Err(NotFetched { retry_after: RETRY_INTERVAL })
            }
        }
    }
}

/// What a service publishes. What else it says of a key is not needed.
#[derive(Deserialize)]
struct Document {
    public_keys: Vec<PublicKey>,
}

#[derive(Deserialize)]
struct PublicKey {
    key_identifier: String,
    key: String,
}

/// The keys of a document. One of another kind takes nothing from the others; that there is none at
/// all is more likely a mistake than the end of all keys.
fn read(document: &[u8]) -> Result<HashMap<String, VerifyingKey>, KeySourceError> {
    if document.len() > MAX_DOCUMENT {
        return Err("the document is too large".into());
    }
    let document: Document =
        serde_json::from_slice(document).map_err(|_| "the document is not a list of keys")?;
    let keys = document.public_keys.into_iter().filter_map(|public| {
        let key = VerifyingKey::from_public_key_pem(&public.key).ok()?;
        Some((public.key_identifier, key))
    });
    let keys: HashMap<_, _> = keys.collect();
    if keys.is_empty() {
        return Err("the document has no key for ECDSA on P-256".into());
    }
    Ok(keys)
}
