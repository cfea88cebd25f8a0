//! Messages of `tendon.v1`, made by `cargo xtask proto` from proto/tendon/v1/parts.proto: change that file, not this one.

/// A version of a model.
#[derive(Clone, PartialEq, prost::Message)]
#[prost(skip_debug)]
pub(super) struct ModelVersion {
    /// Model.
    #[prost(string, tag = "1")]
    pub(super) name: String,
    /// Version.
    #[prost(string, tag = "2")]
    pub(super) version: String,
    /// SHA-256 of its file, lower-case hex.
    #[prost(string, tag = "3")]
    pub(super) digest: String,
}

/// A value that was put in place of a missing one.
#[derive(Clone, PartialEq, prost::Message)]
#[prost(skip_debug)]
pub(super) struct Repair {
    /// Field.
    #[prost(string, tag = "1")]
    pub(super) field: String,
    /// How.
    #[prost(string, tag = "2")]
    pub(super) how: String,
}

/// Why a decision has no answer.
#[derive(Clone, PartialEq, prost::Message)]
#[prost(skip_debug)]
pub(super) struct Failure {
    /// Stable code.
    #[prost(string, tag = "1")]
    pub(super) code: String,
    /// What happened.
    #[prost(string, tag = "2")]
    pub(super) message: String,
    /// JSON pointer into the input.
    #[prost(string, tag = "3")]
    pub(super) pointer: String,
    /// What to do.
    #[prost(string, tag = "4")]
    pub(super) hint: String,
    /// Whether asking again may help.
    #[prost(bool, tag = "5")]
    pub(super) retryable: bool,
}

/// Why a decision is what it is: contributions that add up from base to margin.
#[derive(Clone, PartialEq, prost::Message)]
#[prost(skip_debug)]
pub(super) struct Explanation {
    /// How it was computed.
    #[prost(string, tag = "1")]
    pub(super) method: String,
    /// Margin of an input of which nothing is known.
    #[prost(double, tag = "2")]
    pub(super) base: f64,
    /// Margin of this input.
    #[prost(double, tag = "3")]
    pub(super) margin: f64,
    /// Contributions, largest first.
    #[prost(message, repeated, tag = "4")]
    pub(super) reasons: Vec<Reason>,
}

/// What one feature contributed.
#[derive(Clone, PartialEq, prost::Message)]
#[prost(skip_debug)]
pub(super) struct Reason {
    /// Feature.
    #[prost(string, tag = "1")]
    pub(super) feature: String,
    /// Its value; null where it is missing, or not for the caller: for whoever asked, operators, and reviewers of the integration.
    #[prost(message, optional, tag = "2")]
    pub(super) value: Option<prost_types::Value>,
    /// What it added to the margin.
    #[prost(double, tag = "3")]
    pub(super) contribution: f64,
    /// The same in words.
    #[prost(string, tag = "4")]
    pub(super) text: String,
}

/// A write-back; not its values, which may be of other fields than were asked about.
#[derive(Clone, PartialEq, prost::Message)]
#[prost(skip_debug)]
pub(super) struct Delivery {
    /// System.
    #[prost(string, tag = "1")]
    pub(super) system: String,
    /// Resource.
    #[prost(string, tag = "2")]
    pub(super) resource: String,
    /// pending, delivered, superseded, dead, erased.
    #[prost(string, tag = "3")]
    pub(super) state: String,
    /// Attempts so far.
    #[prost(uint32, tag = "4")]
    pub(super) attempts: u32,
    /// Why it stands where it stands.
    #[prost(string, tag = "5")]
    pub(super) cause: String,
}

/// Where an answer was recalled from, when it was not computed for this decision.
#[derive(Clone, PartialEq, prost::Message)]
#[prost(skip_debug)]
pub(super) struct Recalled {
    /// Id of the decision that it was computed for.
    #[prost(string, tag = "1")]
    pub(super) from: String,
    /// When that was decided.
    #[prost(message, optional, tag = "2")]
    pub(super) at: Option<prost_types::Timestamp>,
    /// How old the answer was, in milliseconds.
    #[prost(uint64, tag = "3")]
    pub(super) age_ms: u64,
    /// Whether it was past its time, so that a new one is being computed.
    #[prost(bool, tag = "4")]
    pub(super) stale: bool,
}

/// How one lookup went; the row itself stays in the sealed part of the record.
#[derive(Clone, PartialEq, prost::Message)]
#[prost(skip_debug)]
pub(super) struct Lookup {
    /// Name of the lookup.
    #[prost(string, tag = "1")]
    pub(super) name: String,
    /// fresh, stale, missing or failed.
    #[prost(string, tag = "2")]
    pub(super) state: String,
    /// How old the row was, in milliseconds, when it had been read before.
    #[prost(uint64, optional, tag = "3")]
    pub(super) age_ms: Option<u64>,
    /// Why the system's own answer was not used: a code.
    #[prost(string, optional, tag = "4")]
    pub(super) why: Option<String>,
}
