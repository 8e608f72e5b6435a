use std::time::Duration;

use api_tokens::Cache;
use rand::{RngExt, rngs::ChaCha8Rng};

use super::world::{Interruptions, magnitude, spread};

/// How a schedule differs from others. All times are drawn so that every order of magnitude meets
/// every other.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings {
    pub(crate) nodes: usize,
    pub(crate) clients: usize,
    pub(crate) pollers: usize,
    /// What all times are drawn in proportion to.
    pub(crate) unit: Duration,
    /// The unit, or zero: no cache.
    pub(crate) max_staleness: Duration,
    pub(crate) poll_interval: Duration,
    /// Whether polls are given up earlier than they should be, too.
    pub(crate) is_impatient: bool,
    pub(crate) capacity: usize,
    pub(crate) max_lookups: usize,
    /// Between two requests of a client.
    pub(crate) think: Duration,
    /// Between two changes that a node makes.
    pub(crate) rest: Duration,
    pub(crate) network: Network,
    pub(crate) faults: Faults,
    pub(crate) interruptions: Interruptions,
    pub(crate) policy_likelihood: f64,
    pub(crate) policy_longest: Duration,
    /// Of a node's clock: the most parts in a million by which it may be too fast or too slow.
    pub(crate) drift: u32,
    pub(crate) steps: u64,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Network {
    /// The longest way of most messages.
    pub(crate) delay: Duration,
    /// The same when faults have stopped.
    pub(crate) delay_in_the_end: Duration,
    /// How many messages take up to thirty times as long.
    pub(crate) slow: f64,
    pub(crate) loss: f64,
    /// How many callers are told of a failure before the answer comes.
    pub(crate) early_failure: f64,
    /// Whether some reads are answered by a replica that lags behind, against the contract.
    pub(crate) lags: bool,
}

/// Which faults there are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Faults {
    /// About so often, one of those that there are.
    pub(crate) every: Duration,
    pub(crate) longest: Duration,
    pub(crate) kinds: [Option<Fault>; 4],
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    /// A node stands still.
    Halt,
    /// A black hole between a node and the store.
    Cut,
    /// The store is restarted.
    Restart,
    /// The store forgets what has changed.
    Forget,
}

impl Settings {
    pub(crate) fn draw(rng: &mut ChaCha8Rng) -> Self {
        let unit = Duration::from_millis(1).mul_f64(magnitude(rng, 0.0, 4.0));
        let max_staleness = if rng.random_bool(0.03) { Duration::ZERO } else { unit };
        let mut times = |from, to| unit.mul_f64(magnitude(rng, from, to));
        let poll_interval = times(-2.0, -0.2);
        let (think, rest) = (times(-2.0, -0.2), times(-1.5, 0.3));
        let delay = times(-3.0, 0.3);
        let (every, longest) = (times(-0.5, 0.5), times(-1.0, 0.7));
        let (interrupted, policy_longest) = (times(-2.0, 0.5), times(-2.0, 0.3));
        let lags = !max_staleness.is_zero() && rng.random_bool(0.08);
        Self {
            nodes: rng.random_range(2..5),
            clients: rng.random_range(1..4),
            pollers: if !lags && rng.random_bool(0.1) { 2 } else { 1 },
            unit,
            max_staleness,
            poll_interval,
            is_impatient: rng.random_bool(0.3),
            capacity: one_of(rng, [1, 2, 64, 64, 64]),
            max_lookups: one_of(rng, [1, 2, 32, 32]),
            think,
            rest,
            network: Network {
                delay,
                delay_in_the_end: unit / 20,
                slow: one_of(rng, [0.0, 0.05, 0.2]),
                loss: one_of(rng, [0.0, 0.03, 0.15]),
                early_failure: one_of(rng, [0.0, 0.02, 0.1]),
                lags,
            },
            faults: Faults {
                every,
                longest,
                kinds: [
                    rng.random::<bool>().then_some(Fault::Halt),
                    rng.random::<bool>().then_some(Fault::Cut),
                    rng.random_bool(0.3).then_some(Fault::Restart),
                    rng.random_bool(0.3).then_some(Fault::Forget),
                ],
            },
            interruptions: Interruptions {
                likelihood: one_of(rng, [0.0, 0.03, 0.1, 0.3]),
                longest: interrupted,
            },
            policy_likelihood: one_of(rng, [0.0, 0.0, 0.2]),
            policy_longest,
            drift: one_of(rng, [0, 500, 50_000]),
            steps: rng.random_range(80..240),
        }
    }

    pub(crate) fn cache(&self) -> Cache {
        Cache::new()
            .max_staleness(self.max_staleness)
            .poll_interval(self.poll_interval)
            .capacity(self.capacity)
            .max_lookups(self.max_lookups)
    }

    /// A poll that takes longer is given up, as the background does it.
    pub(crate) fn patience(&self, rng: &mut ChaCha8Rng) -> Duration {
        let patience = self.max_staleness / 2;
        if self.is_impatient && rng.random() { spread(rng, patience) } else { patience }
    }
}

fn one_of<T: Copy, const N: usize>(rng: &mut ChaCha8Rng, values: [T; N]) -> T {
    values[rng.random_range(0..N)]
}
