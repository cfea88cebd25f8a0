//! The raw configuration: what may stand in `tendon.yaml` and `integrations/*.yaml`. These structs are its reference: the
//! editor schema, the check for unknown keys and the printed reference are all derived from them. Here: the small types.

mod cache;
mod callback;
mod embed;
mod grpc;
mod input;
mod integration;
mod ledger;
mod limits;
mod lookup;
mod objectives;
mod project;
mod route;
mod telemetry;
mod trust;

use std::{borrow::Cow, time::Duration};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

pub(crate) use cache::{CacheRaw, CacheStoreRaw, PrecomputeRaw, RedisRaw, SIZE, Size, parse_size};
pub(crate) use callback::CallbackRaw;
pub(crate) use embed::EmbedRaw;
pub(crate) use grpc::GrpcRaw;
pub(crate) use input::{FieldRaw, InputRaw, QualityRaw, RuleRaw, Scalar, SchemaRaw, TypeRaw};
pub(crate) use integration::{ApiRaw, ChangeRaw, EventsRaw, IntegrationRaw, RecordRaw};
pub(crate) use ledger::LedgerRaw;
pub(crate) use limits::{BreakerRaw, LimitsRaw};
pub(crate) use lookup::{LookupRaw, WithoutRaw};
pub(crate) use objectives::{FastRaw, ObjectivesRaw};
pub(crate) use project::{ModelRaw, ProjectRaw, ServerRaw, SystemRaw};
pub(crate) use route::{ArmRaw, RouteRaw};
pub(crate) use telemetry::{LogFormatRaw, LogLevelRaw, OtlpRaw, SignalRaw, TelemetryRaw};
pub(crate) use trust::{AuthRaw, CallerLimitsRaw, ClientModeRaw, ClientRaw, CorsRaw, OidcRaw, SignInRaw, TlsRaw};

/// Format name of durations in the schema.
pub(crate) const DURATION: &str = "tendon-duration";

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
pub fn parse_duration(text: &str) -> Option<Duration> {
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
