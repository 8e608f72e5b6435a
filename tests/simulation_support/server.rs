use std::{
    fmt,
    future::poll_fn,
    sync::{Arc, Mutex, MutexGuard},
    task::{Poll, Waker},
    time::Duration,
};

use api_tokens::{
    Changes, Cursor, Found, MemoryStore, Revision, StoreError, StoreErrorKind, TokenId, TokenStore,
    WriteBatch,
};
use jiff::Timestamp;
use rand::RngExt;

use super::{
    coverage::Seen,
    history::History,
    settings::Network,
    world::{World, magnitude, spread},
};
use crate::util::at_once;

/// The store, at the other end of a network that delays, reorders and loses.
///
/// A request travels, takes effect at one instant, and its answer travels back; nobody waits for
/// either, so that a request whose caller has given up may still take effect.
#[derive(Clone)]
pub(crate) struct Server(Arc<Inner>);

struct Inner {
    pub(crate) world: World,
    store: MemoryStore,
    network: Network,
    state: Mutex<State>,
}

struct State {
    history: History,
    links: Vec<Link>,
    /// Until when it refuses connections.
    down: Duration,
    /// How often it was restarted: no answer survives that.
    restarts: u64,
    /// The history that readers of changes are told of, and how far it was forgotten.
    incarnation: u64,
    forgotten: Revision,
    /// Who waits for what will never come.
    lost: Vec<Box<dyn FnOnce() + Send>>,
}

/// Until when nothing passes from a node to the store, and back.
#[derive(Clone, Copy, Default)]
struct Link {
    there: Duration,
    back: Duration,
}

/// What will come of a request.
struct Route {
    there: Duration,
    back: Duration,
    is_request_lost: bool,
    is_answer_lost: bool,
    /// When the caller is told that the connection failed, whatever happens at the other end.
    failure: Option<Duration>,
}

type Answer<T> = Result<T, StoreError>;

impl Server {
    pub(crate) fn new(world: World, nodes: usize, network: Network) -> Self {
        let state = State {
            history: History::new(nodes),
            links: vec![Link::default(); nodes],
            down: Duration::ZERO,
            restarts: 0,
            incarnation: 1,
            forgotten: Revision(0),
            lost: Vec::new(),
        };
        let (store, state) = (MemoryStore::new(), Mutex::new(state));
        Self(Arc::new(Inner { world, store, network, state }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().expect("no panic while it is held")
    }

    fn world(&self) -> &World {
        &self.0.world
    }

    pub(crate) fn with_history<T>(&self, with: impl FnOnce(&mut History) -> T) -> T {
        with(&mut self.state().history)
    }

    /// Cuts a node off for this long, in one direction or both.
    pub(crate) fn cut(&self, node: usize, there: bool, back: bool, time: Duration) {
        let until = self.world().now() + time;
        let link = &mut self.state().links[node];
        link.there = if there { until } else { link.there };
        link.back = if back { until } else { link.back };
    }

    /// Ends all connections, and refuses others for this long.
    pub(crate) fn restart(&self, time: Duration) {
        let now = self.world().now();
        let mut state = self.state();
        state.restarts += 1;
        state.down = now + time;
    }

    /// Forgets what has changed, or the very history that it belongs to.
    pub(crate) fn forget_history(&self, is_other: bool) {
        let head = self.head();
        let mut state = self.state();
        state.forgotten = head;
        state.incarnation += u64::from(is_other);
    }

    /// No more faults. Those who wait for what was lost are told.
    pub(crate) fn settle(&self) {
        let lost = {
            let mut state = self.state();
            state.links.fill(Link::default());
            state.down = Duration::ZERO;
            // Requests that are still under way are too late.
            state.restarts += 1;
            std::mem::take(&mut state.lost)
        };
        for tell in lost {
            tell();
        }
    }

    pub(crate) async fn find(&self, node: usize, id: TokenId) -> Answer<Option<Found>> {
        let server = self.clone();
        self.request(node, move || {
            let behind = server.behind();
            if behind > Duration::ZERO {
                server.world().count(Seen::ReadFromReplica);
                let at = server.world().now().saturating_sub(behind);
                let found = server.state().history.at(at, &id);
                return Ok(found.map(|(record, as_of)| Found { record, as_of }));
            }
            at_once(server.0.store.find(&id))
        })
        .await
    }

    fn behind(&self) -> Duration {
        let Network { lags, delay, .. } = self.0.network;
        self.world().draw(|rng| {
            if lags && rng.random_bool(0.5) { spread(rng, delay * 10) } else { Duration::ZERO }
        })
    }

    pub(crate) async fn write(&self, node: usize, batch: WriteBatch) -> Answer<()> {
        let server = self.clone();
        self.request(node, move || {
            at_once(server.0.store.write(&batch))?;
            let now = server.world().now();
            let mut state = server.state();
            for record in batch.inserts.iter().chain(&batch.updates) {
                state.history.note(now, record.id, Some(record));
            }
            state.history.note_head(now, batch.updates.len());
            drop(state);
            server.world().log(|| {
                let ids = |records: &[api_tokens::TokenRecord]| {
                    let ids =
                        records.iter().map(|record| format!("{} v{}", record.id, record.version));
                    ids.collect::<Vec<_>>().join(", ")
                };
                format!("STORED new [{}] changed [{}]", ids(&batch.inserts), ids(&batch.updates))
            });
            Ok(())
        })
        .await
    }

    pub(crate) async fn changes_since(
        &self,
        node: usize,
        cursor: Option<Cursor>,
        limit: usize,
    ) -> Answer<Changes> {
        let server = self.clone();
        self.request(node, move || {
            let (incarnation, forgotten) = {
                let state = server.state();
                (state.incarnation, state.forgotten)
            };
            let known = cursor
                .filter(|it| it.incarnation == incarnation && it.revision >= forgotten)
                .map(|it| Cursor { incarnation: 1, ..it });
            let next = |next| Cursor { incarnation, ..next };
            Ok(match at_once(server.0.store.changes_since(known.as_ref(), limit))? {
                Changes::Since { changes, next: it } => Changes::Since { changes, next: next(it) },
                Changes::Reset { next: it } => Changes::Reset { next: next(it) },
            })
        })
        .await
    }

    pub(crate) async fn prune(
        &self,
        node: usize,
        before: Timestamp,
        limit: usize,
    ) -> Answer<usize> {
        let server = self.clone();
        self.request(node, move || {
            let pruned = at_once(server.0.store.prune(before, limit))?;
            let now = server.world().now();
            let mut state = server.state();
            for id in state.history.ids() {
                let is_gone = at_once(server.0.store.find(&id)).is_ok_and(|found| found.is_none());
                if is_gone && state.history.latest(&id).is_some() {
                    server.world().log(|| format!("PRUNED {id}"));
                    state.history.note(now, id, None);
                }
            }
            Ok(pruned)
        })
        .await
    }

    fn head(&self) -> Revision {
        match at_once(self.0.store.changes_since(None, 1)) {
            Ok(Changes::Reset { next }) => next.revision,
            other => panic!("no reset without a cursor: {other:?}"),
        }
    }

    async fn request<T: Send + 'static>(
        &self,
        node: usize,
        effect: impl FnOnce() -> Answer<T> + Send + 'static,
    ) -> Answer<T> {
        let world = self.world();
        world.note(|readings| readings.requests += 1);
        let route = self.route();
        let reply = Reply::default();
        let connection = self.state().restarts;
        if route.is_request_lost {
            world.count(Seen::RequestLost);
        } else {
            let (server, reply) = (self.clone(), reply.clone());
            world.after(route.there, move || {
                server.arrive(node, connection, route.back, route.is_answer_lost, reply, effect);
            });
        }
        match route.failure {
            Some(failure) => {
                let reply = reply.clone();
                world.after(failure, move || reply.give(unavailable("the connection failed")));
            }
            None => self.will_be_told(&reply),
        }
        reply.wait().await
    }

    /// A request has come to the store.
    fn arrive<T: Send + 'static>(
        &self,
        node: usize,
        connection: u64,
        back: Duration,
        is_lost: bool,
        reply: Reply<T>,
        effect: impl FnOnce() -> Answer<T>,
    ) {
        let world = self.world();
        let now = world.now();
        let (link, is_down) = {
            let state = self.state();
            (state.links[node], now < state.down || state.restarts != connection)
        };
        if link.there > now {
            world.count(Seen::RequestLost);
            return;
        }
        let answer = if is_down { unavailable("it is not running") } else { effect() };
        if reply.is_given() && answer.is_ok() {
            world.count(Seen::AppliedAfterError);
        }
        if is_lost || link.back > now {
            world.count(Seen::AnswerLost);
            return;
        }
        let server = self.clone();
        world.after(back, move || {
            let is_broken = server.state().restarts != connection;
            let answer = if is_broken { unavailable("it was restarted") } else { answer };
            reply.give(answer);
        });
    }

    /// In the end, when the network works again and tells that the connection is gone.
    fn will_be_told<T: Send + 'static>(&self, reply: &Reply<T>) {
        let reply = reply.clone();
        self.state().lost.push(Box::new(move || reply.give(unavailable("the connection is gone"))));
    }

    fn route(&self) -> Route {
        let Network { delay, delay_in_the_end, slow, loss, early_failure, .. } = self.0.network;
        let is_settling = self.world().is_settling();
        let delay = if is_settling { delay.min(delay_in_the_end) } else { delay };
        self.world().draw(|rng| {
            let mut time = || {
                let most = if !is_settling && rng.random_bool(slow) { 1.5 } else { 0.0 };
                delay.mul_f64(magnitude(rng, -2.0, most + 0.01))
            };
            let (there, back) = (time(), time());
            let is_request_lost = !is_settling && rng.random_bool(loss / 2.0);
            let is_answer_lost = !is_settling && rng.random_bool(loss / 2.0);
            let is_failing = !is_settling && rng.random_bool(early_failure);
            let fails = is_failing || rng.random_bool(0.5);
            let failure = fails.then(|| {
                let most = if is_failing { there } else { delay * 40 };
                spread(rng, most).max(Duration::from_nanos(1))
            });
            // One that works does not fail.
            let failure = failure.filter(|_| is_failing || is_request_lost || is_answer_lost);
            Route { there, back, is_request_lost, is_answer_lost, failure }
        })
    }
}

fn unavailable<T>(context: &'static str) -> Answer<T> {
    Err(StoreError::new(StoreErrorKind::Unavailable, context))
}

/// Where the first answer goes, and who waits for it.
struct Reply<T>(Arc<Mutex<Waiting<T>>>);

struct Waiting<T> {
    answer: Option<Answer<T>>,
    is_given: bool,
    waker: Option<Waker>,
}

impl<T> Reply<T> {
    fn waiting(&self) -> MutexGuard<'_, Waiting<T>> {
        self.0.lock().expect("no panic while it is held")
    }

    fn give(&self, answer: Answer<T>) {
        let mut waiting = self.waiting();
        if !waiting.is_given {
            waiting.is_given = true;
            waiting.answer = Some(answer);
            if let Some(waker) = waiting.waker.take() {
                waker.wake();
            }
        }
    }

    fn is_given(&self) -> bool {
        self.waiting().is_given
    }

    async fn wait(&self) -> Answer<T> {
        poll_fn(|context| {
            let mut waiting = self.waiting();
            if let Some(answer) = waiting.answer.take() {
                return Poll::Ready(answer);
            }
            waiting.waker = Some(context.waker().clone());
            Poll::Pending
        })
        .await
    }
}

impl<T> Default for Reply<T> {
    fn default() -> Self {
        let waiting = Waiting { answer: None, is_given: false, waker: None };
        Self(Arc::new(Mutex::new(waiting)))
    }
}

impl<T> Clone for Reply<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").finish_non_exhaustive()
    }
}
