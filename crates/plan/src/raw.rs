//! The raw configuration: what may stand in `tendon.yaml` and `integrations/*.yaml`. These structs are its reference: the
//! editor schema, the check for unknown keys and the printed reference are all derived from them.

use std::{borrow::Cow, time::Duration};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

use crate::yaml::{At, Ordered};

/// Format name of durations in the schema.
pub(crate) const DURATION: &str = "tendon-duration";

/// `tendon.yaml`: the systems, the models and the limits of a project.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "tendon.yaml")]
pub(crate) struct ProjectRaw {
    /// Name of the project: letters, digits, `-`, `_`.
    #[schemars(required)]
    pub(crate) project: Option<At<String>>,
    /// The systems that the business runs, by name.
    pub(crate) systems: Ordered<SystemRaw>,
    /// The models, by name.
    pub(crate) models: Ordered<ModelRaw>,
    /// Limits of the running process.
    pub(crate) server: Option<ServerRaw>,
}

/// A system. Beside the keys below, it takes the settings of its kind (`tendon check --schema` lists them).
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct SystemRaw {
    /// Connector kind, for example `sqlite`.
    #[schemars(required)]
    pub(crate) kind: Option<At<String>>,
    /// Fields that may be read, by resource. Nothing else is ever read.
    pub(crate) read: Ordered<Vec<At<String>>>,
    /// Fields that may be written, by resource. Nothing else is ever written.
    pub(crate) write: Ordered<Vec<At<String>>>,
    /// How hard the system may be used, all integrations together.
    pub(crate) limits: Option<LimitsRaw>,
}

/// How hard a system may be used.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct LimitsRaw {
    /// Requests under way at once (default 4).
    #[schemars(range(min = 1))]
    pub(crate) concurrency: Option<u32>,
    /// Rows per second at the most (default: no limit).
    pub(crate) rate: Option<At<f64>>,
    /// Longest wait for one request (default 10s).
    pub(crate) timeout: Option<Span>,
}

/// A model.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ModelRaw {
    /// Folder with one file or folder per version, or one file; relative to the project.
    #[schemars(required)]
    pub(crate) path: Option<At<String>>,
}

/// Limits of the process.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ServerRaw {
    /// Decisions under way at once; more are shed (default 1024).
    #[schemars(range(min = 1))]
    pub(crate) in_flight: Option<u32>,
    /// Largest request body in bytes (default 1048576).
    #[schemars(range(min = 1))]
    pub(crate) body_bytes: Option<u32>,
    /// Deepest nesting of a request body (default 32).
    #[schemars(range(min = 1))]
    pub(crate) depth: Option<u32>,
}

/// `integrations/<name>.yaml`: which model answers which question for which systems, through which doors, under which rules.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "integrations/<name>.yaml")]
pub(crate) struct IntegrationRaw {
    /// Name of the integration: letters, digits, `-`, `_`.
    #[schemars(required)]
    pub(crate) integration: Option<At<String>>,
    /// What it is for, in one sentence.
    #[schemars(required)]
    pub(crate) purpose: Option<At<String>>,
    /// Who answers for it: a person or a team.
    #[schemars(required)]
    pub(crate) owner: Option<At<String>>,
    /// `name@alias` or `name@version`; without `@` the alias `champion`.
    #[schemars(required)]
    pub(crate) model: Option<At<String>>,
    /// CEL: whom a decision is about (for erasure and access), for example `input.id`.
    pub(crate) subject: Option<At<Cel>>,
    /// What goes in.
    pub(crate) input: Option<At<InputRaw>>,
    /// What comes out.
    pub(crate) output: Option<OutputRaw>,
    /// Names for ranges of the output, in order; the first that matches wins: `">= 0.7"`, `"> 1"`, `"<= 3"`, `"< 3"`, `otherwise`.
    pub(crate) bands: Option<At<Ordered<At<Cel>>>>,
    /// What answers when the model cannot.
    pub(crate) fallback: Option<FallbackRaw>,
    /// Which answers may be reused for how long.
    pub(crate) cache: Option<At<CacheRaw>>,
    /// `on_request` (default: recomputed from the record when asked), `always`, or a CEL condition such as `band == "red"`.
    pub(crate) explain: Option<At<Cel>>,
    /// Whether an answer waits until its record is on disk.
    pub(crate) record: Option<RecordRaw>,
    /// Retention class of its decisions (default `standard`).
    pub(crate) retention: Option<At<String>>,
    /// Region that its data must stay in (default `local`).
    pub(crate) region: Option<At<String>>,
    /// Through which doors it can be asked.
    pub(crate) doors: Option<At<DoorsRaw>>,
}

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
    /// Values put in place of missing ones, by field; each use is recorded as a repair.
    pub(crate) defaults: Ordered<At<Scalar>>,
    /// When a record is set aside (after defaults are filled in), and when it is refused.
    pub(crate) quality: Option<QualityRaw>,
    /// Fields with personal data: never shown in errors, logs or lists.
    pub(crate) personal: Vec<At<String>>,
}

/// The fields of an input.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct SchemaRaw {
    /// The fields by name, in order.
    #[schemars(required)]
    pub(crate) fields: Ordered<FieldRaw>,
}

/// One field.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
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
pub(crate) struct RuleRaw {
    /// CEL: when it applies.
    #[schemars(required)]
    pub(crate) when: Option<At<Cel>>,
    /// The sentence that says why.
    #[schemars(required)]
    pub(crate) reason: Option<At<String>>,
}

/// The output.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct OutputRaw {
    /// Smallest and largest valid output, both included; outside, the model's attempt counts as failed (default: 0 to 1 for probabilities, else no limit).
    pub(crate) range: Option<At<Vec<f64>>>,
}

/// The ladder below the model.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct FallbackRaw {
    /// The first rule that is true answers.
    pub(crate) rules: Vec<FallbackRuleRaw>,
    /// The answer when no rule is true; without it the decision fails.
    pub(crate) default: Option<At<f64>>,
}

/// One rule of the fallback.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct FallbackRuleRaw {
    /// CEL: when it applies.
    #[schemars(required)]
    pub(crate) when: Option<At<Cel>>,
    /// The output it answers with.
    #[schemars(required)]
    pub(crate) output: Option<At<f64>>,
}

/// The cache of answers.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct CacheRaw {
    /// Input fields that must be equal for an answer to be reused.
    #[schemars(required)]
    pub(crate) key: Vec<At<String>>,
    /// How long an answer may be reused.
    #[schemars(required)]
    pub(crate) ttl: Option<Span>,
}

/// Whether an answer waits for its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RecordRaw {
    /// The record is on disk before the answer leaves (default).
    Durable,
    /// The record is written behind; the decision says so.
    Buffered,
}

/// The doors.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct DoorsRaw {
    /// Calls over HTTP.
    pub(crate) api: Option<ApiRaw>,
    /// Changes of a watched resource.
    pub(crate) events: Option<At<EventsRaw>>,
    /// A badge in somebody's page.
    pub(crate) embed: Option<At<EmbedRaw>>,
}

/// The HTTP door.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ApiRaw {
    /// Time a request has when it names none (default 5s).
    pub(crate) deadline: Option<Span>,
}

/// The watched resource and the write-back.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct EventsRaw {
    /// `system.resource` to watch (default: the input's).
    pub(crate) from: Option<At<String>>,
    /// Which changes count (default: both).
    pub(crate) on: Option<At<Vec<ChangeRaw>>>,
    /// `system.resource` to write to (default: the watched one).
    pub(crate) to: Option<At<String>>,
    /// CEL by field to write: sees `input`, `output`, `band`, `decision`, `now`. The field set to exactly `now` keeps an older decision from overwriting a newer one.
    pub(crate) set: Option<At<Ordered<At<Cel>>>>,
    /// Field that grows with each change (default: a time field named like `updated_at`).
    pub(crate) watermark: Option<At<String>>,
    /// Key fields (default: the resource's key).
    pub(crate) key: Vec<At<String>>,
    /// How often to look when nothing happens (default 1s).
    pub(crate) poll: Option<Span>,
    /// How far back each look rereads, for late commits and uneven clocks (default 5s).
    pub(crate) overlap: Option<Span>,
    /// How often all rows are compared (default 10m).
    pub(crate) sweep: Option<Span>,
}

/// A kind of change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ChangeRaw {
    /// A new row.
    Insert,
    /// A changed row.
    Update,
}

/// The badge.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct EmbedRaw {
    /// How much history the badge shows (default 90d).
    pub(crate) trend: Option<Span>,
}

/// A CEL expression (a number or bool may stand without quotes).
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(transparent)]
pub(crate) struct Cel(pub(crate) String);

impl AsRef<str> for Cel {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl JsonSchema for Cel {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Cel".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "number", "boolean"] })
    }
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

/// A duration: a number and a unit of `ms`, `s`, `m`, `h`, `d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span(pub(crate) Duration);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse_duration(&text).map(Self).ok_or_else(|| serde::de::Error::custom("no duration"))
    }
}

impl JsonSchema for Span {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": DURATION, "pattern": "^[0-9]+(ms|s|m|h|d)$", "examples": ["250ms", "10m", "90d"] })
    }
}

/// Reads `250ms`, `30s`, `10m`, `2h`, `90d`; at most ten years.
pub(crate) fn parse_duration(text: &str) -> Option<Duration> {
    let end = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(end);
    let number: u64 = number.parse().ok()?;
    let millis = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    let duration = Duration::from_millis(number.checked_mul(millis)?);
    (duration <= Duration::from_secs(3660 * 86_400)).then_some(duration)
}
