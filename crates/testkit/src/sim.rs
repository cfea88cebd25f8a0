//! The deterministic world: one thread, a virtual clock, a scheduler that picks the next ready task by the seed, and a disk
//! that can lose its power. The same seed replays the same run, step by step; another seed is another interleaving. In which order
//! tasks were woken plays no part, only which ones are ready.
//!
//! Time jumps to the next timer when no task is ready, and moves by a microsecond with every poll, so that code that
//! never waits still meets its deadlines. Wake-ups from other threads are outside of the seed's control: code under
//! simulation takes tasks, time, files and randomness from the [`Context`] only.

use std::{
    future::Future,
    io::Write as _,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context as Poller, Poll},
    time::Duration,
};

use tendon_kernel::{context::Context, metrics::Registry, time::Timestamp, trace::Traces};

use crate::{
    disk::MemDisk,
    lock,
    store::{MemStore, Promise},
    world::{Picked, Step, World},
};

/// More polls than a run needs: who exceeds them waits for what never comes while others tick, or spins.
const PATIENCE: u64 = 20_000_000;

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome<T> {
    /// The root future finished.
    Done(T),
    /// The power was cut first (`MemDisk::crash_at_op`). The tasks are gone, the disk holds what survived; the same world
    /// can run a fresh root.
    Crashed,
}

impl<T> Outcome<T> {
    /// The root's result.
    ///
    /// # Panics
    /// When the power was cut before.
    #[track_caller]
    pub fn done(self) -> T {
        match self {
            Self::Done(value) => value,
            Self::Crashed => panic!("the power was cut before the run finished"),
        }
    }

    /// Whether the power was cut.
    pub fn crashed(&self) -> bool {
        matches!(self, Self::Crashed)
    }
}

/// Runs a test for seeds 0 to `count`; `TENDON_SEEDS` (a factor) runs more, `TENDON_SEED` only the one to look at again.
///
/// # Panics
/// When the test panics; the seed was told before on standard error.
pub fn sweep(count: u64, test: impl Fn(u64)) {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seeds = match number("TENDON_SEED") {
        Some(seed) => seed..seed.saturating_add(1),
        None => 0..count.saturating_mul(number("TENDON_SEEDS").unwrap_or(1)),
    };
    for seed in seeds {
        let told = TellSeed { seed, task: "test" };
        test(seed);
        drop(told);
    }
}

/// A world of its own. See the module's head.
pub struct Sim {
    world: Arc<World>,
    disk: Arc<MemDisk>,
    stores: Mutex<Vec<Arc<MemStore>>>,
    metrics: Arc<Registry>,
    patience: AtomicU64,
}

/// Tells the seed when a run panics: the one thing needed to see it again.
struct TellSeed {
    seed: u64,
    task: &'static str,
}

impl Drop for TellSeed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let told = writeln!(std::io::stderr(), "simulation: seed {} failed in task `{}`", self.seed, self.task);
            drop(told);
        }
    }
}

impl Sim {
    /// A world for a seed, with an empty disk.
    pub fn new(seed: u64) -> Self {
        let world = World::new(seed);
        let disk = Arc::new(MemDisk::new(Arc::clone(&world)));
        Self { world, disk, stores: Mutex::default(), metrics: Arc::default(), patience: AtomicU64::new(PATIENCE) }
    }

    /// The seed.
    pub fn seed(&self) -> u64 {
        self.world.seed
    }

    /// Sets how many polls one run may take (20 million, when not set) before it panics with the names of its tasks.
    pub fn patience(&self, polls: u64) {
        self.patience.store(polls, Ordering::Relaxed);
    }

    /// What code under test gets.
    pub fn context(&self) -> Context {
        Context {
            clock: Arc::clone(&self.world) as _,
            entropy: Arc::clone(&self.world) as _,
            disk: Arc::clone(&self.disk) as _,
            spawn: Arc::clone(&self.world) as _,
            metrics: Arc::clone(&self.metrics),
            traces: Traces::off(),
        }
    }

    /// The disk of the context, with its faults.
    pub fn disk(&self) -> Arc<MemDisk> {
        Arc::clone(&self.disk)
    }

    /// A new store that a crash of this world hits.
    pub fn store(&self, promise: Promise) -> Arc<MemStore> {
        let mut stores = lock(&self.stores);
        let name = format!("store {}", stores.len());
        let store = Arc::new(MemStore::new(self.context().clock, self.seed(), &name, promise));
        stores.push(Arc::clone(&store));
        store
    }

    /// Starts a task beside the root.
    pub fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.world.start(name, Box::pin(task));
    }

    /// Runs until the future finishes. Tasks it started stay and go on with the next run.
    ///
    /// # Panics
    /// When nothing is ready and no timer is set although the future waits (names the tasks that hang), and when a task
    /// panics. Both tell the seed.
    #[track_caller]
    pub fn run<F>(&self, root: F) -> Outcome<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let result = Arc::new(Mutex::new(None));
        let finished = Arc::new(AtomicBool::new(false));
        let (slot, flag) = (Arc::clone(&result), Arc::clone(&finished));
        self.spawn("root", async move {
            let value = root.await;
            *lock(&slot) = Some(value);
            flag.store(true, Ordering::Relaxed);
        });
        let last = self.world.polls().saturating_add(self.patience.load(Ordering::Relaxed));
        while !finished.load(Ordering::Relaxed) {
            assert!(
                self.world.polls() < last,
                "simulation: seed {}: the run does not end; these tasks are alive: {}",
                self.seed(),
                self.world.waiting().join(", ")
            );
            match self.step(None) {
                Stepped::Went => {}
                Stepped::Crashed => return Outcome::Crashed,
                Stepped::Still => panic!(
                    "simulation: seed {}: nothing is ready and no timer is set, but these tasks wait: {}",
                    self.seed(),
                    self.world.waiting().join(", ")
                ),
            }
        }
        let value = lock(&result).take();
        value.map_or(Outcome::Crashed, Outcome::Done)
    }

    /// Runs all tasks until the virtual clock (monotonic) shows `at`. Returns false when the power was cut before.
    pub fn run_until(&self, at: Duration) -> bool {
        loop {
            match self.step(Some(at)) {
                Stepped::Went => {}
                Stepped::Crashed => return false,
                Stepped::Still => return true,
            }
        }
    }

    /// Runs all tasks for a virtual duration. Returns false when the power was cut before.
    pub fn run_for(&self, duration: Duration) -> bool {
        self.run_until(self.world.time().saturating_add(duration))
    }

    /// Cuts the power: all tasks are dropped where they stand, the disk and the stores lose by the seed what they may lose.
    /// Open files answer errors from now on. Time goes on; a fresh root can be run.
    pub fn crash(&self) {
        self.disk.power_off();
        self.world.drop_tasks();
        self.disk.restart();
        for store in lock(&self.stores).iter() {
            store.crash();
        }
        self.world.revive();
    }

    /// Virtual time since the world began.
    pub fn now(&self) -> Duration {
        self.world.time()
    }

    /// Moves the wall clock by that many microseconds, forward or back; the monotonic clock does not notice.
    pub fn jump_wall(&self, micros: i64) {
        self.world.jump_wall(micros);
    }

    /// Sets the wall clock.
    pub fn set_wall(&self, now: Timestamp) {
        let shown = self.context().clock.now();
        self.world.jump_wall(now.0.saturating_sub(shown.0));
    }

    /// Hash over every scheduling choice and every disk operation so far: equal for equal runs.
    pub fn trace_hash(&self) -> u64 {
        self.world.trace()
    }

    /// Keeps every poll from now on: where two runs of one seed part, their steps say which task it was.
    pub fn keep_steps(&self) {
        self.world.keep_steps();
    }

    /// The polls since [`Sim::keep_steps`].
    pub fn steps(&self) -> Vec<Step> {
        self.world.steps()
    }

    /// Names of the tasks that have not finished, sorted.
    pub fn tasks(&self) -> Vec<&'static str> {
        self.world.waiting()
    }

    /// Polls one task, moving time forward to the next timer (at most to `limit`) when none is ready.
    #[track_caller]
    fn step(&self, limit: Option<Duration>) -> Stepped {
        let (id, mut task) = match self.world.pick(limit) {
            Picked::Task(id, task) => (id, task),
            Picked::Nothing => return Stepped::Still,
            Picked::Gone => return Stepped::Went,
        };
        let told = TellSeed { seed: self.seed(), task: task.name };
        let waker = task.waker();
        let poll = task.future.as_mut().poll(&mut Poller::from_waker(&waker));
        drop(told);
        if poll == Poll::Pending {
            self.world.put_back(id, task);
        }
        if self.world.power_is_cut() {
            self.crash();
            return Stepped::Crashed;
        }
        Stepped::Went
    }
}

/// What a step did.
enum Stepped {
    Went,
    Crashed,
    Still,
}

impl Drop for Sim {
    /// Tasks hold the world and the world holds the tasks: without this, every seed's memory would stay.
    fn drop(&mut self) {
        self.disk.power_off();
        self.world.drop_tasks();
    }
}
