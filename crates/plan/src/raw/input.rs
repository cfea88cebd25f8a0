//! The shape of an integration's input.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

use super::{Cel, LookupRaw};
use crate::yaml::{At, Ordered};

/// The input: its contract, the features made of it, and the rules for its quality.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct InputRaw {
    /// `system.resource`: field names and types come from its catalog.
    pub(crate) from: Option<At<String>>,
    /// The fields, for an integration without a system. Without `from` and `schema` they are the model's own.
    pub(crate) schema: Option<At<SchemaRaw>>,
    /// CEL by feature of the model: only where it differs from the field of the same name.
    pub(crate) features: Ordered<At<Cel>>,
    /// Rows of systems that are looked up by key, by the name under which expressions see their fields.
    pub(crate) lookups: Ordered<At<LookupRaw>>,
    /// Values put in place of missing ones, by field; each use is recorded as a repair.
    pub(crate) defaults: Ordered<At<Scalar>>,
    /// Smallest and largest allowed number of a field, both included: `{ age: [18, 120], "f*": [0, 1] }`. A record with another
    /// number is refused, and its answer names the field. A name ending in `*` speaks of all numbers of the input that begin so;
    /// the first that fits a field counts.
    pub(crate) ranges: Ordered<At<Vec<f64>>>,
    /// When a record is set aside (after defaults are filled in), and when it is refused.
    pub(crate) quality: Option<QualityRaw>,
    /// Fields with personal data: their values never stand in errors, logs or lists of records. The `subject` stands in every list of
    /// decisions, whichever field it is taken from: let it be an id.
    pub(crate) personal: Vec<At<String>>,
}

/// The fields of an input.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["fields"]))]
pub(crate) struct SchemaRaw {
    /// The fields by name, in order.
    #[schemars(required)]
    pub(crate) fields: Ordered<FieldRaw>,
}

/// One field.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["type"]))]
pub(crate) struct FieldRaw {
    /// Type of its values.
    #[serde(rename = "type")]
    #[schemars(required)]
    pub(crate) kind: Option<TypeRaw>,
    /// Whether a value must be there (default: no).
    pub(crate) required: bool,
    /// Smallest and largest allowed number, both included.
    pub(crate) range: Option<At<Vec<f64>>>,
    /// Allowed texts.
    pub(crate) values: Vec<String>,
    /// Regular expression (RE2) that a text must match as a whole.
    pub(crate) pattern: Option<At<String>>,
    /// Longest allowed text in bytes.
    #[schemars(range(min = 1))]
    pub(crate) max_length: Option<u32>,
    /// Unit of the number, for example `EUR`.
    pub(crate) unit: Option<String>,
    /// Whether it is personal data.
    pub(crate) personal: bool,
    /// One sentence for people.
    pub(crate) about: Option<String>,
}

/// Type of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TypeRaw {
    /// true or false.
    Bool,
    /// Whole number of 64 bits.
    Int,
    /// Number.
    Float,
    /// Text.
    Text,
    /// Point in time.
    Time,
}

/// Rules for the quality of an input.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct QualityRaw {
    /// Records to set aside for a person to look at.
    pub(crate) quarantine: Vec<RuleRaw>,
    /// Records to refuse.
    pub(crate) reject: Vec<RuleRaw>,
}

/// One rule.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["when", "reason"]))]
pub(crate) struct RuleRaw {
    /// CEL: when it applies.
    #[schemars(required)]
    pub(crate) when: Option<At<Cel>>,
    /// The sentence that says why.
    #[schemars(required)]
    pub(crate) reason: Option<At<String>>,
}

/// A literal value.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(untagged)]
pub(crate) enum Scalar {
    /// true or false.
    Bool(bool),
    /// Whole number.
    Int(i64),
    /// Number.
    Float(f64),
    /// Text.
    Text(String),
    /// Nothing.
    #[default]
    Null,
}

impl JsonSchema for Scalar {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Value".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "number", "boolean"] })
    }
}
