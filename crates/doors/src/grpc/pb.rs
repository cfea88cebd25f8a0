//! Messages of `tendon.v1`, made by `cargo xtask proto` from proto/tendon/v1/decisions.proto: change that file, not this one.

pub(super) use super::pb_parts::{Delivery, Explanation, Failure, Lookup, ModelVersion, Reason, Recalled, Repair};

/// How a decision ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub(super) enum Outcome {
    /// Not said.
    Unspecified = 0,
    /// Answered by the model.
    Ok = 1,
    /// Answered by the fallback ladder.
    Degraded = 2,
    /// Its input was refused.
    Rejected = 3,
    /// Its input was set aside.
    Quarantined = 4,
    /// Nothing could answer.
    Failed = 5,
}

/// A question.
#[derive(Clone, PartialEq, prost::Message)]
#[prost(skip_debug)]
pub(super) struct DecideRequest {
    /// Name of the integration.
    #[prost(string, tag = "1")]
    pub(super) integration: String,
    /// The input, in one of two forms.
    #[prost(oneof = "DecideRequestInput", tags = "2, 3")]
    pub(super) input: Option<DecideRequestInput>,
    /// The same key with the same input gives the stored answer; with another input, ALREADY_EXISTS. 1 to 255 visible ASCII characters.
    #[prost(string, tag = "4")]
    pub(super) idempotency_key: String,
    /// Explain the decision in the answer.
    #[prost(bool, tag = "5")]
    pub(super) explain: bool,
}

/// The input, in one of two forms.
#[derive(Clone, PartialEq, prost::Oneof)]
#[prost(skip_debug)]
pub(super) enum DecideRequestInput {
    /// As a message. Its numbers are doubles: an integer beyond 2^53 in an integer field is refused, never rounded.
    #[prost(message, tag = "2")]
    Fields(prost_types::Struct),
    /// As the text of a JSON object in UTF-8. Its integers keep 64 bits, and it is read without a detour.
    #[prost(bytes = "bytes", tag = "3")]
    Json(prost::bytes::Bytes),
}

/// An answer.
#[derive(Clone, PartialEq, prost::Message)]
#[prost(skip_debug)]
pub(super) struct DecideResponse {
    /// The decision.
    #[prost(message, optional, tag = "1")]
    pub(super) decision: Option<Decision>,
    /// Whether it is the stored answer to an earlier request with the same idempotency key.
    #[prost(bool, tag = "2")]
    pub(super) replayed: bool,
}

/// An answer in a stream.
#[derive(Clone, PartialEq, prost::Message)]
#[prost(skip_debug)]
pub(super) struct DecideStreamResponse {
    /// Position of the question in the stream, from 0.
    #[prost(uint64, tag = "1")]
    pub(super) index: u64,
    /// The answer, or why there is none.
    #[prost(oneof = "DecideStreamResponseResult", tags = "2, 3")]
    pub(super) result: Option<DecideStreamResponseResult>,
}

/// The answer, or why there is none.
#[derive(Clone, PartialEq, prost::Oneof)]
#[prost(skip_debug)]
#[expect(clippy::large_enum_variant, reason = "a result is made, sent and gone")]
pub(super) enum DecideStreamResponseResult {
    /// The answer.
    #[prost(message, tag = "2")]
    Answer(DecideResponse),
    /// Why there is none. The stream goes on.
    #[prost(message, tag = "3")]
    Problem(Problem),
}

/// Why a question of a stream has no answer.
#[derive(Clone, PartialEq, prost::Message)]
#[prost(skip_debug)]
pub(super) struct Problem {
    /// Status code of gRPC that the question would have ended with alone.
    #[prost(int32, tag = "1")]
    pub(super) status: i32,
    /// Stable code.
    #[prost(string, tag = "2")]
    pub(super) code: String,
    /// What happened.
    #[prost(string, tag = "3")]
    pub(super) detail: String,
    /// Whether the same question may succeed later.
    #[prost(bool, tag = "4")]
    pub(super) retryable: bool,
    /// JSON pointer into the question.
    #[prost(string, tag = "5")]
    pub(super) pointer: String,
    /// What to do.
    #[prost(string, tag = "6")]
    pub(super) hint: String,
    /// The recorded decision, where the question became one.
    #[prost(string, tag = "7")]
    pub(super) decision_id: String,
}

/// One answer for one subject.
#[derive(Clone, PartialEq, prost::Message)]
#[prost(skip_debug)]
pub(super) struct Decision {
    /// UUIDv7.
    #[prost(string, tag = "1")]
    pub(super) id: String,
    /// Integration.
    #[prost(string, tag = "2")]
    pub(super) integration: String,
    /// When it was decided.
    #[prost(message, optional, tag = "3")]
    pub(super) at: Option<prost_types::Timestamp>,
    /// Whom it is about.
    #[prost(string, optional, tag = "4")]
    pub(super) subject: Option<String>,
    /// Door it was asked through: api, events, batch, embed, agents.
    #[prost(string, tag = "5")]
    pub(super) door: String,
    /// How it ended.
    #[prost(enumeration = "Outcome", tag = "6")]
    pub(super) outcome: i32,
    /// The number; absent when there is none.
    #[prost(double, optional, tag = "7")]
    pub(super) output: Option<f64>,
    /// One number per class, for models with classes.
    #[prost(double, repeated, tag = "8")]
    pub(super) classes: Vec<f64>,
    /// Band, where bands are declared.
    #[prost(string, optional, tag = "9")]
    pub(super) band: Option<String>,
    /// Rung of the fallback ladder, when degraded.
    #[prost(string, optional, tag = "10")]
    pub(super) degraded: Option<String>,
    /// Model version asked.
    #[prost(message, optional, tag = "11")]
    pub(super) model: Option<ModelVersion>,
    /// Route, such as champion.
    #[prost(string, tag = "12")]
    pub(super) route: String,
    /// What was repaired in the input.
    #[prost(message, repeated, tag = "13")]
    pub(super) repaired: Vec<Repair>,
    /// Why there is no answer; `decision_erased` where it was erased together with its subject.
    #[prost(message, optional, tag = "14")]
    pub(super) error: Option<Failure>,
    /// Whether the record was durable before the answer.
    #[prost(bool, tag = "15")]
    pub(super) durable: bool,
    /// Why it is what it is, where that was made with the decision.
    #[prost(message, optional, tag = "16")]
    pub(super) explanation: Option<Explanation>,
    /// Where a person's part in it stands, where one was asked: pending, approved, overridden or rejected.
    #[prost(string, optional, tag = "17")]
    pub(super) review: Option<String>,
    /// The earlier decision whose answer this is, when it came from the cache.
    #[prost(message, optional, tag = "18")]
    pub(super) recalled: Option<Recalled>,
    /// What was looked up.
    #[prost(message, repeated, tag = "19")]
    pub(super) lookups: Vec<Lookup>,
}

/// Which decision.
#[derive(Clone, PartialEq, prost::Message)]
#[prost(skip_debug)]
pub(super) struct GetRequest {
    /// Its id.
    #[prost(string, tag = "1")]
    pub(super) id: String,
}

/// A recorded decision.
#[derive(Clone, PartialEq, prost::Message)]
#[prost(skip_debug)]
pub(super) struct GetResponse {
    /// As it stands: a person's answer takes the place of the model's.
    #[prost(message, optional, tag = "1")]
    pub(super) decision: Option<Decision>,
    /// Position in the ledger.
    #[prost(uint64, tag = "2")]
    pub(super) seq: u64,
    /// What was to be written back.
    #[prost(message, repeated, tag = "3")]
    pub(super) deliveries: Vec<Delivery>,
}

/// Which decisions. Needs the scope `read`, as over HTTP.
#[derive(Clone, PartialEq, prost::Message)]
#[prost(skip_debug)]
pub(super) struct ListRequest {
    /// Only of this integration.
    #[prost(string, tag = "1")]
    pub(super) integration: String,
    /// Only about this subject.
    #[prost(string, tag = "2")]
    pub(super) subject: String,
    /// Only decided at or after this moment.
    #[prost(message, optional, tag = "3")]
    pub(super) since: Option<prost_types::Timestamp>,
    /// Only decided before this moment.
    #[prost(message, optional, tag = "4")]
    pub(super) until: Option<prost_types::Timestamp>,
    /// Only in this band.
    #[prost(string, tag = "5")]
    pub(super) band: String,
    /// Only that ended so.
    #[prost(enumeration = "Outcome", tag = "6")]
    pub(super) outcome: i32,
    /// Decisions in a page, at most 500; 0: 50.
    #[prost(uint32, tag = "7")]
    pub(super) page_size: u32,
    /// Where to go on: `next_page_token` of the page before, with the same filters.
    #[prost(string, tag = "8")]
    pub(super) page_token: String,
}

/// A page of decisions.
#[derive(Clone, PartialEq, prost::Message)]
#[prost(skip_debug)]
pub(super) struct ListResponse {
    /// As they stand.
    #[prost(message, repeated, tag = "1")]
    pub(super) decisions: Vec<Decision>,
    /// Where the next page begins; empty on the last.
    #[prost(string, tag = "2")]
    pub(super) next_page_token: String,
}

/// Which decision.
#[derive(Clone, PartialEq, prost::Message)]
#[prost(skip_debug)]
pub(super) struct ExplainRequest {
    /// Its id.
    #[prost(string, tag = "1")]
    pub(super) id: String,
}

/// Nothing to say.
#[derive(Clone, PartialEq, prost::Message)]
#[prost(skip_debug)]
pub(super) struct ListIntegrationsRequest {}

/// What can be asked here.
#[derive(Clone, PartialEq, prost::Message)]
#[prost(skip_debug)]
pub(super) struct ListIntegrationsResponse {
    /// Name of the project.
    #[prost(string, tag = "1")]
    pub(super) project: String,
    /// Digest of the plan in force.
    #[prost(string, tag = "2")]
    pub(super) plan: String,
    /// The integrations that the caller may ask or read.
    #[prost(message, repeated, tag = "3")]
    pub(super) integrations: Vec<Integration>,
}

/// What can be asked.
#[derive(Clone, PartialEq, prost::Message)]
#[prost(skip_debug)]
pub(super) struct Integration {
    /// Name.
    #[prost(string, tag = "1")]
    pub(super) name: String,
    /// What it is for.
    #[prost(string, tag = "2")]
    pub(super) purpose: String,
    /// Who answers for it.
    #[prost(string, tag = "3")]
    pub(super) owner: String,
    /// Model and alias.
    #[prost(string, tag = "4")]
    pub(super) model: String,
    /// Doors it can be asked through.
    #[prost(string, repeated, tag = "5")]
    pub(super) doors: Vec<String>,
    /// Bands, best first.
    #[prost(string, repeated, tag = "6")]
    pub(super) bands: Vec<String>,
    /// JSON Schema of its input.
    #[prost(message, optional, tag = "7")]
    pub(super) input: Option<prost_types::Struct>,
}
