//! What a verification costs, and its parts.
//!
//! Each group also times one SHA-256 block, as the unit: on a noisy machine, compare ratios to
//! that within one run.

#[path = "../tests/util/mod.rs"]
mod util;

use std::{
    hint::black_box,
    pin::pin,
    time::{Duration, Instant},
};

use api_tokens::{
    Client, Credentials, Issuer, Keyring, MasterKey, MemoryStore, NewToken, ParsedToken, Prefix,
    SqliteOptions, Token, TokenStore, Verifier, prefix,
};
use criterion::{
    BenchmarkGroup, Criterion, criterion_group, criterion_main, measurement::WallTime,
};
use rand::{
    SeedableRng,
    rngs::{ChaCha20Rng, SysRng},
};
use sha2::{Digest, Sha256};
use util::{ann, at_once, new_token};

const PREFIX: Prefix = prefix!("acme_live");

/// One SHA-256 compression.
fn unit(group: &mut BenchmarkGroup<'_, WallTime>) {
    group.bench_function("unit: one SHA-256 block", |bencher| {
        let block = [7_u8; 32];
        bencher.iter(|| Sha256::digest(black_box(block)));
    });
}

fn parse(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("parse");
    unit(&mut group);
    let token = token(1);
    let header = format!("Bearer {}", token.expose_secret());
    group.bench_function("authorization field", |bencher| {
        bencher.iter(|| Credentials::from_authorization([black_box(header.as_bytes())]));
    });
    group.bench_function("token", |bencher| {
        let text = token.expose_secret().as_bytes();
        bencher.iter(|| ParsedToken::parse(&PREFIX, black_box(text)).is_ok());
    });
}

/// From the bytes of the header to the refusal; none of these reaches the store.
fn reject(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("reject");
    unit(&mut group);
    let verifier = Verifier::new(PREFIX, &keyring(), MemoryStore::new());
    let good = token(1);
    let good = good.expose_secret();
    let typo = good.replacen(char::is_numeric, "x", 1);
    let cases = [
        ("garbage", "Bearer garbage".to_owned()),
        ("typo", format!("Bearer {typo}")),
        ("wrong prefix", format!("Bearer {}", good.replace("live", "test"))),
        ("8 KiB", format!("Bearer {}", "a".repeat(8192))),
        ("other scheme", "Basic dTpw".to_owned()),
    ];
    for (name, header) in cases {
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                at_once(verifier.verify_authorization([black_box(header.as_bytes())])).is_err()
            });
        });
    }
}

fn digest(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("digest");
    unit(&mut group);
    let token = token(1);
    let parsed = ParsedToken::parse(&PREFIX, token.expose_secret().as_bytes()).expect("a token");
    for (name, keyring) in [("keyed", keyring()), ("unkeyed", Keyring::unkeyed())] {
        let digester = keyring.digester(&PREFIX);
        let stored = digester.digest(&parsed);
        group.bench_function(format!("{name}, and compare"), |bencher| {
            bencher.iter(|| digester.verify(black_box(&parsed), black_box(&stored)));
        });
    }
}

/// From the bytes of the header to the end, over tokens in random order.
fn verify_memory(criterion: &mut Criterion) {
    for count in [1, 1_000, 1_000_000] {
        let mut group = criterion.benchmark_group(format!("verify memory {count}"));
        unit(&mut group);
        let verifier = Verifier::new(PREFIX, &keyring(), MemoryStore::new());
        let headers = Headers::new(&verifier, count, |future| at_once(future));
        for (name, headers, accepted) in headers.cases() {
            let mut headers = headers.iter().cycle();
            group.bench_function(name, |bencher| {
                bencher.iter(|| {
                    let header = headers.next().map_or([].as_slice(), String::as_bytes);
                    let result = at_once(verifier.verify_authorization([black_box(header)]));
                    assert_eq!(result.is_ok(), accepted);
                });
            });
        }
    }
}

/// The same over 1,000 tokens, plain and with a background that notes usage and passes events on.
///
/// "First use in a tick" is what each token costs once a second, all else what it costs otherwise.
fn verify_with_background(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("background, 1000 tokens");
    unit(&mut group);
    let plain = Verifier::new(PREFIX, &keyring(), MemoryStore::new());
    let builder = || Verifier::builder(PREFIX, &keyring(), MemoryStore::new());
    let (noting, _) = builder().build();
    for (name, verifier) in [("plain", &plain), ("noting usage", &noting)] {
        let headers = Headers::new(verifier, 1_000, |future| at_once(future));
        for (case, headers, accepted) in headers.cases() {
            let mut headers = headers.iter().cycle();
            group.bench_function(format!("{name}, {case}"), |bencher| {
                bencher.iter(|| {
                    let header = headers.next().map_or([].as_slice(), String::as_bytes);
                    let client = Client { user_agent: Some(b"curl/8.5.0"), ..Client::default() };
                    let verify = verifier.verify_authorization_from([black_box(header)], client);
                    assert_eq!(at_once(verify).is_ok(), accepted);
                });
            });
        }
    }
    let (ticking, mut background) = builder().build();
    let headers = Headers::new(&ticking, 1_000, |future| at_once(future));
    group.bench_function("first use in a tick, right secret", |bencher| {
        bencher.iter_custom(|iterations| {
            let mut elapsed = Duration::ZERO;
            let mut left = iterations;
            while left > 0 {
                at_once(background.tick()).expect("a store in memory");
                let begun = Instant::now();
                for header in headers.right.iter().take(usize::try_from(left).unwrap_or(1_000)) {
                    let client = Client { user_agent: Some(b"curl/8.5.0"), ..Client::default() };
                    let fields = [black_box(header.as_bytes())];
                    assert!(at_once(ticking.verify_authorization_from(fields, client)).is_ok());
                }
                elapsed += begun.elapsed();
                left = left.saturating_sub(1_000);
            }
            elapsed
        });
    });
}

fn verify_sqlite(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("verify sqlite 1000");
    unit(&mut group);
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let directory = tempfile::tempdir().expect("a temporary directory");
    let options = SqliteOptions::new(directory.path().join("tokens.db"));
    options.migrate().expect("migrate");
    let verifier = Verifier::new(PREFIX, &keyring(), options.open().expect("open"));
    let headers = Headers::new(&verifier, 1_000, |future| runtime.block_on(future));
    for (name, headers, accepted) in headers.cases() {
        let mut headers = headers.iter().cycle();
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let header = headers.next().map_or([].as_slice(), String::as_bytes);
                let verify = verifier.verify_authorization([black_box(header)]);
                assert_eq!(runtime.block_on(verify).is_ok(), accepted);
            });
        });
    }
}

fn create(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("create");
    unit(&mut group);
    group.bench_function("token, system generator", |bencher| {
        bencher.iter(|| Token::generate(&PREFIX, &mut SysRng).is_ok());
    });
    group.bench_function("token, seeded generator", |bencher| {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        bencher.iter(|| Token::generate(&PREFIX, &mut rng).is_ok());
    });
    group.bench_function("in memory", |bencher| {
        let verifier = Verifier::new(PREFIX, &keyring(), MemoryStore::new());
        let issuer = Issuer::new(&verifier);
        bencher.iter(|| at_once(issuer.create(two_scopes(), &ann())).is_ok());
    });
    group.bench_function("in SQLite, durable", |bencher| {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let directory = tempfile::tempdir().expect("a temporary directory");
        let options = SqliteOptions::new(directory.path().join("tokens.db"));
        options.migrate().expect("migrate");
        let verifier = Verifier::new(PREFIX, &keyring(), options.open().expect("open"));
        let issuer = Issuer::new(&verifier);
        bencher.iter(|| runtime.block_on(issuer.create(two_scopes(), &ann())).is_ok());
    });
}

/// `Authorization` fields, each of another token.
struct Headers {
    right: Vec<String>,
    wrong_secret: Vec<String>,
    unknown: Vec<String>,
}

impl Headers {
    fn new<S: TokenStore>(
        verifier: &Verifier<S>,
        count: usize,
        run: impl Fn(std::pin::Pin<&mut dyn Future<Output = Token>>) -> Token,
    ) -> Self {
        let issuer = Issuer::with_rng(verifier, ChaCha20Rng::seed_from_u64(1));
        let mut strangers = ChaCha20Rng::seed_from_u64(2);
        let mut headers = Self { right: vec![], wrong_secret: vec![], unknown: vec![] };
        for _ in 0..count {
            let token = run(pin!(async {
                issuer.create(two_scopes(), &ann()).await.expect("create").token
            }));
            let stranger = Token::generate(&PREFIX, &mut strangers).expect("a token");
            let (known, unknown) = (token.expose_secret(), stranger.expose_secret());
            headers.wrong_secret.push(format!("Bearer {}", mix(known, unknown)));
            headers.right.push(format!("Bearer {known}"));
            headers.unknown.push(format!("Bearer {unknown}"));
        }
        headers
    }

    fn cases(&self) -> [(&str, &[String], bool); 3] {
        [
            ("right secret", &self.right, true),
            ("wrong secret", &self.wrong_secret, false),
            ("unknown id", &self.unknown, false),
        ]
    }
}

/// The id of one token with the secret of another, and the checksum of both.
fn mix(id: &str, secret: &str) -> String {
    const ALPHABET: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let (id, _) = id.rsplit_once('_').expect("a token");
    let (_, secret) = secret.rsplit_once('_').expect("a token");
    let body = format!("{id}_{}", &secret[..39]);
    let mut crc = crc32fast::hash(body.as_bytes());
    let mut digits = [0; 6].map(|_: u8| {
        let digit = ALPHABET[(crc % 62) as usize];
        crc /= 62;
        char::from(digit)
    });
    digits.reverse();
    body + &String::from_iter(digits)
}

fn token(seed: u64) -> Token {
    Token::generate(&PREFIX, &mut ChaCha20Rng::seed_from_u64(seed)).expect("a token")
}

fn keyring() -> Keyring {
    Keyring::new(MasterKey::generate(&mut ChaCha20Rng::seed_from_u64(3)).expect("a key"))
}

fn two_scopes() -> NewToken {
    new_token("Production REST API").with_scopes("sources:read flows:run".parse().expect("scopes"))
}

criterion_group!(
    benches,
    parse,
    reject,
    digest,
    verify_memory,
    verify_with_background,
    verify_sqlite,
    create
);
criterion_main!(benches);
