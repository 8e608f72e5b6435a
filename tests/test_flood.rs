//! Made-up tokens are thrown at a verifier on PostgreSQL beside its normal traffic. They cost the
//! store no more than it was set to give, take no memory, and nobody else notices.
//!
//! 20,000 of them; 100,000 with `CI=true` in the environment, or as many as `API_TOKENS_FLOOD` says.

mod postgres_support;
mod util;

use std::{
    future::Future,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use api_tokens::{
    Cache, Changes, Cursor, EventNumber, Found, Issuer, Keyring, ListFilter, MasterKey,
    NumberedEvent, PageKey, PostgresStore, StoreError, Token, TokenId, TokenRecord, TokenStore,
    Usage, Verifier, VerifyError, WriteBatch, prefix,
};
use jiff::Timestamp;
use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};
use tokio::task::JoinSet;
use util::{ann, is_ci, new_token, say};

const LOOKUPS: usize = 32;
/// Attackers at a time: more than may wait for a lookup, and fewer.
const MANY: u64 = 4096;
const FEW: u64 = 1024;
/// Of normal traffic.
const TOKENS: usize = 200;
const BEFORE: Duration = Duration::from_secs(2);
/// Far less than what is thrown takes, if it were kept.
const MOST_MEMORY: u64 = 24 << 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn made_up_tokens_disturb_nobody() {
    let Some(store) = postgres_support::store().await else { return };
    let lookups = Arc::new(Lookups::default());
    let store = CountingStore { store, lookups: Arc::clone(&lookups) };
    let key: Vec<u8> = (0..32).collect();
    let key = MasterKey::from_bytes(&key).expect("a key");
    let (verifier, background) = Verifier::builder(prefix!("flood"), &Keyring::new(key), store)
        .cache(Cache::new().max_lookups(LOOKUPS))
        .build();
    Box::pin(background.run_until(flood(verifier, &lookups))).await;
}

async fn flood(verifier: Verifier<CountingStore>, lookups: &Lookups) {
    let tokens = create(&verifier, TOKENS).await;
    // Nobody has verified these yet.
    let others = create(&verifier, TOKENS).await;
    let traffic = Traffic::begin(&verifier, tokens);
    while verifier.cache_health().is_none_or(|health| health.tokens < TOKENS) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    traffic.take();
    tokio::time::sleep(BEFORE).await;
    let calm = traffic.take();

    // What is allocated once, for as many as come at a time, is allocated now.
    throw(&verifier, 3 * MANY, MANY, 1).await;
    traffic.take();
    let (memory, thrown) = (resident_memory(), how_many());
    let newcomers = tokio::spawn(verify_newcomers(verifier.clone(), others));
    for (attackers, thrown, seed) in [(MANY, thrown, 2), (FEW, thrown / 10, 3)] {
        let begun = Instant::now();
        let [unknown, turned_away] = throw(&verifier, thrown, attackers, seed).await;
        let took = begun.elapsed().as_secs_f64();
        let stormy = traffic.take();
        say(&format!(
            "{attackers} attackers throw {thrown} made-up tokens in {took:.1} s: {unknown} \
             unknown, {turned_away} turned away; normal traffic has p50 {:.1?} and p99 {:.1?}, \
             {:.2} and {:.2} times what it was, and {} outages",
            stormy.part(50),
            stormy.part(99),
            stormy.part(50).as_secs_f64() / calm.part(50).as_secs_f64(),
            stormy.part(99).as_secs_f64() / calm.part(99).as_secs_f64(),
            stormy.outages,
        ));
        assert_eq!(unknown + turned_away, thrown);
        assert_eq!(turned_away > 0, attackers == MANY);
        assert!(stormy.all.len() > 100, "no normal traffic");
        // Only where the feed could not keep up, on a machine that is too busy, is the store read.
        let health = verifier.cache_health().expect("a cache");
        assert!(stormy.outages == 0 || health.lease_expirations > 0, "{} outages", stormy.outages);
    }
    let grown = resident_memory().saturating_sub(memory);
    let (accepted, outages) = newcomers.await.expect("no panic");
    traffic.end();

    let most = lookups.most.load(Relaxed);
    let health = verifier.cache_health().expect("a cache");
    say(&format!(
        "at most {most} lookups at a time; memory grew by {} KiB; the lease ran out {} times; of \
         tokens that were not in memory {accepted} were accepted, {outages} turned away",
        grown >> 10,
        health.lease_expirations,
    ));
    assert_eq!(most, LOOKUPS);
    assert!(health.tokens <= 2 * TOKENS, "unknown tokens are in memory: {health:?}");
    assert!(grown < MOST_MEMORY, "memory grew by {grown} bytes");
}

fn how_many() -> u64 {
    let from_environment = std::env::var("API_TOKENS_FLOOD").ok();
    from_environment.map_or_else(
        || if is_ci() { 100_000 } else { 20_000 },
        |number| number.parse().expect("a number"),
    )
}

async fn create(verifier: &Verifier<CountingStore>, count: usize) -> Vec<Token> {
    let issuer = Issuer::new(verifier);
    let mut tokens = Vec::new();
    for number in 0..count {
        let new = new_token(&format!("token {number}"));
        tokens.push(issuer.create(new, &ann()).await.expect("create").token);
    }
    tokens
}

/// Verifies tokens that are not in memory, one after the other. They may have to wait behind made-up
/// ones, or be turned away with them; they are not refused. Returns how many were accepted, and how
/// many times there was an outage.
async fn verify_newcomers(verifier: Verifier<CountingStore>, tokens: Vec<Token>) -> (usize, usize) {
    let (mut accepted, mut outages) = (0, 0);
    for token in tokens {
        match verifier.verify(token.expose_secret().as_bytes()).await {
            Ok(_) => accepted += 1,
            Err(VerifyError::Outage(_)) => outages += 1,
            Err(error) => panic!("a legitimate token was refused: {error}"),
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    (accepted, outages)
}

/// Has made-up tokens verified, so many at a time. Returns how many of them were unknown, and how many
/// were not looked up, since too many others were waiting for that.
async fn throw(
    verifier: &Verifier<CountingStore>,
    count: u64,
    attackers: u64,
    seed: u64,
) -> [u64; 2] {
    let thrown = Arc::new(AtomicU64::new(0));
    let mut attacks = JoinSet::new();
    for attacker in 0..attackers {
        let (verifier, thrown) = (verifier.clone(), Arc::clone(&thrown));
        let mut rng = ChaCha8Rng::seed_from_u64(seed << 32 | attacker);
        attacks.spawn(async move {
            let (mut unknown, mut turned_away) = (0, 0);
            while thrown.fetch_add(1, Relaxed) < count {
                let token = Token::generate(&prefix!("flood"), &mut rng).expect("a token");
                match verifier.verify(token.expose_secret().as_bytes()).await {
                    Err(VerifyError::UnknownToken) => unknown += 1,
                    Err(VerifyError::Outage(_)) => turned_away += 1,
                    other => panic!("{other:?}"),
                }
                tokio::task::yield_now().await;
            }
            [unknown, turned_away]
        });
    }
    let all = attacks.join_all().await;
    all.into_iter().fold([0, 0], |[a, b], [unknown, turned_away]| [a + unknown, b + turned_away])
}

/// Cached tokens that are verified all the time, on a thread of their own.
struct Traffic {
    latencies: Arc<std::sync::Mutex<Latencies>>,
    ends: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<()>,
}

#[derive(Default)]
struct Latencies {
    /// Sorted when they are taken.
    all: Vec<Duration>,
    outages: usize,
}

impl Latencies {
    fn part(&self, per_cent: usize) -> Duration {
        self.all[(self.all.len() - 1) * per_cent / 100]
    }
}

impl Traffic {
    fn begin(verifier: &Verifier<CountingStore>, tokens: Vec<Token>) -> Self {
        let latencies = Arc::new(std::sync::Mutex::new(Latencies::default()));
        let ends = Arc::new(AtomicBool::new(false));
        let (verifier, runtime) = (verifier.clone(), tokio::runtime::Handle::current());
        let (noted, end) = (Arc::clone(&latencies), Arc::clone(&ends));
        let thread = std::thread::spawn(move || {
            let _inside = runtime.enter();
            let mut rng = ChaCha8Rng::seed_from_u64(3);
            while !end.load(Relaxed) {
                let token = &tokens[rng.random_range(0..tokens.len())];
                let begun = Instant::now();
                let mut verification = pin!(verifier.verify(token.expose_secret().as_bytes()));
                let first = verification.as_mut().poll(&mut Context::from_waker(Waker::noop()));
                let result = match first {
                    Poll::Ready(result) => result,
                    Poll::Pending => runtime.block_on(verification),
                };
                let took = begun.elapsed();
                let mut noted = noted.lock().expect("no panic");
                match result {
                    Ok(_) => noted.all.push(took),
                    Err(VerifyError::Outage(_)) => noted.outages += 1,
                    Err(error) => panic!("a legitimate token was refused: {error}"),
                }
                drop(noted);
                std::thread::sleep(Duration::from_micros(200));
            }
        });
        Self { latencies, ends, thread }
    }

    /// Since this was called last.
    fn take(&self) -> Latencies {
        let mut taken = std::mem::take(&mut *self.latencies.lock().expect("nobody was refused"));
        taken.all.sort_unstable();
        taken
    }

    fn end(self) {
        self.ends.store(true, Relaxed);
        self.thread.join().expect("nobody was refused");
    }
}

/// Counts how many records are being read.
#[derive(Clone)]
struct CountingStore {
    store: PostgresStore,
    lookups: Arc<Lookups>,
}

#[derive(Default)]
struct Lookups {
    now: AtomicUsize,
    most: AtomicUsize,
}

impl TokenStore for CountingStore {
    async fn find(&self, id: &TokenId) -> Result<Option<Found>, StoreError> {
        let now = self.lookups.now.fetch_add(1, Relaxed) + 1;
        self.lookups.most.fetch_max(now, Relaxed);
        let found = self.store.find(id).await;
        self.lookups.now.fetch_sub(1, Relaxed);
        found
    }

    async fn write(&self, batch: &WriteBatch) -> Result<(), StoreError> {
        self.store.write(batch).await
    }

    async fn list(
        &self,
        filter: &ListFilter,
        after: Option<&PageKey>,
        limit: usize,
    ) -> Result<Vec<TokenRecord>, StoreError> {
        self.store.list(filter, after, limit).await
    }

    async fn changes_since(
        &self,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Result<Changes, StoreError> {
        self.store.changes_since(cursor, limit).await
    }

    async fn changed(&self) {
        self.store.changed().await;
    }

    async fn record_usage(&self, batch: &[Usage]) -> Result<(), StoreError> {
        self.store.record_usage(batch).await
    }

    async fn usage(&self, ids: &[TokenId]) -> Result<Vec<Usage>, StoreError> {
        self.store.usage(ids).await
    }

    async fn events(
        &self,
        token: &TokenId,
        before: Option<EventNumber>,
        limit: usize,
    ) -> Result<Vec<NumberedEvent>, StoreError> {
        self.store.events(token, before, limit).await
    }

    async fn prune(&self, ended_before: Timestamp, limit: usize) -> Result<usize, StoreError> {
        self.store.prune(ended_before, limit).await
    }
}

/// In bytes.
fn resident_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("what the kernel knows");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory");
    let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
    kibibytes << 10
}
