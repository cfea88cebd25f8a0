//! Lookups of a plan: which rows are read by key before the features are made, and what happens without them.

use std::{sync::Arc, time::Duration};

use tendon_kernel::{Type, Value, schema::Schema};

use crate::{expr::Program, plan::QualityRule};

/// The lookups of an integration.
#[derive(Default)]
pub struct LookupsPlan {
    /// The lookups, in the order in which they are asked.
    pub list: Vec<LookupPlan>,
    /// The fields of a record once everything is looked up: those of the input, then `name.field` of each lookup.
    pub schema: Arc<Schema>,
    /// Quality rules that name a looked-up field: records to refuse …
    pub reject: Vec<QualityRule>,
    /// … and to set aside.
    pub quarantine: Vec<QualityRule>,
}

/// A part of a lookup's key.
pub struct KeyPart {
    /// Key field of the resource.
    pub field: String,
    /// Its type.
    pub kind: Type,
    /// Its value.
    pub program: Program,
}

/// One lookup.
pub struct LookupPlan {
    /// Name in expressions.
    pub name: Arc<str>,
    /// System asked.
    pub system: Arc<str>,
    /// Resource asked.
    pub resource: Arc<str>,
    /// Its key.
    pub key: Vec<KeyPart>,
    /// Fields read.
    pub fields: Vec<String>,
    /// Position of the first of them in [`LookupsPlan::schema`].
    pub first: usize,
    /// Lookups of one wave need nothing of each other and are asked together; the next wave may use what they found.
    pub wave: usize,
    /// Values in place of missing ones (index among the fields, value).
    pub defaults: Vec<(usize, Value)>,
    /// Longest wait.
    pub deadline: Duration,
    /// How long a row is used again without asking.
    pub fresh: Duration,
    /// How old a row may be that is used when the system fails.
    pub stale: Duration,
    /// What happens when there is no such row.
    pub missing: Without,
    /// What happens when the system fails and no row is at hand.
    pub failed: Without,
}

/// What becomes of a decision without a looked-up row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Without {
    /// It goes on: the fields are null or their defaults.
    Continue,
    /// The fallback answers.
    Fallback,
    /// There is no answer.
    Reject,
    /// It is set aside.
    Quarantine,
}

impl Without {
    /// As it stands in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Continue => "continue",
            Self::Fallback => "fallback",
            Self::Reject => "reject",
            Self::Quarantine => "quarantine",
        }
    }
}

impl LookupsPlan {
    /// The number of waves.
    pub fn waves(&self) -> usize {
        self.list.iter().map(|lookup| lookup.wave + 1).max().unwrap_or(0)
    }
}
