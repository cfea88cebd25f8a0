//! What an integration is to reach, and over how long.

use std::time::Duration;

/// Objectives of an integration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectivesPlan {
    /// Each with its share.
    pub objectives: Vec<ObjectivePlan>,
    /// Over how long they are counted.
    pub window: Duration,
}

/// One objective.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ObjectivePlan {
    /// What is counted.
    pub kind: ObjectiveKind,
    /// Of a million, so many may go wrong: at least one. A whole number, so that "used up" is exact.
    pub allowed: u32,
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjectiveKind {
    /// Decisions that found an answer.
    Answered,
    /// Decisions that the model itself answered.
    ByModel,
    /// Batches on the path that took no longer; one of the bounds that times are counted by.
    Fast(Duration),
}

impl ObjectiveKind {
    /// Its name, as the configuration writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::ByModel => "by_model",
            Self::Fast(_) => "fast",
        }
    }
}

impl ObjectivePlan {
    /// The share that is to be reached, in percent.
    pub fn percent(self) -> f64 {
        100.0 - f64::from(self.allowed) / 10_000.0
    }
}
