//! The decision and the words around it, as the path makes them, the ledger keeps them and the doors show them.

use std::sync::Arc;

use crate::{
    id::Id,
    sockets::{http::origin_of, ledger::ModelRef},
    time::Timestamp,
    value::Value,
};

/// Through which door a decision was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Door {
    /// A call over HTTP.
    Api,
    /// A change or message of a system.
    Events,
    /// A row of a batch.
    Batch,
    /// A badge in somebody's page.
    Embed,
    /// An AI agent.
    Agents,
}

impl Door {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Events => "events",
            Self::Batch => "batch",
            Self::Embed => "embed",
            Self::Agents => "agents",
        }
    }
}

/// Which rung of the fallback ladder answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rung {
    /// Another replica of the same version.
    Replica,
    /// The version before.
    Previous,
    /// A rule of the integration.
    Rules,
    /// The declared default.
    Default,
    /// A person has to answer.
    Human,
}

/// Where a decision stands that a person has to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReviewState {
    /// Waits for a person.
    Pending,
    /// A person confirmed the output.
    Approved,
    /// A person gave the output.
    Overridden,
    /// A person ended it without an output.
    Rejected,
}

impl ReviewState {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Overridden => "overridden",
            Self::Rejected => "rejected",
        }
    }
}

/// A person's part in a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Review {
    /// Where it stands.
    pub state: ReviewState,
    /// When a person should have answered by.
    pub due: Timestamp,
    /// When a person answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// Whether a model's answer is held back until then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub held: bool,
}

/// How a decision ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The model answered.
    Ok,
    /// A fallback answered.
    Degraded,
    /// The input was refused.
    Rejected,
    /// The input was set aside by a quality rule.
    Quarantined,
    /// Nothing could answer.
    Failed,
}

impl Outcome {
    /// All of them. Rows of the ledger's projections keep them by their place here.
    pub const ALL: [Self; 5] = [Self::Ok, Self::Degraded, Self::Rejected, Self::Quarantined, Self::Failed];

    /// The one of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.name() == name)
    }

    /// Its name, as it stands in the ledger.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Degraded => "degraded",
            Self::Rejected => "rejected",
            Self::Quarantined => "quarantined",
            Self::Failed => "failed",
        }
    }

    /// Whether there was an answer, or a person was asked for one: all others have no output, and never will.
    pub const fn answered(self) -> bool {
        matches!(self, Self::Ok | Self::Degraded)
    }
}

/// One reason in words, from the explanation.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Reason {
    /// Feature.
    pub feature: Arc<str>,
    /// Its value as the model saw it (text for categories), or as it came in where the model does not know it; null when missing.
    pub value: serde_json::Value,
    /// Additive contribution to the margin.
    pub contribution: f64,
    /// A sentence (`balance = 2143 raises the score`).
    pub text: String,
}

/// Why the output is what it is.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Explanation {
    /// How it was made (`treeshap`, `rules`).
    pub method: Arc<str>,
    /// Expected margin.
    pub base: f64,
    /// The margin that base and contributions sum up to.
    pub margin: f64,
    /// All contributions, largest magnitude first.
    pub reasons: Vec<Reason>,
}

/// What was repaired in an input.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Repair {
    /// Field.
    pub field: Arc<str>,
    /// What was done (`default`).
    pub how: Arc<str>,
}

/// Where an answer was recalled from, when it was not computed for this decision.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Recalled {
    /// The decision it was computed for.
    pub from: Id,
    /// When that was decided.
    pub at: Timestamp,
    /// How old the answer was, in milliseconds.
    pub age_ms: u64,
    /// Whether it was past its time (`stale`), so that a new one is being computed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stale: bool,
}

/// How a lookup went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LookupState {
    /// The row was read for this decision, or so shortly before that it counts as such.
    Fresh,
    /// A row that was read before was used beyond its time: the system failed or was late, or the answer was recalled as stale.
    Stale,
    /// There is no such row.
    Missing,
    /// The system failed or was late, and no row was at hand.
    Failed,
}

/// What a decision says of one lookup; the row itself is in the sealed part of its entry.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct LookupNote {
    /// The lookup.
    pub name: Arc<str>,
    /// How it went.
    pub state: LookupState,
    /// How old the row was, when it had been read before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age_ms: Option<u64>,
    /// Why the system's own answer was not used: a code (`recalled`: the answer was).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<Arc<str>>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Failure {
    /// Stable code.
    pub code: String,
    /// Public sentence.
    pub message: String,
    /// JSON pointer to the field at fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// What to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Whether asking again may help.
    pub retryable: bool,
}

/// One answer for one subject.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Decision {
    /// UUIDv7.
    pub id: Id,
    /// Integration.
    pub integration: Arc<str>,
    /// When it was decided.
    pub at: Timestamp,
    /// Whom it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Arc<str>>,
    /// Door it was asked through.
    pub door: Door,
    /// How it ended.
    pub outcome: Outcome,
    /// The number (probability, value); null when it failed.
    pub output: Option<f64>,
    /// One number per class, for models with classes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classes: Option<Vec<f64>>,
    /// Band (`green`), when bands are declared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub band: Option<Arc<str>>,
    /// Rung of the ladder, when degraded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub degraded: Option<Rung>,
    /// A person's part in it, where one was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub review: Option<Review>,
    /// Model version asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelRef>,
    /// Route (`champion`).
    pub route: Arc<str>,
    /// The earlier decision whose answer this is, when it came from the cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recalled: Option<Recalled>,
    /// What was repaired.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub repaired: Vec<Repair>,
    /// What was looked up.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lookups: Vec<LookupNote>,
    /// Why there is no answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
    /// Whether the record was durable before the answer (`false` for `record: buffered`).
    pub durable: bool,
    /// Explanation, where it was made with the decision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explanation: Option<Explanation>,
}

impl Decision {
    /// Whether its answer waits for a person: there is none yet, or it is held back.
    pub fn awaits_review(&self) -> bool {
        let waits = |review: Review| review.state == ReviewState::Pending && (review.held || self.output.is_none());
        self.review.is_some_and(waits)
    }
}

/// Where a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// Waits for its turn or its next attempt.
    Pending,
    /// The values stand in the system.
    Delivered,
    /// The row moved on; a newer change will bring it again.
    Superseded,
    /// Given up; a dead letter.
    Dead,
    /// Its subject was erased.
    Erased,
    /// A person had the values from before put back.
    Undone,
}

/// How the name of a receiver of callbacks begins where systems are named.
pub const CALLBACK: &str = "callback:";

impl Delivery {
    /// A call that tells a receiver of a decision.
    pub fn callback(origin: &str, url: &str, id: Id) -> Self {
        Self {
            system: format!("{CALLBACK}{origin}").into(),
            resource: url.into(),
            key: vec![("decision".to_owned(), Value::text(&id.to_string()))],
            set: Vec::new(),
            expect: Vec::new(),
            older: None,
        }
    }

    /// Whether it is a call to a receiver, not a write to a system.
    pub fn is_callback(&self) -> bool {
        self.system.starts_with(CALLBACK)
    }

    /// What it writes to, as it may be shown to anybody: of a receiver's address its origin, because the path may hold a key.
    pub fn shown(&self) -> Arc<str> {
        if self.is_callback() { origin_of(&self.resource).into() } else { self.resource.clone() }
    }
}

/// A write-back that a decision causes: kept in the decision's entry, so that recording it is accepting it.
#[derive(Clone, PartialEq)]
pub struct Delivery {
    /// System.
    pub system: Arc<str>,
    /// Resource.
    pub resource: Arc<str>,
    /// Key fields and values.
    pub key: Vec<(String, Value)>,
    /// Fields to set.
    pub set: Vec<(String, Value)>,
    /// Fields that must still hold these values.
    pub expect: Vec<(String, Value)>,
    /// Time field of the target that must be older than the decision.
    pub older: Option<(String, Timestamp)>,
}
