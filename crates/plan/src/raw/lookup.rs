//! The shape of a lookup: fields of another table, found by key while a decision is made.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Cel, Scalar, Span};
use crate::yaml::{At, Ordered};

/// One lookup: fields of a row of some system, found by its key. Expressions see them as `NAME.field` in features, in quality
/// rules (which then run after the lookup), in fallback rules, in `explain` and in `set`. All decisions of a batch are asked
/// for at once. Looked-up values are no condition of a write-back, and a change of a looked-up row wakes no watch: only the
/// watched row does.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["from", "key"]))]
pub(crate) struct LookupRaw {
    /// `system.resource`: where the row stands. Its fields must be listed under the system's `read`.
    #[schemars(required)]
    pub(crate) from: Option<At<String>>,
    /// CEL by key field of the resource. May name fields of other lookups: those are asked first. A key that is null, or has no value, finds no row.
    #[schemars(required)]
    pub(crate) key: Option<At<Ordered<At<Cel>>>>,
    /// Fields to read (default: those that the file uses). A feature without a source of its own takes the field of its name.
    pub(crate) fields: Vec<At<String>>,
    /// Values put in place of missing ones, by field; each use is recorded as a repair.
    pub(crate) defaults: Ordered<At<Scalar>>,
    /// Longest wait for the system; never longer than the request's own deadline (default 1s).
    pub(crate) deadline: Option<At<Span>>,
    /// How long a row that was read may be used again without asking, alone or within a cached answer (default: not at all).
    pub(crate) fresh: Option<At<Span>>,
    /// How old a row may be that is used when the system fails or is late, or within a cached answer that is given as stale; the
    /// decision says so (default: as `fresh`).
    pub(crate) stale: Option<At<Span>>,
    /// What happens when there is no such row (default `continue`).
    pub(crate) missing: Option<At<WithoutRaw>>,
    /// What happens when the system fails or is late (default: as `missing`).
    pub(crate) failed: Option<At<WithoutRaw>>,
}

/// What becomes of a decision without the looked-up row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum WithoutRaw {
    /// The fields are null, or their defaults.
    Continue,
    /// The fallback answers in the model's place.
    Fallback,
    /// There is no answer.
    Reject,
    /// The record is set aside for a person to look at.
    Quarantine,
}
