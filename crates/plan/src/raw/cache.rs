//! The shapes of `cache`: in `tendon.yaml`, where answers are kept; in an integration, which may be reused.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

use super::Span;
use crate::yaml::At;

/// Format name of sizes in the schema.
pub(crate) const SIZE: &str = "tendon-size";

/// Where answers are kept for reuse. Left out: 64 MiB of the process's memory.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct CacheStoreRaw {
    /// In the process's memory: at most so much (default `64MiB`). What is asked least goes first.
    pub(crate) memory: Option<At<Size>>,
    /// In Redis or Valkey, shared and kept over a restart. What lies there is encrypted; when it is lost, decisions go on without.
    pub(crate) redis: Option<At<RedisRaw>>,
}

/// A Redis or Valkey server.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["url"]))]
pub(crate) struct RedisRaw {
    /// `redis://host:port/database`, or `rediss://…` for TLS; may be a reference such as `${env:REDIS_URL}`. With `user:password@` only by reference.
    #[schemars(required)]
    pub(crate) url: Option<At<String>>,
    /// Password, as a reference: `${env:REDIS_PASSWORD}`, `${file:redis.password}`.
    pub(crate) password: Option<At<String>>,
    /// User of Redis's access lists (default: Redis's own `default`).
    pub(crate) username: Option<At<String>>,
    /// PEM file with the certificates to trust, relative to the project (default: the system's).
    pub(crate) ca: Option<At<String>>,
    /// Longest wait for a connection (default 1s).
    pub(crate) connect: Option<Span>,
    /// Longest wait for an answer; what takes longer is decided without (default 50ms).
    pub(crate) timeout: Option<Span>,
}

/// The cache of an integration's answers.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["key", "ttl"]))]
pub(crate) struct CacheRaw {
    /// Fields that must be equal for an answer to be reused, beside the subject, the model's version, the plan, and the fields
    /// by which rows are looked up. A caller who cannot give one of them (a watermark) is recognised by its whole input.
    #[schemars(required)]
    pub(crate) key: Vec<At<String>>,
    /// How long an answer may be reused.
    /// Never longer than `fresh` of each lookup, counted from when its row was read. An answer for which a lookup failed, or used
    /// a stale row, is not reused.
    #[schemars(required)]
    pub(crate) ttl: Option<Span>,
    /// How long after that it may still be given at once, marked stale, while a new one is computed (default: not at all); never
    /// with a row older than its lookup's `stale`.
    pub(crate) stale: Option<Span>,
    /// Computes answers ahead for rows of `input.from`, while there is room to spare.
    pub(crate) precompute: Option<At<PrecomputeRaw>>,
}

/// Answers computed ahead.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct PrecomputeRaw {
    /// Field of the input by which the most important rows come first: `priority` the smallest, `-priority` the largest (default: by key).
    pub(crate) order: Option<At<String>>,
    /// Most rows (default 10000).
    #[schemars(range(min = 1))]
    pub(crate) limit: Option<u32>,
    /// How often all of it is looked at again; answers that are still good stay (default: half of the time that an answer lives).
    pub(crate) every: Option<Span>,
}

/// A size: a number and a unit of `KiB`, `MiB`, `GiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size(pub(crate) u64);

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse_size(&text).map(Self).ok_or_else(|| serde::de::Error::custom("no size"))
    }
}

impl JsonSchema for Size {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Size".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": SIZE, "pattern": "^[0-9]+(KiB|MiB|GiB)$", "examples": ["64MiB", "2GiB"] })
    }
}

/// Reads `512KiB`, `64MiB`, `2GiB`; at most a TiB.
pub(crate) fn parse_size(text: &str) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(end);
    let shift = match unit {
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        _ => return None,
    };
    let size = number.parse::<u64>().ok()?.checked_mul(1 << shift)?;
    (size <= 1 << 40).then_some(size)
}
