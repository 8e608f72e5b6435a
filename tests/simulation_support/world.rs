use std::{
    cmp::Ordering,
    collections::BinaryHeap,
    fmt,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};

use super::coverage::{Coverage, Seen};
use crate::util::say;

/// Virtual time, and the tasks that share it. One of them goes on at a time, and a seed chooses
/// which.
///
/// A task stops where it waits, and also wherever it calls [`deschedule`](Self::deschedule), as a
/// thread may that the system takes the processor from: the others go on meanwhile.
#[derive(Clone)]
pub(crate) struct World(Arc<Inner>);

struct Inner {
    state: Mutex<State>,
    is_logged: bool,
}

struct State {
    /// Since the beginning.
    now: Duration,
    rng: ChaCha8Rng,
    tasks: Vec<Task>,
    alarms: BinaryHeap<Alarm>,
    alarms_set: u64,
    /// The task that goes on, and before it those that it interrupted.
    running: Vec<usize>,
    /// Until when each node stands still.
    halted: Vec<Duration>,
    interruptions: Interruptions,
    is_settling: bool,
    steps: u64,
    coverage: Coverage,
}

/// How often tasks are interrupted other than where they wait.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Interruptions {
    /// How likely, at each point.
    pub(crate) likelihood: f64,
    pub(crate) longest: Duration,
}

struct Task {
    node: usize,
    /// `None` while it goes on, and when it is done.
    future: Option<BoxedTask>,
    woken: Arc<Woken>,
    seen: Readings,
}

type BoxedTask = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What a task was told by its node's clocks, and whether it waited, since it was last asked.
#[derive(Debug, Clone, Default)]
pub(crate) struct Readings {
    /// The instant at which it last read the monotonic clock.
    pub(crate) monotonic: Option<Duration>,
    pub(crate) wall: Vec<Timestamp>,
    /// How many requests to the store it has begun.
    pub(crate) requests: u32,
    /// Whether it waits for the host's policy.
    pub(crate) asks_policy: bool,
    /// When that answered.
    pub(crate) policy_answered: Option<Duration>,
}

impl World {
    pub(crate) fn new(seed: u64, nodes: usize, is_logged: bool) -> Self {
        let state = State {
            now: Duration::from_secs(1),
            rng: ChaCha8Rng::seed_from_u64(seed),
            tasks: Vec::new(),
            alarms: BinaryHeap::new(),
            alarms_set: 0,
            running: Vec::new(),
            // The last one is nobody's, and never stands still.
            halted: vec![Duration::ZERO; nodes + 1],
            interruptions: Interruptions::default(),
            is_settling: false,
            steps: 0,
            coverage: Coverage::default(),
        };
        Self(Arc::new(Inner { state: Mutex::new(state), is_logged }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().expect("no panic while it is held")
    }

    pub(crate) fn now(&self) -> Duration {
        self.state().now
    }

    /// What a wall clock shows then: the same one on all nodes.
    pub(crate) fn wall(at: Duration) -> Timestamp {
        let begun = Timestamp::from_second(1_767_225_600).expect("a time");
        begun + SignedDuration::try_from(at).expect("a short time")
    }

    pub(crate) fn log(&self, line: impl FnOnce() -> String) {
        if self.0.is_logged {
            let (now, task) = {
                let state = self.state();
                (state.now, state.running.last().copied())
            };
            let task = task.map_or_else(String::new, |task| format!("task {task}: "));
            say(&format!("{now:>12.3?}  {task}{}", line()));
        }
    }

    pub(crate) fn count(&self, seen: Seen) {
        self.count_many(seen, 1);
    }

    pub(crate) fn count_many(&self, seen: Seen, times: u64) {
        self.state().coverage.count(seen, times);
    }

    pub(crate) fn coverage(&self) -> Coverage {
        self.state().coverage.clone()
    }

    /// Draws something at random.
    pub(crate) fn draw<T>(&self, draw: impl FnOnce(&mut ChaCha8Rng) -> T) -> T {
        draw(&mut self.state().rng)
    }

    pub(crate) fn spawn(&self, node: usize, task: impl Future<Output = ()> + Send + 'static) {
        let future: BoxedTask = Box::pin(task);
        self.state().tasks.push(Task {
            node,
            future: Some(future),
            woken: Arc::new(Woken(AtomicBool::new(true))),
            seen: Readings::default(),
        });
    }

    pub(crate) fn interrupt(&self, interruptions: Interruptions) {
        self.state().interruptions = interruptions;
    }

    /// No more faults from here on, and nothing that is begun anew.
    pub(crate) fn settle(&self) {
        let mut state = self.state();
        state.is_settling = true;
        state.interruptions = Interruptions::default();
        state.halted.fill(Duration::ZERO);
    }

    pub(crate) fn is_settling(&self) -> bool {
        self.state().is_settling
    }

    /// Lets a node stand still, with all its tasks: what is sent to it waits.
    pub(crate) fn halt(&self, node: usize, until: Duration) {
        let mut state = self.state();
        state.halted[node] = state.halted[node].max(until);
    }

    /// Forgets the tasks, and with them what they hold.
    pub(crate) fn clear(&self) {
        let (tasks, alarms) = {
            let mut state = self.state();
            (std::mem::take(&mut state.tasks), std::mem::take(&mut state.alarms))
        };
        drop((tasks, alarms));
    }

    /// What the present task was told since this was last called.
    pub(crate) fn take_readings(&self) -> Readings {
        self.state().present().map(|task| std::mem::take(&mut task.seen)).unwrap_or_default()
    }

    pub(crate) fn note(&self, note: impl FnOnce(&mut Readings)) {
        if let Some(task) = self.state().present() {
            note(&mut task.seen);
        }
    }

    /// Reads the time for the present task's monotonic clock.
    pub(crate) fn read_time(&self) -> Duration {
        self.deschedule();
        let now = {
            let mut state = self.state();
            // A reading takes some time, so that most are different.
            state.now += Duration::from_nanos(20);
            let now = state.now;
            if let Some(task) = state.present() {
                task.seen.monotonic = Some(now);
            }
            now
        };
        self.deschedule();
        now
    }

    /// A point at which the present task may stand still for a while, or its whole node, or all
    /// others as well, though none of them waits.
    pub(crate) fn deschedule(&self) {
        const DEEPEST: usize = 3;
        const MOST_STEPS: u32 = 60;
        let (until, steps) = {
            let mut guard = self.state();
            let state = &mut *guard;
            let Interruptions { likelihood, longest } = state.interruptions;
            if likelihood == 0.0
                || state.running.len() > DEEPEST
                || !state.rng.random_bool(likelihood)
            {
                return;
            }
            let Some(&running) = state.running.last() else { return };
            let until = state.now + spread(&mut state.rng, longest);
            state.coverage.count(Seen::Interruption, 1);
            match state.rng.random_range(0..4) {
                0 => {
                    state.now = until;
                    return;
                }
                1 => {
                    let node = state.tasks[running].node;
                    state.halted[node] = state.halted[node].max(until);
                    (until, MOST_STEPS)
                }
                2 => (until, MOST_STEPS),
                _ => (until, state.rng.random_range(1..8)),
            }
        };
        self.log(|| format!("interrupted, until {until:.3?} at most"));
        for _ in 0..steps {
            if self.now() >= until || !self.step(until) {
                break;
            }
        }
        self.log(|| "goes on".to_owned());
    }

    /// Has something happen after this time, whoever stands still then.
    pub(crate) fn after(&self, delay: Duration, event: impl FnOnce() + Send + 'static) {
        self.set(delay, Due::Event(Box::new(event)));
    }

    fn set(&self, delay: Duration, due: Due) {
        let mut state = self.state();
        state.alarms_set += 1;
        let alarm = Alarm { at: state.now + delay, number: state.alarms_set, due };
        state.alarms.push(alarm);
    }

    pub(crate) async fn sleep(&self, time: Duration) {
        let until = self.now() + time;
        let mut is_set = false;
        std::future::poll_fn(|context| {
            let now = self.now();
            if now >= until {
                return Poll::Ready(());
            }
            if !std::mem::replace(&mut is_set, true) {
                self.set(until.saturating_sub(now), Due::Wake(context.waker().clone()));
            }
            Poll::Pending
        })
        .await;
    }

    /// What comes of it; `None` if it takes longer than this and so is dropped.
    pub(crate) async fn within<T>(
        &self,
        patience: Duration,
        future: impl Future<Output = T>,
    ) -> Option<T> {
        let mut future = std::pin::pin!(future);
        let mut end = std::pin::pin!(self.sleep(patience));
        std::future::poll_fn(|context| {
            if let Poll::Ready(output) = future.as_mut().poll(context) {
                return Poll::Ready(Some(output));
            }
            end.as_mut().poll(context).map(|()| None)
        })
        .await
    }

    /// Goes on until this instant, or until there is nothing more to do, or `enough`.
    pub(crate) fn run_until(&self, end: Duration, mut enough: impl FnMut() -> bool) {
        while self.now() < end && !enough() && self.step(end) {}
    }

    pub(crate) fn steps(&self) -> u64 {
        self.state().steps
    }

    /// One alarm, or one task up to where it stops. `false` if nothing can happen before `end`,
    /// which it is then.
    fn step(&self, end: Duration) -> bool {
        let step = self.state().next(end);
        match step {
            Step::Nothing => return false,
            Step::Alarm(Due::Wake(waker)) => waker.wake(),
            Step::Alarm(Due::Event(event)) => event(),
            Step::Task(index, mut future, waker) => {
                let poll = future.as_mut().poll(&mut Context::from_waker(&waker));
                let mut state = self.state();
                state.running.pop();
                if poll.is_pending() {
                    state.tasks[index].future = Some(future);
                } else {
                    drop(state);
                    drop(future);
                }
            }
        }
        true
    }
}

enum Step {
    Nothing,
    Alarm(Due),
    Task(usize, BoxedTask, Waker),
}

impl State {
    fn present(&mut self) -> Option<&mut Task> {
        let running = *self.running.last()?;
        self.tasks.get_mut(running)
    }

    fn next(&mut self, end: Duration) -> Step {
        loop {
            if self.alarms.peek().is_some_and(|alarm| alarm.at <= self.now) {
                let alarm = self.alarms.pop().expect("it is there");
                return Step::Alarm(alarm.due);
            }
            let mut ready = 0;
            let mut chosen = None;
            let mut next = self.alarms.peek().map_or(end, |alarm| alarm.at.min(end));
            for (index, task) in self.tasks.iter().enumerate() {
                if task.future.is_none() || !task.woken.0.load(SeqCst) {
                    continue;
                }
                if self.halted[task.node] > self.now {
                    next = next.min(self.halted[task.node]);
                    continue;
                }
                // Each as likely as the others.
                ready += 1;
                if self.rng.random_range(0..ready) == 0 {
                    chosen = Some(index);
                }
            }
            let Some(index) = chosen else {
                self.now = self.now.max(next);
                if self.now >= end {
                    return Step::Nothing;
                }
                continue;
            };
            self.steps += 1;
            self.now += Duration::from_nanos(100);
            let task = &mut self.tasks[index];
            task.woken.0.store(false, SeqCst);
            let future = task.future.take().expect("it is there");
            let waker = Waker::from(Arc::clone(&task.woken));
            self.running.push(index);
            return Step::Task(index, future, waker);
        }
    }
}

/// Up to `longest`; each order of magnitude down to a thousandth is as likely as the others.
pub(crate) fn spread(rng: &mut ChaCha8Rng, longest: Duration) -> Duration {
    longest.mul_f64(magnitude(rng, -3.0, 0.0))
}

/// Ten to the power of something between.
pub(crate) fn magnitude(rng: &mut ChaCha8Rng, from: f64, to: f64) -> f64 {
    10_f64.powf(rng.random_range(from..to))
}

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, SeqCst);
    }
}

struct Alarm {
    at: Duration,
    number: u64,
    due: Due,
}

enum Due {
    Wake(Waker),
    Event(Box<dyn FnOnce() + Send>),
}

/// The earliest is the greatest.
impl Ord for Alarm {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}

impl PartialOrd for Alarm {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Alarm {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Alarm {}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World").finish_non_exhaustive()
    }
}
