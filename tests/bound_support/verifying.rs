//! What a verifier process does: verify all tokens that it is told of, without a pause, and note for
//! each when it was accepted and when it was not.

use std::{
    cell::Cell,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use api_tokens::{
    Cache, CacheHealth, Clock, DynTokenStore, PostgresOptions, SqliteOptions, SystemClock,
    TokenStore, Verified, Verifier, VerifyError, prefix,
};
use jiff::{SignedDuration, Timestamp};
use rand::{
    RngExt, SeedableRng, TryRng,
    rngs::{ChaCha8Rng, SysRng},
};
use serde::{Deserialize, Serialize};

use super::{
    keyring, now,
    seen::{Seen, Summary, Times},
};
use crate::util::print;

pub(crate) const SETTINGS: &str = "API_TOKENS_BOUND_TEST_SETTINGS";

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Settings {
    pub(crate) store: Store,
    pub(crate) max_staleness: Duration,
    pub(crate) poll_interval: Duration,
    /// Whether each verification takes a while between taking a record and checking the time, so that
    /// most of what stops the process comes between the two.
    pub(crate) dawdles: bool,
    /// Whether the wall clock jumps by up to an hour, many times a second.
    pub(crate) clock_jumps: bool,
    /// How many other calls compete for the store's connections all the time.
    pub(crate) competitors: usize,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Store {
    Postgres(Postgres),
    Sqlite(std::path::PathBuf),
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Postgres {
    pub(crate) url: String,
    pub(crate) schema: String,
    pub(crate) max_connections: usize,
    pub(crate) timeout: Duration,
    pub(crate) notifications: bool,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Command {
    /// Verify these from now on, and say when all of them are in memory.
    Verify { doomed: Vec<String>, living: Vec<String> },
    /// Say when those that live are accepted from memory again, and the others known to be revoked.
    Recover,
    /// Tell what was seen, and stop verifying.
    Report,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Answer {
    Warm,
    Recovered,
    Report(Report),
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) doomed: Vec<Summary>,
    pub(crate) living: Vec<Summary>,
    pub(crate) verifications: u64,
    /// How many verifications were under way for longer than `max_staleness`.
    pub(crate) spanning: u64,
}

/// Tells an answer apart from what the test harness prints.
pub(crate) const MARK: &str = "answer ";

impl Store {
    pub(crate) async fn open(&self) -> DynTokenStore {
        match self {
            Self::Postgres(postgres) => {
                let options = PostgresOptions::new(&postgres.url)
                    .schema(&postgres.schema)
                    .max_connections(postgres.max_connections)
                    .timeout(postgres.timeout)
                    .notifications(postgres.notifications);
                // The machine may be busy, and a verifier's timeout is short.
                for _ in 0..10 {
                    if let Ok(store) = options.open().await {
                        return DynTokenStore::new(store);
                    }
                }
                DynTokenStore::new(options.open().await.expect("open the store"))
            }
            Self::Sqlite(path) => {
                DynTokenStore::new(SqliteOptions::new(path).open().expect("open the store"))
            }
        }
    }
}

/// Runs in the process of its own until its input ends.
pub(crate) async fn verify_until_the_input_ends() {
    let settings = std::env::var(SETTINGS).expect("the settings");
    let settings: Settings = serde_json::from_str(&settings).expect("the settings");
    let store = settings.store.open().await;
    for _ in 0..settings.competitors {
        tokio::spawn(compete(store.clone()));
    }
    let cache =
        Cache::new().max_staleness(settings.max_staleness).poll_interval(settings.poll_interval);
    let clock = TestClock { dawdles: settings.dawdles, jumps: settings.clock_jumps };
    let (verifier, background) =
        Verifier::builder(prefix!("bound"), &keyring(), store).cache(cache).clock(clock).build();
    let verifying = Arc::new(Verifying {
        verifier,
        max_staleness: settings.max_staleness,
        batch: Mutex::default(),
    });
    let (commands, mut next) = tokio::sync::mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lines() {
            let command: Command = serde_json::from_str(&line.expect("a line")).expect("a command");
            if commands.send(command).is_err() {
                return;
            }
        }
    });
    let pump = Arc::clone(&verifying);
    let runtime = tokio::runtime::Handle::current();
    std::thread::spawn(move || pump.verify_for_ever(&runtime));
    let serving = tokio::spawn(background.run_until(async move {
        // The harness may not have ended its line.
        print("");
        while let Some(command) = next.recv().await {
            let answer = verifying.perform(command).await;
            print(&format!("{MARK}{}", serde_json::to_string(&answer).expect("a line")));
        }
    }));
    serving.await.expect("no panic");
}

struct Verifying {
    verifier: Verifier<DynTokenStore>,
    max_staleness: Duration,
    batch: Mutex<Arc<Batch>>,
}

#[derive(Default)]
struct Batch {
    doomed: Vec<Arc<Subject>>,
    living: Vec<Arc<Subject>>,
    verifications: AtomicU64,
    spanning: AtomicU64,
}

struct Subject {
    token: String,
    seen: Seen,
    /// Whether a verification waits for the store.
    is_waiting: AtomicBool,
}

impl Batch {
    fn subjects(&self) -> impl Iterator<Item = &Arc<Subject>> {
        self.doomed.iter().chain(&self.living)
    }
}

type Verification = Pin<Box<dyn Future<Output = (Times, Result<Verified, VerifyError>)> + Send>>;

impl Verifying {
    async fn perform(&self, command: Command) -> Answer {
        match command {
            Command::Verify { doomed, living } => {
                let told = now();
                let subjects = |tokens: Vec<String>| {
                    let subject = |token| {
                        let is_waiting = AtomicBool::new(false);
                        Arc::new(Subject { token, seen: Seen::new(), is_waiting })
                    };
                    tokens.into_iter().map(subject).collect()
                };
                let batch = Batch {
                    doomed: subjects(doomed),
                    living: subjects(living),
                    ..Batch::default()
                };
                self.begin(batch);
                let batch = self.batch();
                // A poll before that may yet find that they were created, and forget them once more.
                self.wait(|| self.last_poll() > told).await;
                let since = now();
                let is_warm = |subject: &Arc<Subject>| subject.seen.is_from_memory_since(since);
                self.wait(|| batch.subjects().all(is_warm)).await;
                batch.subjects().for_each(|subject| subject.seen.forget_outages());
                Answer::Warm
            }
            Command::Recover => {
                let (batch, since) = (self.batch(), now());
                self.wait(|| {
                    let is_revoked = |subject: &Arc<Subject>| subject.seen.is_revoked_since(since);
                    let lives = |subject: &Arc<Subject>| subject.seen.is_from_memory_since(since);
                    batch.doomed.iter().all(is_revoked) && batch.living.iter().all(lives)
                })
                .await;
                Answer::Recovered
            }
            Command::Report => {
                let batch = self.begin(Batch::default());
                let summaries = |subjects: &[Arc<Subject>]| {
                    subjects.iter().map(|subject| subject.seen.summary()).collect()
                };
                Answer::Report(Report {
                    doomed: summaries(&batch.doomed),
                    living: summaries(&batch.living),
                    verifications: batch.verifications.load(Relaxed),
                    spanning: batch.spanning.load(Relaxed),
                })
            }
        }
    }

    fn batch(&self) -> Arc<Batch> {
        Arc::clone(&self.batch.lock().expect("no panic"))
    }

    /// Returns the one before.
    fn begin(&self, batch: Batch) -> Arc<Batch> {
        std::mem::replace(&mut *self.batch.lock().expect("no panic"), Arc::new(batch))
    }

    /// Waits until this is so, and the cache is in use. Whoever asked gives up if that takes too long.
    async fn wait(&self, is_so: impl Fn() -> bool) {
        while !(is_so() && self.health().is_ready()) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    fn health(&self) -> CacheHealth {
        self.verifier.cache_health().expect("a cache")
    }

    /// When the last poll began that has returned, or a little earlier.
    fn last_poll(&self) -> Duration {
        let before = now();
        self.health().feed_age.map_or(Duration::ZERO, |age| before.saturating_sub(age))
    }

    /// When the lease ends, or a little earlier.
    fn lease(&self) -> Duration {
        let before = now();
        before + self.health().lease_left
    }

    /// On a thread of its own: what is in memory is decided here, and what waits for the store goes
    /// on in a task, so that one token never waits for another.
    fn verify_for_ever(self: Arc<Self>, runtime: &tokio::runtime::Handle) {
        const SHORTEST: Duration = Duration::from_micros(100);
        const LONGEST: Duration = Duration::from_millis(1);

        let _inside = runtime.enter();
        DAWDLES_HERE.set(true);
        let mut rng = ChaCha8Rng::seed_from_u64(u64::from(std::process::id()));
        loop {
            let (batch, begun) = (self.batch(), now());
            let lease = self.lease();
            for subject in batch.subjects() {
                self.begin_to_verify(subject, &batch, lease, runtime);
            }
            // The server and the others need the processor, too. Now and then there is no pause.
            let pause = now().saturating_sub(begun).clamp(SHORTEST, LONGEST);
            if rng.random_ratio(7, 8) {
                std::thread::sleep(pause.mul_f64(rng.random_range(0.5..1.5)));
            }
        }
    }

    fn begin_to_verify(
        &self,
        subject: &Arc<Subject>,
        batch: &Arc<Batch>,
        lease: Duration,
        runtime: &tokio::runtime::Handle,
    ) {
        if subject.is_waiting.load(Relaxed) {
            return;
        }
        let mut verification = self.verification(subject);
        let mut context = Context::from_waker(Waker::noop());
        let polled = verification.as_mut().poll(&mut context);
        if !matches!(polled, Poll::Ready((_, Ok(_)))) {
            // The lease was there when the verification began; and what is left of it now, was left
            // when the verification looked into the memory, however slow the machine is.
            subject.seen.note_miss(lease.saturating_sub(now()));
        }
        match polled {
            Poll::Ready((times, result)) => {
                note(batch, subject, times, self.max_staleness, true, &result);
            }
            Poll::Pending => {
                subject.is_waiting.store(true, Relaxed);
                let (batch, subject) = (Arc::clone(batch), Arc::clone(subject));
                let max_staleness = self.max_staleness;
                runtime.spawn(async move {
                    let (times, result) = verification.await;
                    note(&batch, &subject, times, max_staleness, false, &result);
                    subject.is_waiting.store(false, Relaxed);
                });
            }
        }
    }

    fn verification(&self, subject: &Arc<Subject>) -> Verification {
        let (verifier, subject) = (self.verifier.clone(), Arc::clone(subject));
        Box::pin(async move {
            let begun = now();
            let result = verifier.verify(subject.token.as_bytes()).await;
            // Since the check, this thread has done nothing but return.
            let checked = LAST_READ.get();
            (Times { begun, checked, ended: now() }, result)
        })
    }
}

fn note(
    batch: &Batch,
    subject: &Subject,
    times: Times,
    max_staleness: Duration,
    from_memory: bool,
    result: &Result<Verified, VerifyError>,
) {
    batch.verifications.fetch_add(1, Relaxed);
    if times.ended.saturating_sub(times.begun) > max_staleness {
        batch.spanning.fetch_add(1, Relaxed);
    }
    subject.seen.note(times, from_memory, result);
}

thread_local! {
    static LAST_READ: Cell<Duration> = const { Cell::new(Duration::ZERO) };
    static DAWDLES_HERE: Cell<bool> = const { Cell::new(false) };
}

/// The system's clock, which notes what it told last.
struct TestClock {
    dawdles: bool,
    jumps: bool,
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        let now = SystemClock.now();
        if !self.jumps {
            return now;
        }
        let within_two_hours = SysRng.try_next_u64().expect("randomness") % 7_200_000;
        let jump = i64::try_from(within_two_hours).expect("a small number") - 3_600_000;
        now.checked_add(SignedDuration::from_millis(jump)).expect("a time")
    }

    fn monotonic(&self) -> Duration {
        if self.dawdles && DAWDLES_HERE.get() {
            std::thread::sleep(Duration::from_micros(50));
        }
        let read = SystemClock.monotonic();
        LAST_READ.set(read);
        read
    }
}

/// Reads usage again and again, so as to hold a connection.
async fn compete(store: DynTokenStore) {
    let id = api_tokens::TokenId::generate(&mut SysRng).expect("an id");
    loop {
        let _ = store.usage(&[id]).await;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
