//! How things do, in words: those of the page and, in small letters, of the terminal.

use tendon_engine::systems::BreakerState;

use super::{Doing, Health};
use crate::figure::{limit, percent};

/// How good that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// As it should be.
    Good,
    /// To be looked at.
    Warn,
    /// Wrong.
    Bad,
    /// Neither.
    Calm,
}

impl Health {
    /// In a word.
    pub fn told(self) -> (Tone, &'static str) {
        match self {
            Self::Healthy => (Tone::Good, "Healthy"),
            Self::Degraded => (Tone::Warn, "Degraded"),
            Self::Stopping => (Tone::Warn, "Stopping"),
            Self::NotReady => (Tone::Bad, "Not ready"),
        }
    }
}

impl Doing {
    /// In a word.
    pub fn told(self) -> (Tone, &'static str) {
        match self {
            Self::NoModel => (Tone::Bad, "No model"),
            Self::Failing => (Tone::Bad, "Failing"),
            Self::WatchHeldUp => (Tone::Warn, "Watch held up"),
            Self::Fallback => (Tone::Warn, "Fallback"),
            Self::BudgetSpent => (Tone::Warn, "Budget spent"),
            Self::Deciding => (Tone::Good, "Deciding"),
            Self::Idle => (Tone::Calm, "Idle"),
        }
    }
}

/// How a system does, by its breaker and whether its last calls failed.
pub fn system(breaker: BreakerState, failing: bool) -> (Tone, &'static str) {
    match breaker {
        BreakerState::Open => (Tone::Bad, "Left alone"),
        BreakerState::HalfOpen => (Tone::Warn, "Tried again"),
        BreakerState::Closed if failing => (Tone::Warn, "Failing"),
        BreakerState::Closed => (Tone::Good, "Answers"),
    }
}

/// What an objective wants: its name, the share, and for `fast` the time in seconds.
pub fn objective(name: &str, target: f64, within: Option<f64>) -> String {
    let target = percent(target * 100.0);
    match (name, within) {
        (_, Some(within)) => format!("{target} within {}", limit(within)),
        ("by_model", _) => format!("{target} by the model"),
        _ => format!("{target} answered"),
    }
}
