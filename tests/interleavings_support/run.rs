use std::{
    path::Path,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use api_tokens::SqliteStore;
use rand::{SeedableRng, rngs::ChaCha8Rng};
use tempfile::TempDir;
use tokio::task::JoinSet;

use super::{
    act::open,
    other::Other,
    pair::{Pair, Side, Tally},
};
use crate::util::say;

/// How many pairs are under way at a time: their writes share transactions.
const AT_ONCE: usize = 128;

/// Two conflicting jobs, and what must hold after them.
pub(crate) struct Scenario {
    jobs: [&'static str; 2],
    run: Run,
}

type Run = for<'a> fn(&'a mut Pair) -> Pin<Box<dyn Future<Output = Side> + Send + 'a>>;

impl Scenario {
    pub(crate) const fn new(jobs: [&'static str; 2], run: Run) -> Self {
        Self { jobs, run }
    }
}

/// Runs so many pairs, each scenario in turn, prints what came first how often, and fails if one
/// of two always did.
pub(crate) async fn run(scenarios: &'static [Scenario], seed: u64, pairs: u64) {
    say(&format!("API_TOKENS_INTERLEAVINGS_SEED={seed}"));
    let begun = Instant::now();
    let directory = directory();
    let path = directory.path().join("tokens.db");
    let world = Arc::new(World {
        scenarios: scenarios.iter().map(|scenario| (scenario, Arc::default())).collect(),
        seed,
        pairs,
        next: AtomicU64::new(0),
        store: open(&path),
        other: Arc::new(Other::start(&path)),
    });
    let mut lanes = JoinSet::new();
    for _ in 0..AT_ONCE {
        lanes.spawn(Arc::clone(&world).run());
    }
    lanes.join_all().await;
    let World { scenarios, other, .. } = Arc::into_inner(world).expect("no lane is left");
    Arc::into_inner(other).expect("no pair is left").stop().await;
    let took = begun.elapsed().as_secs();

    let mut conflicts = 0;
    for (Scenario { jobs: [first, second], .. }, tally) in &scenarios {
        let [first_won, second_won] = tally.won();
        let retried = tally.conflicts.load(Ordering::Relaxed);
        say(&format!("{first} {first_won} : {second_won} {second}; {retried} conflicts"));
        conflicts += retried;
    }
    say(&format!(
        "{pairs} pairs in {took} s; {conflicts} writes came too late and were planned again"
    ));
    // What always comes in one order has not been interleaved.
    let fewest = pairs / u64::try_from(scenarios.len()).expect("a small number") / 20;
    for (Scenario { jobs, .. }, tally) in &scenarios {
        assert!(tally.won().into_iter().all(|won| won >= fewest), "one order is rare: {jobs:?}");
    }
}

struct World {
    scenarios: Vec<(&'static Scenario, Arc<Tally>)>,
    seed: u64,
    pairs: u64,
    /// The number of the next pair.
    next: AtomicU64,
    store: SqliteStore,
    other: Arc<Other>,
}

impl World {
    /// One pair after another, until there are no more.
    async fn run(self: Arc<Self>) {
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            if number >= self.pairs {
                return;
            }
            let turn = usize::try_from(number).expect("a small number") % self.scenarios.len();
            let (scenario, tally) = &self.scenarios[turn];
            let Scenario { run, jobs } = *scenario;
            let rng = ChaCha8Rng::seed_from_u64(self.seed.wrapping_add(number));
            let (store, other) = (self.store.clone(), Arc::clone(&self.other));
            let mut pair = Pair::new(number, rng, store, other, Arc::clone(tally));
            let pair = tokio::spawn(async move {
                let winner = run(&mut pair).await;
                pair.check_histories().await;
                pair.count(winner);
            });
            if let Err(error) = pair.await {
                panic!("pair {number} of seed {}, {jobs:?}: {error}", self.seed);
            }
        }
    }
}

/// In memory where that can be, since what matters here is not the disk.
fn directory() -> TempDir {
    let in_memory = tempfile::tempdir_in(Path::new("/dev/shm"));
    in_memory.or_else(|_| tempfile::tempdir()).expect("a temporary directory")
}
