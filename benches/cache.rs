//! What a verification from the cache costs, the check of the lease included, and what an entry takes.
//!
//! Each group also times one SHA-256 block, as the unit: on a noisy machine, compare ratios to
//! that within one run.

#[path = "../tests/util/mod.rs"]
mod util;

use std::{
    hint::black_box,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use api_tokens::{
    Background, Cache, Issuer, Keyring, MasterKey, MemoryStore, NewToken, Verifier, prefix,
};
use criterion::{Criterion, criterion_group, criterion_main};
use rand::{SeedableRng, rngs::ChaCha20Rng};
use sha2::{Digest, Sha256};
use util::{ann, at_once, new_token};

const HOUR: Duration = Duration::from_secs(60 * 60);

/// A verifier with as many tokens, and their `Authorization` fields. Their ids, and so their places
/// in memory, are in random order.
struct Tokens {
    verifier: Verifier<MemoryStore>,
    background: Background<MemoryStore>,
    headers: Vec<String>,
}

impl Tokens {
    fn new(count: usize, cache: Cache) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let keyring = Keyring::new(MasterKey::generate(&mut rng).expect("a key"));
        let (verifier, background) =
            Verifier::builder(prefix!("acme_live"), &keyring, MemoryStore::new())
                .cache(cache)
                // What usage takes is measured elsewhere.
                .usage_capacity(0)
                .build();
        let issuer = Issuer::with_rng(&verifier, rng);
        let create = |_| {
            let token = at_once(issuer.create(two_scopes(), &ann())).expect("create").token;
            format!("Bearer {}", token.expose_secret())
        };
        let headers = (0..count).map(create).collect();
        Self { verifier, background, headers }
    }

    /// All of them in the cache, under a lease as long as the benchmark. There is room for more,
    /// since shards fill unevenly.
    fn cached(count: usize) -> Self {
        let cache = Cache::new().max_staleness(HOUR).capacity(count + count / 4 + 1000);
        let mut tokens = None;
        let built = allocation_counter::measure(|| tokens = Some(Self::new(0, cache)));
        drop(tokens);
        let tokens = Self::new(count, cache);
        at_once(tokens.background.poll_changes()).expect("poll");
        let filled = allocation_counter::measure(|| (0..count).for_each(|i| tokens.verify(i)));
        let bytes = (built.bytes_max + filled.bytes_current.unsigned_abs()) / count as u64;
        let in_cache = tokens.verifier.cache_health().expect("a cache").tokens;
        println!("{in_cache} of {count} tokens are in the cache: {bytes} bytes each");
        tokens
    }

    fn verify(&self, i: usize) {
        let header = self.headers[i % self.headers.len()].as_bytes();
        let verified = at_once(self.verifier.verify_authorization([black_box(header)]));
        assert!(verified.is_ok());
    }
}

fn verify(criterion: &mut Criterion) {
    for count in [1, 1_000, 1_000_000] {
        let mut group = criterion.benchmark_group(format!("verify {count}"));
        group.bench_function("unit: one SHA-256 block", |bencher| {
            let block = [7_u8; 32];
            bencher.iter(|| Sha256::digest(black_box(block)));
        });
        let mut bench = |name, tokens: &Tokens| {
            let mut i = 0;
            group.bench_function(name, |bencher| {
                bencher.iter(|| {
                    tokens.verify(i);
                    i += 1;
                });
            });
        };
        bench("without a cache", &Tokens::new(count, Cache::new().max_staleness(Duration::ZERO)));
        let cached = Tokens::cached(count);
        bench("cached", &cached);
        group.bench_function("cached, two at a time on two threads", |bencher| {
            bencher.iter_custom(|iterations| on_two_threads(&cached, iterations));
        });
    }
}

/// How long it takes until each of two threads has verified as many.
fn on_two_threads(cached: &Tokens, iterations: u64) -> Duration {
    let iterations = usize::try_from(iterations).expect("a number of iterations");
    let ready = AtomicUsize::new(0);
    let run = |offset| {
        ready.fetch_add(1, Ordering::SeqCst);
        while ready.load(Ordering::SeqCst) < 2 {
            std::hint::spin_loop();
        }
        let begun = Instant::now();
        for i in 0..iterations {
            cached.verify(offset + i);
        }
        begun.elapsed()
    };
    std::thread::scope(|scope| {
        let other = scope.spawn(|| run(cached.headers.len() / 2));
        run(0).max(other.join().expect("no panic"))
    })
}

fn two_scopes() -> NewToken {
    new_token("Production REST API").with_scopes("sources:read flows:run".parse().expect("scopes"))
}

criterion_group!(benches, verify);
criterion_main!(benches);
