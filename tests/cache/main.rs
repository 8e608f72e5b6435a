//! Verification from memory: what is read when, how long it counts, and what ends it.

mod bounds;
mod coherence;
mod feed;
mod store;
mod watch;

#[path = "../util/mod.rs"]
mod util;

use std::time::Duration;

use api_tokens::{
    Background, Cache, Issuer, Keyring, MasterKey, Token, Verified, Verifier, VerifyError, prefix,
    testing::ManualClock,
};
use jiff::SignedDuration;
use store::HeldStore;
use util::{ann, new_token};

const STALENESS: Duration = Duration::from_secs(1);
const SECOND: SignedDuration = SignedDuration::from_secs(1);
const MICROSECOND: SignedDuration = SignedDuration::from_micros(1);

/// One of several services on a store, each with a clock of its own.
struct Node {
    verifier: Verifier<HeldStore>,
    background: Background<HeldStore>,
    issuer: Issuer<HeldStore>,
    clock: ManualClock,
    store: HeldStore,
}

impl Node {
    fn new(store: &HeldStore) -> Self {
        Self::with(store, Cache::new().max_staleness(STALENESS))
    }

    fn with(store: &HeldStore, cache: Cache) -> Self {
        let clock = ManualClock::new("2026-01-01T00:00:00Z".parse().expect("a time"));
        let key = MasterKey::from_bytes(&(0..32).collect::<Vec<u8>>()).expect("a key");
        let (verifier, background) =
            Verifier::builder(prefix!("acme_live"), &Keyring::new(key), store.clone())
                .clock(clock.clone())
                .cache(cache)
                .build();
        let issuer = Issuer::new(&verifier);
        Self { verifier, background, issuer, clock, store: store.clone() }
    }

    async fn create(&self) -> Token {
        self.issuer.create(new_token("a token"), &ann()).await.expect("create").token
    }

    async fn revoke(&self, token: &Token) {
        self.issuer.revoke(token.id(), &ann(), None).await.expect("revoke");
    }

    async fn verify(&self, token: &Token) -> Result<Verified, VerifyError> {
        self.verifier.verify(token.expose_secret().as_bytes()).await
    }

    async fn accepts(&self, token: &Token) -> bool {
        match self.verify(token).await {
            Ok(_) => true,
            Err(VerifyError::NotActive { .. }) => false,
            Err(error) => panic!("{error}"),
        }
    }

    /// Verifies, and tells how many times the store was read for it.
    async fn reads(&self, token: &Token) -> usize {
        let before = self.store.finds();
        assert!(self.accepts(token).await);
        self.store.finds() - before
    }

    async fn poll(&self) {
        self.background.poll_changes().await.expect("poll");
    }
}

fn is_outage(result: &Result<Verified, VerifyError>) -> bool {
    matches!(result, Err(VerifyError::Outage(_)))
}
