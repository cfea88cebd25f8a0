//! The circuit breaker of a system. It looks at the last calls: when too many of them failed or were slow, the system is
//! left alone for a while, then a few probes are let through. All of them well: it closes; one not: it opens for longer.
//! Waiting carries jitter, so that many waiters do not come back in step.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tendon_kernel::{
    Error, ErrorKind, Result,
    context::Context,
    metrics::{Counter, Gauge},
};

/// When a system is left alone, and how it is tried again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BreakerLimits {
    /// How many of the last calls are looked at.
    pub window: usize,
    /// Fewer calls than this open nothing; as many bad ones in a row always do.
    pub calls: usize,
    /// Share of bad calls (failed or slow) among them that opens, 0 to 1.
    pub share: f64,
    /// A call that takes longer counts as bad although it answers.
    pub slow: Duration,
    /// Calls let through after a wait; all must go well.
    pub probes: usize,
    /// First wait; it doubles with each failed probe.
    pub wait: Duration,
    /// Longest wait.
    pub longest: Duration,
}

impl Default for BreakerLimits {
    fn default() -> Self {
        Self {
            window: 20,
            calls: 5,
            share: 0.5,
            slow: Duration::from_secs(5),
            probes: 2,
            wait: Duration::from_millis(500),
            longest: Duration::from_secs(30),
        }
    }
}

/// Where a breaker stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BreakerState {
    /// Calls go through.
    Closed,
    /// Calls are refused at once.
    Open,
    /// A few probes are let through.
    HalfOpen,
}

impl BreakerState {
    const ALL: [Self; 3] = [Self::Closed, Self::HalfOpen, Self::Open];

    fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }

    /// As its gauge shows it: 0 closed, 1 half open, 2 open.
    fn number(self) -> f64 {
        match self {
            Self::Closed => 0.0,
            Self::HalfOpen => 1.0,
            Self::Open => 2.0,
        }
    }
}

enum Phase {
    /// The last calls, oldest first: whether each was bad.
    Closed(VecDeque<bool>),
    Open {
        until: Duration,
    },
    HalfOpen {
        under_way: usize,
        well: usize,
    },
}

struct State {
    phase: Phase,
    /// Moves with each change of phase: a call that began before one says nothing about what came after.
    generation: u64,
    /// Openings in a row.
    opened: u32,
    /// What went wrong last.
    last_failure: Option<String>,
    /// Whether the last call went well.
    well: bool,
    /// Begin of the oldest call that was given up since the system last answered.
    silent_since: Option<Duration>,
    /// Whether the gauge shows this breaker: several may be known by the system's name, one of them is in use.
    shown: bool,
}

struct Meters {
    state: Gauge,
    changes: [Counter; 3],
}

pub(super) struct Breaker {
    context: Context,
    limits: BreakerLimits,
    meters: Meters,
    state: Mutex<State>,
}

/// Leave to call once; must be told how it went. Dropped without a word (the caller gave up), it frees the probe; once the
/// system has answered nobody for as long as a slow call takes, it counts as bad. So a system that hangs is found out also by
/// callers who all give up early, and a caller in a hurry says nothing against one that answers others.
pub(super) struct Pass<'a> {
    breaker: &'a Breaker,
    generation: u64,
    began: Duration,
    told: bool,
}

impl Breaker {
    pub(super) fn new(system: &str, limits: BreakerLimits, context: Context) -> Self {
        let labels = [("system", system)];
        let help = "Circuit breaker of a system: 0 closed, 1 half open, 2 open.";
        let state = context.metrics.gauge("tendon_system_breaker_state", help, &labels);
        let changes = BreakerState::ALL.map(|to| {
            let labels = [("system", system), ("to", to.name())];
            let help = "Times that a system's circuit breaker changed its state.";
            context.metrics.counter("tendon_system_breaker_transitions_total", help, &labels)
        });
        let closed = State {
            phase: Phase::Closed(VecDeque::new()),
            generation: 0,
            opened: 0,
            last_failure: None,
            well: true,
            silent_since: None,
            shown: false,
        };
        Self { context, limits, meters: Meters { state, changes }, state: Mutex::new(closed) }
    }

    /// From here on the gauge shows this breaker.
    pub(super) fn show(&self) {
        let mut state = self.lock();
        state.shown = true;
        self.meters.state.set(word(&state.phase).number());
    }

    /// From here on the gauge shows another one, or that there is none.
    pub(super) fn hide(&self) {
        let mut state = self.lock();
        if std::mem::take(&mut state.shown) {
            self.meters.state.set(BreakerState::Closed.number());
        }
    }

    /// Says no where a call would be refused now; takes no probe.
    pub(super) fn look(&self, system: &str) -> Result<()> {
        let now = self.context.clock.monotonic();
        let state = self.lock();
        let free = match &state.phase {
            Phase::Closed(_) => true,
            Phase::Open { until } => now >= *until,
            Phase::HalfOpen { under_way, well } => under_way + well < self.limits.probes.max(1),
        };
        if free { Ok(()) } else { Err(open(system, &state)) }
    }

    /// Lets a call through, or refuses it.
    pub(super) fn admit(&self, system: &str) -> Result<Pass<'_>> {
        let now = self.context.clock.monotonic();
        let mut state = self.lock();
        if let Phase::Open { until } = &state.phase
            && now >= *until
        {
            self.enter(&mut state, Phase::HalfOpen { under_way: 0, well: 0 });
        }
        match &mut state.phase {
            Phase::Closed(_) => {}
            Phase::HalfOpen { under_way, well } if *under_way + *well < self.limits.probes.max(1) => *under_way += 1,
            Phase::Open { .. } | Phase::HalfOpen { .. } => return Err(open(system, &state)),
        }
        Ok(Pass { breaker: self, generation: state.generation, began: now, told: false })
    }

    pub(super) fn state(&self) -> (BreakerState, Option<String>) {
        let state = self.lock();
        let word = word(&state.phase);
        // A failure stays to be read until the system is well again: probes alone do not say that.
        let told = word != BreakerState::Closed || !state.well;
        (word, state.last_failure.clone().filter(|_| told))
    }

    pub(super) fn retry_in(&self) -> Duration {
        let now = self.context.clock.monotonic();
        match self.lock().phase {
            Phase::Open { until } => until.saturating_sub(now),
            Phase::Closed(_) | Phase::HalfOpen { .. } => Duration::ZERO,
        }
    }

    /// A call was given up before it ended.
    fn given_up(&self, generation: u64, began: Duration) {
        let mut state = self.lock();
        let since = state.silent_since.map_or(began, |since| since.min(began));
        state.silent_since = Some(since);
        let silent = self.context.clock.monotonic().saturating_sub(since);
        if silent >= self.limits.slow {
            drop(state);
            return self.settle(generation, Some(format!("it has answered nobody for {silent:?}")));
        }
        if state.generation == generation
            && let Phase::HalfOpen { under_way, .. } = &mut state.phase
        {
            *under_way = under_way.saturating_sub(1);
        }
    }

    /// `bad`: what was wrong with the call.
    fn settle(&self, generation: u64, bad: Option<String>) {
        let now = self.context.clock.monotonic();
        let mut state = self.lock();
        if state.generation != generation {
            return;
        }
        let well = bad.is_none();
        state.well = well;
        if !well {
            state.last_failure = bad;
        }
        let limits = &self.limits;
        let next = match &mut state.phase {
            Phase::Closed(calls) => {
                calls.push_back(!well);
                while calls.len() > limits.window.max(limits.calls).max(1) {
                    calls.pop_front();
                }
                trips(calls, limits).then_some(false)
            }
            Phase::HalfOpen { under_way, well: good } => {
                *under_way = under_way.saturating_sub(1);
                *good += usize::from(well);
                if well { (*good >= limits.probes.max(1)).then_some(true) } else { Some(false) }
            }
            Phase::Open { .. } => None,
        };
        match next {
            Some(true) => {
                state.opened = 0;
                self.enter(&mut state, Phase::Closed(VecDeque::new()));
            }
            Some(false) => {
                let wait = backoff(state.opened, limits.wait, limits.longest, &self.context);
                state.opened = state.opened.saturating_add(1);
                self.enter(&mut state, Phase::Open { until: now.saturating_add(wait) });
            }
            None => {}
        }
    }

    fn enter(&self, state: &mut State, phase: Phase) {
        let to = word(&phase);
        state.phase = phase;
        state.generation += 1;
        if state.shown {
            self.meters.state.set(to.number());
        }
        for (counter, _) in self.meters.changes.iter().zip(BreakerState::ALL).filter(|(_, known)| *known == to) {
            counter.increment();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the last calls are bad enough.
fn trips(calls: &VecDeque<bool>, limits: &BreakerLimits) -> bool {
    let least = limits.calls.max(1);
    if calls.len() < least {
        return false;
    }
    let bad = calls.iter().filter(|bad| **bad).count();
    #[expect(clippy::cast_precision_loss, reason = "a window is far shorter than 2^53")]
    let share = bad as f64 / calls.len() as f64;
    bad > 0 && (share >= limits.share || calls.iter().rev().take(least).all(|bad| *bad))
}

fn word(phase: &Phase) -> BreakerState {
    match phase {
        Phase::Closed(_) => BreakerState::Closed,
        Phase::Open { .. } => BreakerState::Open,
        Phase::HalfOpen { .. } => BreakerState::HalfOpen,
    }
}

fn open(system: &str, state: &State) -> Error {
    Error::new(ErrorKind::Unavailable, "circuit_open", "the system failed repeatedly and is left alone for a while")
        .with("system", system)
        .with("last_failure", state.last_failure.as_deref().unwrap_or("unknown"))
}

impl Pass<'_> {
    /// The call ended after this time, with this failure if any.
    pub(super) fn done(mut self, took: Duration, failure: Option<&Error>) {
        self.told = true;
        if failure.is_none_or(|error| error.kind() != ErrorKind::Timeout) {
            self.breaker.lock().silent_since = None;
        }
        // An error that a retry cannot mend is the request's fault, not the system's: it answered.
        let bad = match failure.filter(|error| error.retryable()) {
            Some(error) => Some(error.to_string()),
            None if took > self.breaker.limits.slow => Some(format!("it took {took:?} to answer")),
            None => None,
        };
        self.breaker.settle(self.generation, bad);
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if !self.told {
            self.breaker.given_up(self.generation, self.began);
        }
    }
}

/// Exponential backoff with full jitter over its upper half: attempt 0 waits between half of `first` and `first`.
pub fn backoff(attempt: u32, first: Duration, longest: Duration, context: &Context) -> Duration {
    let whole = first.saturating_mul(2u32.saturating_pow(attempt.min(20))).min(longest);
    let mut random = [0; 2];
    context.entropy.fill(&mut random);
    let share = f64::from(u16::from_le_bytes(random)) / f64::from(u16::MAX);
    whole.mul_f64(0.5 + 0.5 * share)
}
