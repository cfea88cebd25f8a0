//! The circuit breaker of a system: after some failures in a row it stays away for a while, then lets one probe through.
//! Waiting grows with each failed probe and carries jitter, so that many waiters do not come back in step.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tendon_kernel::{Error, ErrorKind, Result, context::Context};

/// Failures in a row that open it.
const OPENS_AFTER: u32 = 5;
/// First and longest time it stays open.
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Where a breaker stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BreakerState {
    /// Calls go through.
    Closed,
    /// Calls are refused at once.
    Open,
    /// One probe is under way.
    HalfOpen,
}

struct State {
    failures: u32,
    opened: u32,
    open_until: Option<Duration>,
    probing: bool,
    last_failure: Option<String>,
}

pub(super) struct Breaker {
    context: Context,
    state: Mutex<State>,
}

/// Leave to call once; must be told how it went. Dropped without a word (the caller gave up), it frees the probe.
pub(super) struct Pass<'a> {
    breaker: &'a Breaker,
    told: bool,
}

impl Breaker {
    pub(super) fn new(context: Context) -> Self {
        let state = State { failures: 0, opened: 0, open_until: None, probing: false, last_failure: None };
        Self { context, state: Mutex::new(state) }
    }

    pub(super) fn admit(&self, system: &str) -> Result<Pass<'_>> {
        let now = self.context.clock.monotonic();
        let mut state = self.lock();
        match state.open_until {
            None => {}
            Some(until) if now >= until && !state.probing => state.probing = true,
            Some(_) => {
                return Err(Error::new(
                    ErrorKind::Unavailable,
                    "circuit_open",
                    "the system failed repeatedly and is left alone for a while",
                )
                .with("system", system)
                .with("last_failure", state.last_failure.as_deref().unwrap_or("unknown")));
            }
        }
        Ok(Pass { breaker: self, told: false })
    }

    pub(super) fn state(&self) -> (BreakerState, Option<String>) {
        let state = self.lock();
        let word = match (state.open_until, state.probing) {
            (None, _) => BreakerState::Closed,
            (Some(_), true) => BreakerState::HalfOpen,
            (Some(_), false) => BreakerState::Open,
        };
        (word, state.last_failure.clone())
    }

    pub(super) fn retry_in(&self) -> Duration {
        let now = self.context.clock.monotonic();
        self.lock().open_until.map_or(Duration::ZERO, |until| until.saturating_sub(now))
    }

    fn settle(&self, failure: Option<&Error>) {
        let now = self.context.clock.monotonic();
        let mut state = self.lock();
        state.probing = false;
        // An error that a retry cannot mend is the request's fault, not the system's: it answered.
        let Some(error) = failure.filter(|error| error.retryable()) else {
            *state = State { failures: 0, opened: 0, open_until: None, probing: false, last_failure: None };
            return;
        };
        state.failures += 1;
        state.last_failure = Some(error.to_string());
        if state.failures >= OPENS_AFTER || state.open_until.is_some() {
            let wait = backoff(state.opened, FIRST_WAIT, LONGEST_WAIT, &self.context);
            state.opened = state.opened.saturating_add(1);
            state.open_until = Some(now.saturating_add(wait));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pass<'_> {
    pub(super) fn done(mut self, failure: Option<&Error>) {
        self.told = true;
        self.breaker.settle(failure);
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if !self.told {
            self.breaker.lock().probing = false;
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
