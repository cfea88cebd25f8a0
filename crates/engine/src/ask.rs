//! What a door hands to the path and gets back. A door translates; it decides nothing.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tendon_kernel::{
    Result, Value,
    context::Deadline,
    decision::{Decision, Door},
};

/// Who asks, as the door authenticated it.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Id of the API key, or `door:events`. Never a person's name.
    pub id: Arc<str>,
    /// Name under which idempotency keys are scoped; survives key rotation.
    pub scope: Arc<str>,
    /// Integrations it may ask; `None`: all.
    pub integrations: Option<Arc<[String]>>,
}

/// An input as it came.
#[derive(Clone)]
pub enum Input {
    /// A JSON object as text, from a caller. Parsed against the schema by the path, kept raw in the record.
    Json(Bytes),
    /// Values of a system's row, in the order of the input schema.
    Values(Vec<Value>),
}

/// One question.
#[derive(Clone)]
pub struct Item {
    /// The input.
    pub input: Input,
    /// Idempotency key.
    pub idempotency_key: Option<String>,
    /// The row it came from: the answer is written back there when the integration says so. Recorded whole in the sealed
    /// part (`More::row`), because the watch's memory of what it has seen is a projection of the ledger.
    pub row: Option<SourceRow>,
}

/// Where an input came from in a watched or scanned system.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceRow {
    /// Values of the key fields, in the order of `EventsPlan::key`.
    pub key: Vec<Value>,
    /// Value of the watermark field when it was read; null for a row found by a sweep.
    pub mark: Value,
    /// Keyed digest of the fields in use, by which the watch knows a row it has already asked about.
    pub digest: [u8; 16],
}

/// Who goes first when there is not room for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// Somebody waits for the answer, or something just happened.
    Live,
    /// Many records of which none is urgent: a backfill, a batch.
    Backfill,
    /// Answers that nobody asked for yet.
    Precompute,
}

impl Priority {
    /// What goes through a door.
    pub fn of(door: Door) -> Self {
        match door {
            Door::Batch => Self::Backfill,
            Door::Api | Door::Events | Door::Embed | Door::Agents => Self::Live,
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Backfill => "backfill",
            Self::Precompute => "precompute",
        }
    }

    pub(crate) fn index(self) -> usize {
        match self {
            Self::Live => 0,
            Self::Backfill => 1,
            Self::Precompute => 2,
        }
    }
}

/// A batch of questions to one integration; a single call is a batch of one.
pub struct Ask {
    /// Who asks.
    pub caller: Caller,
    /// Through which door.
    pub door: Door,
    /// Name of the integration.
    pub integration: String,
    /// Who goes first; most questions: [`Priority::of`] their door.
    pub priority: Priority,
    /// Explain each decision now.
    pub explain: bool,
    /// When the answer is due; `None`: the integration's own deadline from now.
    pub deadline: Option<Deadline>,
    /// The questions.
    pub items: Vec<Item>,
}

/// Time spent in a stage, for `server-timing`.
pub type Timing = (&'static str, Duration);

/// One answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The decision, also when it failed or was refused for its input (`decision.error`).
    pub decision: Arc<Decision>,
    /// Position in the ledger.
    pub seq: u64,
    /// Whether it is the stored answer to an earlier request with the same idempotency key.
    pub replayed: bool,
}

/// The answers of a batch, in its order. An item is an error when it left no decision (conflict, ledger not writable).
#[derive(Debug)]
pub struct Answers {
    /// One per item.
    pub items: Vec<Result<Answer>>,
    /// Time per stage of the whole batch.
    pub timings: Vec<Timing>,
}
