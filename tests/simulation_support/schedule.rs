use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use api_tokens::Status;
use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};

use super::{
    clients::{Tokens, make_changes, poll_changes, prepare, send_requests},
    coverage::{Coverage, Seen},
    node::Node,
    server::Server,
    settings::{Fault, Faults, Settings},
    world::{World, spread},
};

/// Runs the schedule of this seed. Panics if something is not as it must be.
pub(crate) fn run(seed: u64, is_logged: bool) -> Coverage {
    let settings = Settings::draw(&mut ChaCha8Rng::seed_from_u64(seed));
    let world = World::new(seed, settings.nodes, is_logged);
    world.log(|| format!("{settings:#?}"));
    let server = Server::new(world.clone(), settings.nodes, settings.network);
    let (nodes, gone): (Vec<_>, Vec<_>) = (0..settings.nodes)
        .map(|number| Node::new(number, &world, &server, &settings))
        .map(|(node, gone)| (Arc::new(node), gone))
        .unzip();
    let schedule =
        Schedule { settings, world, server, nodes, tokens: Tokens::new(), busy: Arc::default() };
    schedule.run();
    schedule.settle();
    let coverage = schedule.end();
    assert!(gone.iter().all(|gone| gone.upgrade().is_none()), "something of a node is left");
    coverage
}

struct Schedule {
    settings: Settings,
    world: World,
    server: Server,
    nodes: Vec<Arc<Node>>,
    tokens: Tokens,
    /// How many tasks there are that end.
    busy: Arc<AtomicUsize>,
}

impl Schedule {
    fn run(&self) {
        let Self { settings, world, tokens, .. } = self;
        let end = world.now() + self.unit() * 5;
        self.spawn(0, prepare(Arc::clone(&self.nodes[0]), tokens.clone()));
        for node in &self.nodes {
            // Without a cache, there is nothing to poll for.
            let pollers = if settings.max_staleness.is_zero() { 0 } else { settings.pollers };
            for _ in 0..pollers {
                world.spawn(node.number, poll_changes(Arc::clone(node)));
            }
        }
        // Some tokens come too late for that: the network may fail.
        world.run_until(end, || self.is_idle());
        world.interrupt(settings.interruptions);
        for node in &self.nodes {
            for _ in 0..settings.clients {
                self.spawn(node.number, send_requests(Arc::clone(node), tokens.clone()));
            }
            self.spawn(node.number, make_changes(Arc::clone(node), tokens.clone()));
        }
        self.spawn(
            settings.nodes,
            cause_faults(world.clone(), self.server.clone(), settings.nodes, settings.faults),
        );
        let steps = world.steps() + settings.steps;
        world.run_until(world.now() + self.unit() * 1000, || world.steps() >= steps);
    }

    /// Faults stop, and what was begun comes to its end. Soon after, all is as if there had been none.
    fn settle(&self) {
        let Self { settings, world, .. } = self;
        world.log(|| "no more faults".to_owned());
        world.settle();
        self.server.settle();
        let longest = settings.think.max(settings.rest).max(settings.faults.every);
        let longest = longest.max(settings.policy_longest).max(settings.network.delay * 40);
        world.run_until(world.now() + longest * 10 + self.unit() * 10, || self.is_idle());
        assert!(self.is_idle(), "something hangs");
        world.run_until(world.now() + self.unit() * 2, || false);
        for node in &self.nodes {
            let is_ready = node.readiness().0 || settings.max_staleness.is_zero();
            assert!(is_ready, "node {} is not ready", node.number);
            self.spawn(node.number, verify_all(Arc::clone(node), self.tokens.clone()));
        }
        world.run_until(world.now() + self.unit() * 1000, || self.is_idle());
        assert!(self.is_idle(), "a verification hangs");
    }

    fn end(self) -> Coverage {
        for node in &self.nodes {
            if let Some(health) = node.verifier.cache_health() {
                self.world.count_many(Seen::LeaseRanOut, health.lease_expirations);
            }
        }
        self.world.clear();
        self.world.coverage()
    }

    fn unit(&self) -> Duration {
        self.settings.unit
    }

    fn spawn(&self, node: usize, task: impl Future<Output = ()> + Send + 'static) {
        let busy = Arc::clone(&self.busy);
        busy.fetch_add(1, SeqCst);
        self.world.spawn(node, async move {
            task.await;
            busy.fetch_sub(1, SeqCst);
        });
    }

    fn is_idle(&self) -> bool {
        self.busy.load(SeqCst) == 0
    }
}

/// Without faults: all tokens that live are accepted, and from memory, once they are there.
async fn verify_all(node: Arc<Node>, tokens: Tokens) {
    let Settings { capacity, max_staleness, network, policy_longest, .. } = node.settings;
    let tokens = tokens.all();
    // What a slow replica or the host does is no fault of the cache.
    let is_expected = !network.lags && policy_longest < max_staleness / 2;
    for token in &tokens {
        let is_living = || {
            let wall = World::wall(node.world.now());
            node.server.with_history(|history| {
                history.latest(&token.id).is_some_and(|it| it.status(wall) == Status::Active)
            })
        };
        for time in 0..2 {
            let verification = node.verify(token, node.settings.unit * 1000).await;
            let (has_waited, requests) = (verification.has_waited, verification.requests);
            assert!(requests > 0 || !has_waited, "{} waits for a read that is over", token.id);
            let result = verification.result.expect("it is not given up");
            if !is_living() || !is_expected {
                continue;
            }
            result.unwrap_or_else(|error| {
                panic!("node {} refuses {}: {error}", node.number, token.id)
            });
            let fits = capacity >= tokens.len() && !max_staleness.is_zero();
            assert!(time == 0 || !fits || !has_waited, "{} is not in memory", token.id);
        }
    }
}

async fn cause_faults(world: World, server: Server, nodes: usize, faults: Faults) {
    let Faults { every, longest, kinds } = faults;
    while !world.is_settling() {
        let (pause, time, node, kind, there, back) = world.draw(|rng| {
            let node = rng.random_range(0..nodes);
            let direction: u8 = rng.random_range(1..4);
            let (there, back) = (direction & 1 > 0, direction & 2 > 0);
            (
                spread(rng, every),
                spread(rng, longest),
                node,
                kinds[rng.random_range(0..kinds.len())],
                there,
                back,
            )
        });
        world.sleep(pause).await;
        if world.is_settling() {
            break;
        }
        match kind {
            Some(Fault::Halt) => {
                world.log(|| format!("node {node} stands still for {time:?}"));
                world.count(Seen::NodeHalted);
                world.halt(node, world.now() + time);
            }
            Some(Fault::Cut) => {
                world.log(|| format!("node {node} is cut off for {time:?}: {there} {back}"));
                world.count(Seen::BlackHole);
                server.cut(node, there, back, time);
            }
            Some(Fault::Restart) => {
                world.log(|| format!("the store is restarted, down for {time:?}"));
                world.count(Seen::Restart);
                server.restart(time);
            }
            Some(Fault::Forget) => {
                world.log(|| format!("history forgotten, another one: {there}"));
                world.count(Seen::HistoryForgotten);
                server.forget_history(there);
            }
            None => {}
        }
    }
}
