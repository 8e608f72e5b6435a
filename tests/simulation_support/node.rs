use std::{
    future::poll_fn,
    pin::pin,
    sync::{Arc, Weak},
    time::Duration,
};

use api_tokens::{
    Background, ImportFormat, Issuer, Keyring, Prefix, StoreErrorKind, TokenId, Verified, Verifier,
    VerifyError, prefix,
};
use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};

use super::{
    clock::{Interrupting, NodeClock, SlowPolicy},
    coverage::Seen,
    history::{Case, Rules},
    server::Server,
    settings::Settings,
    store::SimulatedStore,
    world::World,
};

pub(crate) const PREFIX: Prefix = prefix!("simulated");

/// One process of the service, with the real verifier, issuer and background.
pub(crate) struct Node {
    pub(crate) number: usize,
    pub(crate) world: World,
    pub(crate) server: Server,
    pub(crate) settings: Settings,
    pub(crate) clock: NodeClock,
    pub(crate) verifier: Verifier<SimulatedStore>,
    pub(crate) issuer: Issuer<SimulatedStore>,
    pub(crate) background: Background<SimulatedStore>,
}

/// A token of which somebody has the text.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub(crate) id: TokenId,
    pub(crate) text: Arc<str>,
}

/// How a verification went.
pub(crate) struct Verification {
    /// `None` if it was given up.
    pub(crate) result: Option<Result<Verified, VerifyError>>,
    /// Whether it waited for the store.
    pub(crate) has_waited: bool,
    pub(crate) requests: u32,
}

pub(crate) fn imported() -> ImportFormat {
    ImportFormat::sha256().with_start("old_")
}

impl Node {
    /// A node, and what tells whether it is gone.
    pub(crate) fn new(
        number: usize,
        world: &World,
        server: &Server,
        settings: &Settings,
    ) -> (Self, Weak<()>) {
        let (ahead, rate, seed) = world.draw(|rng| {
            let drift = settings.drift;
            let rate = rng.random_range(1_000_000 - drift..=1_000_000 + drift);
            (Duration::from_nanos(rng.random_range(0..3_600_000_000_000)), rate, rng.random())
        });
        let clock = NodeClock { world: world.clone(), ahead, rate };
        let alive = Arc::new(());
        let gone = Arc::downgrade(&alive);
        let store = SimulatedStore {
            world: world.clone(),
            server: server.clone(),
            node: number,
            _alive: alive,
        };
        let builder = Verifier::builder(PREFIX, &Keyring::unkeyed(), store)
            .clock(clock.clone())
            .events(Interrupting(world.clone()))
            .accept_imported(imported())
            .cache(settings.cache());
        let builder = if settings.policy_likelihood > 0.0 {
            builder.owner_policy(SlowPolicy {
                world: world.clone(),
                likelihood: settings.policy_likelihood,
                longest: settings.policy_longest,
            })
        } else {
            builder
        };
        let (verifier, background) = builder.build();
        let issuer = Issuer::with_rng(&verifier, ChaCha8Rng::seed_from_u64(seed));
        let (world, server, settings) = (world.clone(), server.clone(), *settings);
        (Self { number, world, server, settings, clock, verifier, issuer, background }, gone)
    }

    /// Whether cached records are in use, and how often they ceased to be.
    pub(crate) fn readiness(&self) -> (bool, u64) {
        self.verifier
            .cache_health()
            .map_or((false, 0), |health| (health.is_ready(), health.lease_expirations))
    }

    /// Verifies a token, for so long at most, and judges the outcome.
    pub(crate) async fn verify(&self, token: &Known, patience: Duration) -> Verification {
        let Self { number: node, world, server, settings, .. } = self;
        // Only where that happens, since it takes time to ask.
        let readiness = || (settings.capacity < 3).then(|| self.readiness());
        let before = readiness();
        let begun = world.now();
        let (must_know, is_kept) = server.with_history(|history| {
            (history.must_know(*node, &token.id), history.is_kept(*node, &token.id))
        });
        world.log(|| format!("node {node} verifies {}", token.id));
        world.take_readings();
        let mut has_waited = false;
        let result = {
            let mut verification = pin!(self.verifier.verify(token.text.as_bytes()));
            let watched = poll_fn(|context| {
                let poll = verification.as_mut().poll(context);
                if poll.is_pending() {
                    world.note(|readings| has_waited |= !readings.asks_policy);
                }
                poll
            });
            world.within(patience, watched).await
        };
        let readings = world.take_readings();
        let ended = world.now();
        let requests = readings.requests;
        let Some(result) = result else {
            world.log(|| format!("node {node} gives {} up", token.id));
            world.count(Seen::GivenUp);
            return Verification { result: None, has_waited, requests };
        };
        world.log(|| match &result {
            Ok(verified) => {
                format!("node {node} accepts {} v{}", token.id, verified.record().version)
            }
            Err(error) => format!("node {node} refuses {}: {error}", token.id),
        });
        let case = Case {
            node: *node,
            id: token.id,
            begun,
            must_know,
            readings: &readings,
            result: &result,
            ended,
        };
        let rules = Rules {
            clock: &self.clock,
            max_staleness: settings.max_staleness,
            lags: settings.network.lags,
        };
        let judged = server.with_history(|history| history.judge(&case, &rules));
        let verification = Verification { result: Some(result), has_waited, requests };
        self.count(&verification, judged);
        if requests > 0 && is_kept && before.is_some_and(|it| it.0) && before == readiness() {
            world.count(Seen::Evicted);
        }
        verification
    }

    fn count(&self, verification: &Verification, judged: Option<Seen>) {
        let Verification { result, has_waited, requests } = verification;
        let world = &self.world;
        world.count(Seen::Verification);
        let is_decided = !matches!(result, Some(Err(VerifyError::Outage(_))));
        if *has_waited && *requests == 0 && is_decided {
            world.count(Seen::Joined);
        }
        match result {
            Some(Ok(_)) => {
                let from_memory = !has_waited && !self.settings.max_staleness.is_zero();
                world.count(if from_memory {
                    Seen::AcceptedFromMemory
                } else {
                    Seen::AcceptedFromStore
                });
                if let Some(seen @ Seen::AcceptedByOlder) = judged {
                    world.count(seen);
                }
            }
            Some(Err(VerifyError::NotActive { .. })) if !has_waited => {
                world.count(Seen::RefusedFromMemory);
            }
            Some(Err(VerifyError::UnknownToken | VerifyError::Malformed(_))) => {
                world.count(Seen::UnknownToken);
            }
            Some(Err(VerifyError::Outage(error))) => {
                assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error}");
                let text = error.to_string();
                world.count(if text.contains("longer than it may be relied on") {
                    Seen::RefusedTooLate
                } else if text.contains("older than changes that were read") {
                    Seen::OlderAnswerRefused
                } else {
                    Seen::Outage
                });
            }
            _ => {}
        }
    }
}
