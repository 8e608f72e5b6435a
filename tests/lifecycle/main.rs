//! The life of a token, on every store, and from memory by way of a cache.

mod attenuation;
mod background;
mod basics;
mod bulk;
mod events;
mod hindered;
mod import;
mod keys;
mod policy;
mod repeat;
mod rotation;
mod transitions;
mod usage;

#[path = "../postgres_support/mod.rs"]
mod postgres_support;
#[path = "../util/mod.rs"]
mod util;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use api_tokens::{
    Actor, Background, Cache, Clock, DynTokenStore, Event, EventKind, EventSink, Issuer, Keyring,
    MasterKey, MemoryStore, SqliteOptions, Status, Token, TokenRecord, Verifier, VerifierBuilder,
    VerifyError, prefix, testing::ManualClock,
};
use jiff::{SignedDuration, Timestamp};
use rand::{SeedableRng, rngs::ChaCha20Rng};
use tempfile::TempDir;
use util::{ann, at_once, new_token};

type Store = DynTokenStore;

struct Service {
    issuer: Issuer<Store>,
    verifier: Verifier<Store>,
    background: Background<Store>,
    clock: ManualClock,
    store: Store,
    events: Events,
    _directory: TempDir,
}

impl Service {
    fn new(store: Store, directory: TempDir, configure: impl Configure) -> Self {
        let clock = ManualClock::new(start());
        let events = Events::default();
        let keyring = Keyring::new(key(1));
        let builder = Verifier::builder(prefix!("acme_live"), &keyring, store.clone())
            .clock(clock.clone())
            .events(events.clone());
        let (verifier, background) = configure(builder).build();
        let issuer = Issuer::with_rng(&verifier, ChaCha20Rng::seed_from_u64(1));
        Self { issuer, verifier, background, clock, store, events, _directory: directory }
    }

    /// Another verifier on the same store and clock.
    fn beside(
        &self,
        prefix: api_tokens::Prefix,
        keyring: &Keyring,
    ) -> (Verifier<Store>, Background<Store>) {
        Verifier::builder(prefix, keyring, self.store.clone()).clock(self.clock.clone()).build()
    }

    /// Begins a lease. A store in memory is never waited for.
    fn poll(&self) {
        at_once(self.background.poll_changes()).expect("poll");
    }

    async fn create(&self, name: &str) -> (Token, TokenRecord) {
        let created = self.issuer.create(new_token(name), &ann()).await.expect("create");
        (created.token, created.record)
    }

    async fn verify(&self, token: &Token) -> Result<api_tokens::Verified, VerifyError> {
        self.verifier.verify(token.expose_secret().as_bytes()).await
    }

    async fn status(&self, token: &Token) -> Status {
        match self.verify(token).await {
            Ok(_) => Status::Active,
            Err(VerifyError::NotActive { id, status }) => {
                assert_eq!(id, token.id());
                status
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// Acts through a token, as a request with it would.
    async fn through(&self, token: &Token) -> Actor {
        Actor::from(&self.verify(token).await.expect("an accepted token"))
    }

    async fn get(&self, token: &Token) -> TokenRecord {
        self.issuer.get(token.id(), &ann()).await.expect("get").expect("a record")
    }

    /// As it is known on this node.
    async fn usage(&self, token: &Token) -> Option<api_tokens::Usage> {
        let records = [self.get(token).await];
        self.issuer.usage(&records).await.expect("usage").pop().flatten()
    }

    fn clock_now(&self) -> Timestamp {
        self.clock.now()
    }

    async fn tick(&mut self) {
        self.background.poll_changes().await.expect("poll");
        self.background.tick().await.expect("tick");
    }
}

trait Configure: Fn(VerifierBuilder<Store>) -> VerifierBuilder<Store> {}
impl<F: Fn(VerifierBuilder<Store>) -> VerifierBuilder<Store>> Configure for F {}

/// One on each store, and one that verifies from memory whenever it may.
fn services() -> Vec<Service> {
    services_with(|builder| builder)
}

fn services_with(configure: impl Configure) -> Vec<Service> {
    let directory = || tempfile::tempdir().expect("a temporary directory");
    let file = directory();
    let options = SqliteOptions::new(file.path().join("tokens.db"));
    options.migrate().expect("migrate");
    let sqlite = options.open().expect("open");
    let memory = || DynTokenStore::new(MemoryStore::new());
    let cache = Cache::new().max_staleness(Duration::from_secs(60 * 60));
    let cached = Service::new(memory(), directory(), |builder| configure(builder).cache(cache));
    cached.poll();
    let mut services = vec![
        Service::new(memory(), directory(), &configure),
        Service::new(DynTokenStore::new(sqlite), file, &configure),
        cached,
    ];
    // None where there is no server.
    if let Some(postgres) = postgres_support::blocking_store() {
        services.push(Service::new(DynTokenStore::new(postgres), directory(), &configure));
    }
    services
}

/// Keeps what was passed on.
#[derive(Clone, Default)]
struct Events(Arc<Mutex<Vec<Event>>>);

impl Events {
    fn take(&self) -> Vec<Event> {
        std::mem::take(&mut self.0.lock().expect("no panic"))
    }

    fn kinds(&self) -> Vec<EventKind> {
        self.take().into_iter().map(|event| event.kind).collect()
    }
}

impl EventSink for Events {
    fn record(&self, event: &Event) {
        self.0.lock().expect("no panic").push(event.clone());
    }
}

fn start() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().expect("a time")
}

fn key(number: u8) -> MasterKey {
    let bytes: Vec<u8> = (0..32).map(|i: u8| i.wrapping_mul(7).wrapping_add(number)).collect();
    MasterKey::from_bytes(&bytes).expect("a key")
}

const fn seconds(number: i64) -> SignedDuration {
    SignedDuration::from_secs(number)
}

const fn days(number: i64) -> SignedDuration {
    SignedDuration::from_hours(24 * number)
}

const MICROSECOND: SignedDuration = SignedDuration::from_micros(1);
