//! The inside of [`crate::Sim`]: tasks, timers, clock, randomness. One lock, never held while foreign code runs (a waker
//! or a dropped future may come back here).

use std::{
    collections::BTreeMap,
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context as Poller, Poll, Wake, Waker},
    time::Duration,
};

use futures_util::future::BoxFuture;
use tendon_kernel::{
    context::{Clock, Entropy, Spawn},
    time::Timestamp,
};

use crate::{lock, rng::Rng};

/// The wall clock at the start: 2026-05-17T10:00:00Z in microseconds.
const WALL_BASE: i64 = 1_779_012_000_000_000;
/// What one poll costs.
const POLL_COST: Duration = Duration::from_micros(1);

/// A task that is not being polled.
pub(crate) struct Task {
    pub(crate) name: &'static str,
    pub(crate) future: BoxFuture<'static, ()>,
    wake: Arc<TaskWake>,
}

impl Task {
    /// Its waker; clears the mark that it is queued, so that a wake-up during the poll counts.
    pub(crate) fn waker(&self) -> Waker {
        self.wake.queued.store(false, Ordering::Relaxed);
        Waker::from(Arc::clone(&self.wake))
    }
}

struct TaskWake {
    id: u64,
    queued: AtomicBool,
    ready: Arc<Mutex<Vec<u64>>>,
}

impl Wake for TaskWake {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.queued.swap(true, Ordering::Relaxed) {
            lock(&self.ready).push(self.id);
        }
    }
}

/// One poll: which task, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// The task's name.
    pub task: &'static str,
    /// Its number in this world.
    pub id: u64,
    /// Virtual time.
    pub at: Duration,
}

struct State {
    schedule: Rng,
    entropy: Rng,
    now: Duration,
    wall_offset: i64,
    next_id: u64,
    tasks: BTreeMap<u64, Task>,
    timers: BTreeMap<(Duration, u64), Waker>,
    trace: u64,
    polls: u64,
    /// Every poll, once somebody asked for them.
    steps: Option<Vec<Step>>,
    /// Tasks are being dropped: nothing new may start.
    dying: bool,
}

/// See the module's head.
pub(crate) struct World {
    pub(crate) seed: u64,
    state: Mutex<State>,
    ready: Arc<Mutex<Vec<u64>>>,
    cut: AtomicBool,
    me: std::sync::Weak<World>,
}

/// What the scheduler found.
pub(crate) enum Picked {
    /// A task to poll.
    Task(u64, Task),
    /// A wake-up of a task that has finished meanwhile.
    Gone,
    /// No task is ready and no timer is due before the limit (the clock stands at the limit now).
    Nothing,
}

impl World {
    pub(crate) fn new(seed: u64) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            seed,
            state: Mutex::new(State {
                schedule: Rng::stream(seed, "schedule"),
                entropy: Rng::stream(seed, "entropy"),
                now: Duration::ZERO,
                wall_offset: 0,
                next_id: 0,
                tasks: BTreeMap::new(),
                timers: BTreeMap::new(),
                trace: 0xcbf2_9ce4_8422_2325,
                polls: 0,
                steps: None,
                dying: false,
            }),
            ready: Arc::default(),
            cut: AtomicBool::new(false),
            me: me.clone(),
        })
    }

    pub(crate) fn start(&self, name: &'static str, future: BoxFuture<'static, ()>) {
        let mut state = lock(&self.state);
        if state.dying {
            drop(state);
            drop(future);
            return;
        }
        let id = state.next_id;
        state.next_id += 1;
        let wake = Arc::new(TaskWake { id, queued: AtomicBool::new(true), ready: Arc::clone(&self.ready) });
        state.tasks.insert(id, Task { name, future, wake });
        lock(&self.ready).push(id);
    }

    /// Chooses the next task by the seed; moves time when none is ready.
    pub(crate) fn pick(&self, limit: Option<Duration>) -> Picked {
        loop {
            let due = self.take_due();
            if !due.is_empty() {
                due.into_iter().for_each(Waker::wake);
            }
            let mut state = lock(&self.state);
            if limit.is_some_and(|limit| state.now >= limit) {
                return Picked::Nothing;
            }
            let mut ready = lock(&self.ready);
            if !ready.is_empty() {
                // Who woke first is not asked: `tokio::sync::watch` wakes its receivers in an order that it draws anew each time.
                ready.sort_unstable();
                let at = state.schedule.index(ready.len());
                let id = ready.remove(at);
                drop(ready);
                let Some(task) = state.tasks.remove(&id) else { return Picked::Gone };
                state.now += POLL_COST;
                state.polls += 1;
                let now = u64::try_from(state.now.as_nanos()).unwrap_or(u64::MAX);
                state.note(id ^ now.rotate_left(20));
                let step = Step { task: task.name, id, at: state.now };
                if let Some(steps) = &mut state.steps {
                    steps.push(step);
                }
                return Picked::Task(id, task);
            }
            drop(ready);
            match (state.timers.keys().next().map(|key| key.0), limit) {
                (Some(at), Some(limit)) if at > limit => {
                    state.now = limit;
                    return Picked::Nothing;
                }
                (Some(at), _) => state.now = state.now.max(at),
                (None, limit) => {
                    state.now = limit.unwrap_or(state.now);
                    return Picked::Nothing;
                }
            }
        }
    }

    fn take_due(&self) -> Vec<Waker> {
        let mut state = lock(&self.state);
        let now = state.now;
        let mut due = Vec::new();
        while let Some(entry) = state.timers.first_entry() {
            if entry.key().0 > now {
                break;
            }
            due.push(entry.remove());
        }
        due
    }

    pub(crate) fn put_back(&self, id: u64, task: Task) {
        lock(&self.state).tasks.insert(id, task);
    }

    pub(crate) fn time(&self) -> Duration {
        lock(&self.state).now
    }

    pub(crate) fn jump_wall(&self, micros: i64) {
        let mut state = lock(&self.state);
        state.wall_offset = state.wall_offset.saturating_add(micros);
    }

    pub(crate) fn trace(&self) -> u64 {
        lock(&self.state).trace
    }

    /// Folds something that must be equal in a replay into the trace.
    pub(crate) fn note(&self, what: u64) {
        lock(&self.state).note(what);
    }

    pub(crate) fn keep_steps(&self) {
        lock(&self.state).steps.get_or_insert_default();
    }

    pub(crate) fn steps(&self) -> Vec<Step> {
        lock(&self.state).steps.clone().unwrap_or_default()
    }

    pub(crate) fn polls(&self) -> u64 {
        lock(&self.state).polls
    }

    pub(crate) fn waiting(&self) -> Vec<&'static str> {
        let mut names: Vec<_> = lock(&self.state).tasks.values().map(|task| task.name).collect();
        names.sort_unstable();
        names
    }

    /// The power goes after the current poll.
    pub(crate) fn cut_power(&self) {
        self.cut.store(true, Ordering::Relaxed);
    }

    pub(crate) fn power_is_cut(&self) -> bool {
        self.cut.load(Ordering::Relaxed)
    }

    /// Drops all tasks, also those that dropping tasks tries to start, and all timers.
    pub(crate) fn drop_tasks(&self) {
        loop {
            let mut state = lock(&self.state);
            state.dying = true;
            let gone = (std::mem::take(&mut state.tasks), std::mem::take(&mut state.timers));
            drop(state);
            lock(&self.ready).clear();
            if gone.0.is_empty() && gone.1.is_empty() {
                return;
            }
        }
    }

    pub(crate) fn revive(&self) {
        lock(&self.state).dying = false;
        self.cut.store(false, Ordering::Relaxed);
    }
}

impl State {
    fn note(&mut self, what: u64) {
        self.trace = (self.trace ^ what).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(23);
    }
}

impl Clock for World {
    fn now(&self) -> Timestamp {
        let state = lock(&self.state);
        Timestamp(WALL_BASE.saturating_add(state.wall_offset)).plus(state.now)
    }

    fn monotonic(&self) -> Duration {
        self.time()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        let Some(world) = self.me.upgrade() else { return Box::pin(std::future::pending()) };
        let until = self.time().saturating_add(duration);
        Box::pin(Sleep { world, until, timer: None })
    }
}

impl Entropy for World {
    fn fill(&self, buffer: &mut [u8]) {
        lock(&self.state).entropy.fill(buffer);
    }
}

impl Spawn for World {
    fn spawn(&self, name: &'static str, task: BoxFuture<'static, ()>) {
        self.start(name, task);
    }
}

/// Waits for a moment. Always gives way once, also when the moment has come.
struct Sleep {
    world: Arc<World>,
    until: Duration,
    timer: Option<(Duration, u64)>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, poller: &mut Poller<'_>) -> Poll<()> {
        let world = Arc::clone(&self.world);
        let mut state = lock(&world.state);
        if let Some(timer) = self.timer {
            if state.now >= self.until {
                return Poll::Ready(());
            }
            let old = state.timers.insert(timer, poller.waker().clone());
            drop(state);
            drop(old);
        } else {
            let timer = (self.until, state.next_id);
            state.next_id += 1;
            state.timers.insert(timer, poller.waker().clone());
            self.timer = Some(timer);
        }
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(timer) = self.timer {
            let gone = lock(&self.world.state).timers.remove(&timer);
            drop(gone);
        }
    }
}
