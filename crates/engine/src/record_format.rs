//! What the path writes into the sealed part of a decision's entry, beside the decision itself (`Body::output` is the
//! [`tendon_kernel::decision::Decision`] as JSON, without its explanation, which has a place of its own):
//!
//! - `Body::input`: a [`Snapshot`]: the raw input, `now`, what was looked up, and the row of the matrix; all that a replay
//!   needs.
//! - `Body::more`: a [`More`]: the deliveries that the decision causes, or the dead letter it became; empty for none.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tendon_kernel::{
    Error, ErrorKind, Result, Timestamp, Value,
    decision::{Delivery, Failure},
};

use crate::{
    ask::{Input, SourceRow},
    lookup::LookedUp,
    took::Took,
    wire,
};

/// The rest of a decision's entry (`request` first, where it answers an accepted one):
/// `{"row":{"key":[7],"mark":{"time":1}},"deliveries":[…],"letter":{…},"why":"…","mark":{"time":1},"took":{"ns":[…]}}`, each part only when there is one.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct More {
    /// Position of the accepted request that this decision answers. First, so that [`More::answers_request`] need not look
    /// further.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<u64>,
    /// What is needed when a person has answered, where one is asked. Second, so that [`More::awaits_review`] need not look
    /// further.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub review: Option<Awaited>,
    /// Of a verdict: position of the decision that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reviewed: Option<u64>,
    /// The row that the input came from, as the watch read it.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "source_row")]
    pub row: Option<SourceRow>,
    /// Write-backs that this decision causes; recording them here is accepting them.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "deliveries")]
    pub deliveries: Vec<Delivery>,
    /// The dead letter that the record became, when it came from a system and could not go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub letter: Option<Letter>,
    /// Why a fallback answered: the failed attempt and the rung, in words; and why a person is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Watermark of the row whose answer this decision renews in the cache; it comes from no row itself.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "wire::maybe")]
    pub mark: Option<Value>,
    /// How long the stages took. Last, so that [`More::is_plain`] need not look further.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub took: Option<Took>,
}

/// What a decision that waits for a person keeps for the time after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Awaited {
    /// When a person should have answered by, in microseconds.
    pub due: i64,
    /// Address to be told of the decision, once there is an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub callback: Option<String>,
    /// System that the row came from, where it came from one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<Arc<str>>,
    /// Resource that the row came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<Arc<str>>,
}

/// A record of a system that could not go on, or whose write-back could not be made.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Letter {
    /// Cause.
    pub cause: Failure,
    /// System it came from.
    pub system: Arc<str>,
    /// Resource it came from.
    pub resource: Arc<str>,
    /// Its key: names and values.
    #[serde(with = "wire::pairs")]
    pub key: Vec<(String, Value)>,
}

impl More {
    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether these bytes are of a decision that causes nothing: what most of them are.
    pub fn is_plain(bytes: &[u8]) -> bool {
        bytes.is_empty() || bytes.starts_with(b"{\"took\":")
    }

    /// Whether these bytes are of a decision that answers an accepted request.
    pub fn answers_request(bytes: &[u8]) -> bool {
        bytes.starts_with(b"{\"request\":")
    }

    /// Whether these bytes are of a decision that waits for a person.
    pub fn awaits_review(bytes: &[u8]) -> bool {
        let rest = match bytes.strip_prefix(b"{\"request\":") {
            Some(rest) => &rest[rest.iter().take_while(|byte| byte.is_ascii_digit()).count()..],
            None => bytes,
        };
        rest.starts_with(b"{\"review\":{") || rest.starts_with(b",\"review\":{")
    }

    /// As JSON; no bytes at all when empty.
    pub fn to_bytes(&self) -> Vec<u8> {
        if self.is_empty() {
            return Vec::new();
        }
        // Most hold the times of the stages only, which fit.
        let mut bytes = Vec::with_capacity(128);
        write_json(&mut bytes, self);
        bytes
    }

    /// Reads it back; no bytes are an empty one.
    ///
    /// # Errors
    /// `Corrupt` when the bytes are not what [`More::to_bytes`] writes.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        if bytes.is_empty() {
            return Ok(Self::default());
        }
        serde_json::from_slice(bytes).map_err(|cause| corrupt("the deliveries", &cause))
    }
}

/// Appends a value as JSON. Into memory, with keys that are texts, that cannot fail; if it ever does, the entry does not
/// parse, which every reader reports.
pub(crate) fn write_json(out: &mut Vec<u8>, value: &impl Serialize) {
    if let Err(cause) = serde_json::to_writer(out, value) {
        tracing::error!(%cause, "a part of a record could not be written as JSON");
    }
}

/// A defect in what an entry holds: this version cannot have written it.
pub(crate) fn corrupt(what: &str, cause: &serde_json::Error) -> Error {
    Error::new(ErrorKind::Corrupt, "entry_unreadable", format!("{what} of a recorded decision cannot be read"))
        .hint("run `tendon ledger verify`; if it passes, a newer version wrote this entry")
        .private(format!("line {} column {}: {:?}", cause.line(), cause.column(), cause.classify()))
}

/// Raw input, time and matrix row of a decision.
#[derive(Clone, PartialEq)]
pub struct Snapshot {
    /// The input as it came.
    pub raw: Raw,
    /// `now` of the decision.
    pub now: Timestamp,
    /// Row of the matrix in the signature's order; empty when the decision ended before.
    pub features: Vec<f64>,
    /// What was looked up.
    pub lookups: Vec<LookedUp>,
}

/// An input as it came.
#[derive(Clone, PartialEq)]
pub enum Raw {
    /// JSON text, byte for byte (white space around it aside).
    Json(Vec<u8>),
    /// Values of a system's row.
    Values(Vec<Value>),
}

#[derive(Serialize)]
struct ValuesOut<'a>(#[serde(with = "wire::list")] &'a [Value]);

#[derive(Serialize)]
struct NumbersOut<'a>(#[serde(with = "wire::numbers")] &'a [f64]);

#[derive(Deserialize)]
struct ValuesIn(#[serde(with = "wire::list")] Vec<Value>);

#[derive(Deserialize)]
struct SnapshotIn<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    raw: Option<&'a RawValue>,
    #[serde(default)]
    hex: Option<String>,
    #[serde(default)]
    values: Option<ValuesIn>,
    now: i64,
    #[serde(default, with = "wire::numbers")]
    features: Vec<f64>,
    #[serde(default)]
    lookups: Vec<LookedUp>,
}

/// A field that is there, also when it says `null`: that, too, is an input somebody sent.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

impl Snapshot {
    /// Writes a snapshot. `well_formed` says that a JSON input was read to its end as one JSON text, so that it can stand in
    /// the snapshot as it is; any other text is kept as hex digits, because it may be no UTF-8.
    pub fn write(input: &Input, well_formed: bool, now: Timestamp, features: &[f64]) -> Vec<u8> {
        Self::write_with(input, well_formed, now, features, &[])
    }

    /// The same with what was looked up.
    pub fn write_with(
        input: &Input,
        well_formed: bool,
        now: Timestamp,
        features: &[f64],
        lookups: &[&LookedUp],
    ) -> Vec<u8> {
        let size = match input {
            Input::Json(bytes) => bytes.len(),
            Input::Values(values) => values.len() * 16,
        };
        let mut out = Vec::with_capacity(64 + size + features.len() * 20);
        match input {
            Input::Json(bytes) if well_formed => {
                out.extend_from_slice(b"{\"raw\":");
                out.extend_from_slice(bytes.trim_ascii());
            }
            Input::Json(bytes) => {
                out.extend_from_slice(b"{\"hex\":\"");
                out.extend_from_slice(hex(bytes).as_bytes());
                out.push(b'"');
            }
            Input::Values(values) => {
                out.extend_from_slice(b"{\"values\":");
                write_json(&mut out, &ValuesOut(values));
            }
        }
        out.extend_from_slice(b",\"now\":");
        write_json(&mut out, &now.0);
        if !features.is_empty() {
            out.extend_from_slice(b",\"features\":");
            write_json(&mut out, &NumbersOut(features));
        }
        if !lookups.is_empty() {
            out.extend_from_slice(b",\"lookups\":");
            write_json(&mut out, &lookups);
        }
        out.push(b'}');
        out
    }

    /// Reads a snapshot back.
    ///
    /// # Errors
    /// `Corrupt` when the bytes are not what [`Snapshot::write`] writes.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let snapshot: SnapshotIn<'_> = serde_json::from_slice(bytes).map_err(|cause| corrupt("the input", &cause))?;
        let raw = match (snapshot.raw, snapshot.hex, snapshot.values) {
            (Some(raw), None, None) => Raw::Json(raw.get().as_bytes().to_vec()),
            (None, Some(hex), None) => Raw::Json(unhex(&hex)?),
            (None, None, Some(values)) => Raw::Values(values.0),
            _ => return Err(no_input()),
        };
        Ok(Self { raw, now: Timestamp(snapshot.now), features: snapshot.features, lookups: snapshot.lookups })
    }
}

impl Raw {
    /// As the path takes it.
    pub fn into_input(self) -> Input {
        match self {
            Self::Json(bytes) => Input::Json(bytes.into()),
            Self::Values(values) => Input::Values(values),
        }
    }
}

fn no_input() -> Error {
    Error::new(ErrorKind::Corrupt, "entry_unreadable", "a recorded decision names no input, or more than one")
        .hint("run `tendon ledger verify`; if it passes, a newer version wrote this entry")
}

/// Lower-case hex digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        for digit in [byte >> 4, byte & 15] {
            text.push(char::from_digit(u32::from(digit), 16).unwrap_or('0'));
        }
        text
    })
}

fn unhex(text: &str) -> Result<Vec<u8>> {
    let digits: Option<Vec<u32>> = text.chars().map(|digit| digit.to_digit(16)).collect();
    let digits = digits.filter(|digits| digits.len() % 2 == 0).ok_or_else(no_input)?;
    Ok(digits.chunks_exact(2).map(|pair| pair.iter().fold(0u8, |byte, &d| (byte << 4) | (d as u8 & 15))).collect())
}

/// Deliveries as JSON.
mod deliveries {
    use super::{Arc, Delivery, Deserialize, Serialize, Timestamp, Value, wire};
    use serde::{Deserializer, Serializer};

    #[derive(Serialize)]
    struct Out<'a> {
        system: &'a str,
        resource: &'a str,
        #[serde(with = "wire::pairs")]
        key: &'a [(String, Value)],
        #[serde(with = "wire::pairs")]
        set: &'a [(String, Value)],
        #[serde(with = "wire::pairs")]
        expect: &'a [(String, Value)],
        #[serde(skip_serializing_if = "Option::is_none")]
        older: Option<(&'a str, i64)>,
    }

    #[derive(Deserialize)]
    struct In {
        system: Arc<str>,
        resource: Arc<str>,
        #[serde(with = "wire::pairs")]
        key: Vec<(String, Value)>,
        #[serde(with = "wire::pairs")]
        set: Vec<(String, Value)>,
        #[serde(with = "wire::pairs")]
        expect: Vec<(String, Value)>,
        #[serde(default)]
        older: Option<(String, i64)>,
    }

    pub(super) fn serialize<S: Serializer>(deliveries: &[Delivery], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(deliveries.iter().map(|delivery| Out {
            system: &delivery.system,
            resource: &delivery.resource,
            key: &delivery.key,
            set: &delivery.set,
            expect: &delivery.expect,
            older: delivery.older.as_ref().map(|(field, time)| (field.as_str(), time.0)),
        }))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Delivery>, D::Error> {
        let deliveries = Vec::<In>::deserialize(deserializer)?;
        Ok(deliveries
            .into_iter()
            .map(|delivery| Delivery {
                system: delivery.system,
                resource: delivery.resource,
                key: delivery.key,
                set: delivery.set,
                expect: delivery.expect,
                older: delivery.older.map(|(field, micros)| (field, Timestamp(micros))),
            })
            .collect())
    }
}

/// The source row as JSON.
mod source_row {
    use super::{Deserialize, Serialize, SourceRow, Value, wire};
    use serde::{Deserializer, Serializer};

    #[derive(Serialize)]
    struct Out<'a> {
        #[serde(with = "wire::list")]
        key: &'a [Value],
        mark: wire::Out<'a>,
        digest: &'a [u8; 16],
    }

    #[derive(Deserialize)]
    struct In {
        #[serde(with = "wire::list")]
        key: Vec<Value>,
        mark: wire::In,
        digest: [u8; 16],
    }

    #[expect(clippy::ref_option, reason = "serde's `with` calls it so")]
    pub(super) fn serialize<S: Serializer>(row: &Option<SourceRow>, serializer: S) -> Result<S::Ok, S::Error> {
        row.as_ref()
            .map(|row| Out { key: &row.key, mark: wire::Out(&row.mark), digest: &row.digest })
            .serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SourceRow>, D::Error> {
        Ok(Option::<In>::deserialize(deserializer)?.map(|row| SourceRow {
            key: row.key,
            mark: row.mark.0,
            digest: row.digest,
        }))
    }
}
