use std::time::Duration;

use api_tokens::{Clock, Event, EventSink, OwnerPolicy, OwnerRights, StoreError, TokenRecord};
use jiff::Timestamp;

use super::world::{World, spread};
use rand::RngExt;

/// The clocks of a node. Its monotonic one began at another time than the others', and runs too
/// fast or too slow.
#[derive(Debug, Clone)]
pub(crate) struct NodeClock {
    pub(crate) world: World,
    pub(crate) ahead: Duration,
    /// By how many parts in a million it is too fast; below a million, too slow.
    pub(crate) rate: u32,
}

impl NodeClock {
    /// What it shows at an instant.
    pub(crate) fn at(&self, instant: Duration) -> Duration {
        let nanoseconds = instant.as_nanos() * u128::from(self.rate) / 1_000_000;
        self.ahead + Duration::from_nanos(u64::try_from(nanoseconds).expect("a short time"))
    }
}

impl Clock for NodeClock {
    fn now(&self) -> Timestamp {
        let now = World::wall(self.world.now());
        self.world.note(|readings| readings.wall.push(now));
        now
    }

    fn monotonic(&self) -> Duration {
        self.at(self.world.read_time())
    }
}

/// Where the events of a node go, and a point at which it may be interrupted.
pub(crate) struct Interrupting(pub(crate) World);

impl EventSink for Interrupting {
    fn record(&self, _event: &Event) {
        self.0.deschedule();
    }
}

/// A host that takes its time to tell what an owner may do, between the moment at which a record is
/// taken and the check.
pub(crate) struct SlowPolicy {
    pub(crate) world: World,
    pub(crate) likelihood: f64,
    pub(crate) longest: Duration,
}

impl OwnerPolicy for SlowPolicy {
    async fn rights(&self, _token: &TokenRecord) -> Result<OwnerRights, StoreError> {
        let delay = self
            .world
            .draw(|rng| rng.random_bool(self.likelihood).then(|| spread(rng, self.longest)));
        if let Some(delay) = delay {
            self.world.note(|readings| readings.asks_policy = true);
            self.world.sleep(delay).await;
            self.world.note(|readings| readings.asks_policy = false);
        }
        let now = self.world.now();
        self.world.note(|readings| readings.policy_answered = Some(now));
        Ok(OwnerRights::All)
    }
}
