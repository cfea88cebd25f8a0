//! An answer as it lies in a cache: JSON with every bit of its numbers. A value that this version does not understand is no
//! answer: versions may share a cache.

use serde::{Deserialize, Serialize};
use tendon_kernel::{Id, Timestamp};

use crate::{lookup::LookedUp, wire};

/// Raised when the meaning of a field changes, or one comes that must not be overlooked.
const VERSION: u32 = 2;

/// What is kept of a decision.
#[derive(Clone, PartialEq)]
pub(crate) struct Cached {
    pub(crate) from: Id,
    pub(crate) at: Timestamp,
    pub(crate) output: f64,
    pub(crate) classes: Option<Vec<f64>>,
    pub(crate) features: Vec<f64>,
    /// The rows that it was made from: how long they may be used bounds how long it may be.
    pub(crate) looked: Vec<LookedUp>,
}

#[derive(Serialize, Deserialize)]
struct Form {
    v: u32,
    from: Id,
    at: i64,
    output: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    classes: Option<Vec<f64>>,
    #[serde(with = "wire::numbers")]
    features: Vec<f64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    looked: Vec<LookedUp>,
}

impl Cached {
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let Self { from, at, output, classes, features, looked } = self.clone();
        let mut bytes = Vec::with_capacity(96 + 20 * features.len());
        let form = Form { v: VERSION, from, at: at.0, output, classes, features, looked };
        crate::record_format::write_json(&mut bytes, &form);
        bytes
    }

    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let Form { v, from, at, output, classes, features, looked } = serde_json::from_slice(bytes).ok()?;
        (v == VERSION).then_some(Self { from, at: Timestamp(at), output, classes, features, looked })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tendon_kernel::{Value, decision::LookupState};

    use super::*;
    use crate::lookup::FoundRow;

    fn bits(numbers: &[f64]) -> Vec<u64> {
        numbers.iter().map(|number| if number.is_nan() { u64::MAX } else { number.to_bits() }).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn comes_back_to_the_bit(
            id in any::<[u8; 16]>(), at in any::<i64>(),
            output in any::<f64>().prop_filter("finite", |number| number.is_finite()),
            classes in proptest::option::of(proptest::collection::vec(0.0..1.0f64, 0..4)),
            features in proptest::collection::vec(any::<f64>(), 0..6),
            values in proptest::option::of((any::<f64>().prop_filter("finite", |number| number.is_finite()), any::<i64>(), ".{0,9}")),
        ) {
            let row = values.map(|(float, int, text)| FoundRow {
                fields: ["a", "b", "c", "d"].map(String::from).to_vec().into(),
                values: vec![Value::Float(float), Value::Int(int), Value::text(&text), Value::Null],
            });
            let state = if row.is_some() { LookupState::Fresh } else { LookupState::Missing };
            let looked = vec![LookedUp { name: "x".into(), state, at: Timestamp(at), age_ms: None, why: None, row }];
            let cached = Cached { from: Id(id), at: Timestamp(at), output, classes, features, looked };
            let back = Cached::parse(&cached.to_bytes()).unwrap();
            prop_assert!(back.looked == cached.looked);
            prop_assert_eq!(bits(&back.features), bits(&cached.features));
            prop_assert_eq!(back.output.to_bits(), cached.output.to_bits());
            prop_assert_eq!((back.from, back.at, back.classes), (cached.from, cached.at, cached.classes));
        }

        #[test]
        fn other_bytes_are_no_answer(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            prop_assert!(Cached::parse(&bytes).is_none());
        }
    }
}
