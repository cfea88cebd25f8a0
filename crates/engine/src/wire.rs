//! Values as JSON without loss: what is written into an entry must come back with the same type and the same bits, because
//! deliveries, replay and proofs are made from it. Int and float differ by their text (`5` and `5.0`), a time is
//! `{"time": microseconds}`, everything else is itself.

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error as _, MapAccess, SeqAccess, Visitor},
    ser::SerializeMap as _,
};
use tendon_kernel::{Timestamp, Value};

/// A value to be written.
pub struct Out<'a>(pub &'a Value);

impl Serialize for Out<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Null => serializer.serialize_unit(),
            Value::Bool(value) => serializer.serialize_bool(*value),
            Value::Int(value) => serializer.serialize_i64(*value),
            Value::Float(value) => serializer.serialize_f64(*value),
            Value::Text(text) => serializer.serialize_str(text),
            Value::Time(time) => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry("time", &time.0)?;
                map.end()
            }
        }
    }
}

/// A value read back.
pub struct In(pub Value);

impl<'de> Deserialize<'de> for In {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor).map(Self)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a scalar or a time in microseconds")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Int(value))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Value, E> {
        i64::try_from(value).map(Value::Int).map_err(|_| E::custom("integer beyond 64 bits"))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::text(value))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        match map.next_entry::<String, i64>()? {
            Some((name, micros)) if name == "time" && map.next_key::<String>()?.is_none() => {
                Ok(Value::Time(Timestamp(micros)))
            }
            _ => Err(A::Error::custom("an object that is no time")),
        }
    }
}

/// A value that may not be there at all.
pub mod maybe {
    use super::{Deserialize as _, Deserializer, In, Out, Serialize as _, Serializer, Value};

    /// Writes it.
    ///
    /// # Errors
    /// The serializer's.
    pub fn serialize<S: Serializer>(value: &Option<Value>, serializer: S) -> Result<S::Ok, S::Error> {
        value.as_ref().map(Out).serialize(serializer)
    }

    /// Reads it.
    ///
    /// # Errors
    /// The deserializer's.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
        In::deserialize(deserializer).map(|In(value)| Some(value))
    }
}

/// Named values, in order, as a JSON object.
pub mod pairs {
    use super::{Deserializer, In, MapAccess, Out, Serializer, Value, Visitor};
    use serde::ser::SerializeMap as _;

    /// Writes them.
    ///
    /// # Errors
    /// The serializer's.
    pub fn serialize<S: Serializer>(pairs: &[(String, Value)], serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(pairs.len()))?;
        for (name, value) in pairs {
            map.serialize_entry(name, &Out(value))?;
        }
        map.end()
    }

    /// Reads them.
    ///
    /// # Errors
    /// The deserializer's.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<(String, Value)>, D::Error> {
        deserializer.deserialize_map(Pairs)
    }

    struct Pairs;

    impl<'de> Visitor<'de> for Pairs {
        type Value = Vec<(String, Value)>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object of values")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut pairs = Vec::new();
            while let Some((name, In(value))) = map.next_entry::<String, In>()? {
                pairs.push((name, value));
            }
            Ok(pairs)
        }
    }
}

/// Values in order, as a JSON array.
pub mod list {
    use super::{Deserializer, In, Out, SeqAccess, Serializer, Value, Visitor};
    use serde::ser::SerializeSeq as _;

    /// Writes them.
    ///
    /// # Errors
    /// The serializer's.
    pub fn serialize<S: Serializer>(values: &[Value], serializer: S) -> Result<S::Ok, S::Error> {
        let mut seq = serializer.serialize_seq(Some(values.len()))?;
        for value in values {
            seq.serialize_element(&Out(value))?;
        }
        seq.end()
    }

    /// Reads them.
    ///
    /// # Errors
    /// The deserializer's.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Value>, D::Error> {
        deserializer.deserialize_seq(List)
    }

    struct List;

    impl<'de> Visitor<'de> for List {
        type Value = Vec<Value>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an array of values")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
            let mut values = Vec::new();
            while let Some(In(value)) = seq.next_element::<In>()? {
                values.push(value);
            }
            Ok(values)
        }
    }
}

/// Numbers of the matrix: null is NaN (missing), the infinities are texts, all else is exact.
pub mod numbers {
    use super::{Deserialize, Deserializer, Serializer};
    use serde::{de::Error as _, ser::SerializeSeq as _};

    /// Writes them.
    ///
    /// # Errors
    /// The serializer's.
    pub fn serialize<S: Serializer>(numbers: &[f64], serializer: S) -> Result<S::Ok, S::Error> {
        let mut seq = serializer.serialize_seq(Some(numbers.len()))?;
        for &number in numbers {
            if number.is_nan() {
                seq.serialize_element(&())?;
            } else if number.is_infinite() {
                seq.serialize_element(if number > 0.0 { "inf" } else { "-inf" })?;
            } else {
                seq.serialize_element(&number)?;
            }
        }
        seq.end()
    }

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Number {
        Finite(f64),
        Infinite(String),
    }

    /// Reads them.
    ///
    /// # Errors
    /// The deserializer's; a text that names no infinity.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f64>, D::Error> {
        Vec::<Option<Number>>::deserialize(deserializer)?
            .into_iter()
            .map(|number| match number {
                None => Ok(f64::NAN),
                Some(Number::Finite(value)) => Ok(value),
                Some(Number::Infinite(text)) if text == "inf" => Ok(f64::INFINITY),
                Some(Number::Infinite(text)) if text == "-inf" => Ok(f64::NEG_INFINITY),
                Some(Number::Infinite(_)) => Err(D::Error::custom("a number of the matrix is none")),
            })
            .collect()
    }
}
