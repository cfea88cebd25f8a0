//! The shape of `integrations/*.yaml`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{CacheRaw, CallbackRaw, Cel, CorsRaw, EmbedRaw, InputRaw, ObjectivesRaw, RouteRaw, Span};
use crate::yaml::{At, Ordered};

/// `integrations/<name>.yaml`: which model answers which question for which systems, through which doors, under which rules.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "integrations/<name>.yaml")]
#[schemars(extend("required" = ["integration", "purpose", "owner", "model"]))]
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
    /// Which versions of the model answer beside it, for which share.
    pub(crate) route: Option<At<RouteRaw>>,
    /// What answers when the model cannot.
    pub(crate) fallback: Option<FallbackRaw>,
    /// Which answers a person has to see.
    pub(crate) review: Option<At<ReviewRaw>>,
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
    /// What it is to reach: shares of answers, and how fast.
    pub(crate) objectives: Option<At<ObjectivesRaw>>,
    /// Through which doors it can be asked.
    pub(crate) doors: Option<At<DoorsRaw>>,
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
    /// Whether the model's version before (alias `previous`) is asked first; for a canary or an arm, the integration's own.
    pub(crate) previous: Option<At<bool>>,
    /// The first rule that is true answers.
    pub(crate) rules: Vec<FallbackRuleRaw>,
    /// The answer when no rule is true; without it, and without `human`, the decision fails.
    pub(crate) default: Option<At<f64>>,
    /// The last rung, in place of a default: a person answers. The decision is recorded without an output and waits (`tendon reviews`, `/v1/reviews`).
    pub(crate) human: Option<At<HumanRaw>>,
}

/// A person as the last rung. Who may answer: `tendon reviews` at the project, and callers with the scope `review:INTEGRATION` or `review:*`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct HumanRaw {
    /// Time until a review counts as overdue (default 48h). Nothing ends by itself: an overdue review still waits.
    pub(crate) within: Option<Span>,
    /// Reviews that may wait at once (default 1000); beyond that a decision fails, and asking again later may help.
    pub(crate) most: Option<u32>,
}

/// A person's verdict on a model's answer: approve, override or reject. Who may give it: as with `fallback.human`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["when"]))]
pub(crate) struct ReviewRaw {
    /// CEL: which answers; sees `input`, the lookups, `output`, `band`, `now`. Where it has no result, a person is asked.
    #[schemars(required)]
    pub(crate) when: Option<At<Cel>>,
    /// Whether write-backs and callbacks wait for the verdict (default `true`: what is rejected is never delivered). `false`: they do not, and the verdict comes after.
    pub(crate) hold: Option<bool>,
    /// Time until a review counts as overdue (default 48h). Nothing ends by itself: an overdue review still waits.
    pub(crate) within: Option<Span>,
    /// Reviews of the integration that may wait at once (default 1000); beyond that a decision fails, and asking again later may help.
    pub(crate) most: Option<u32>,
}

/// One rule of the fallback.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["when", "output"]))]
pub(crate) struct FallbackRuleRaw {
    /// CEL: when it applies.
    #[schemars(required)]
    pub(crate) when: Option<At<Cel>>,
    /// The output it answers with.
    #[schemars(required)]
    pub(crate) output: Option<At<f64>>,
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
    /// Time that deciding an asynchronous request has, once it is its turn (default 30s).
    pub(crate) async_deadline: Option<Span>,
    /// Who may be told of decisions that were asked for with a `callback`. Nobody else is ever called.
    pub(crate) callbacks: Vec<CallbackRaw>,
    /// Web pages of other origins that may ask this integration from a browser.
    pub(crate) cors: Option<CorsRaw>,
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
    /// CEL by field to write: sees `input`, the lookups, `output`, `band`, `decision`, `now`. The field set to exactly `now` keeps an older decision from overwriting a newer one.
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
