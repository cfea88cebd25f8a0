//! What a lookup found, as it stands in the sealed part of a decision's entry.

use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, ser::SerializeMap as _};
use tendon_kernel::{Timestamp, Value, decision::LookupState};

use crate::wire;

/// What one lookup found for one decision.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct LookedUp {
    /// The lookup.
    pub name: Arc<str>,
    /// How it went.
    pub state: LookupState,
    /// When the row was read, or the answer that there is none; of a failure: when it was noticed.
    #[serde(with = "micros")]
    pub at: Timestamp,
    /// How old the row was when it was used, when it was read for an earlier decision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age_ms: Option<u64>,
    /// Why the system's own answer was not used: a code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<Arc<str>>,
    /// The row; `None`: there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row: Option<FoundRow>,
}

/// The fields that were looked up, with their names: the record is read years after its plan.
#[derive(Clone, PartialEq)]
pub struct FoundRow {
    /// Names of the fields.
    pub fields: Arc<[String]>,
    /// Their values, in the same order.
    pub values: Vec<Value>,
}

impl FoundRow {
    /// A field's value; null when it was not looked up.
    pub fn get(&self, name: &str) -> Value {
        let at = self.fields.iter().position(|field| field == name);
        at.and_then(|at| self.values.get(at)).cloned().unwrap_or_default()
    }
}

impl Serialize for FoundRow {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.values.len()))?;
        for (field, value) in self.fields.iter().zip(&self.values) {
            map.serialize_entry(field, &wire::Out(value))?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for FoundRow {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (fields, values): (Vec<String>, Vec<Value>) = wire::pairs::deserialize(deserializer)?.into_iter().unzip();
        Ok(Self { fields: fields.into(), values })
    }
}

/// Times as microseconds: exact, and for any number.
mod micros {
    use serde::{Deserialize as _, Deserializer, Serializer};
    use tendon_kernel::Timestamp;

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's `with` calls it so")]
    pub(super) fn serialize<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(time.0)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        i64::deserialize(deserializer).map(Timestamp)
    }
}
