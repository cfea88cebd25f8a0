//! Reads a JSON object straight into values of the schema's types: no tree of JSON values in between. Wrong types, unknown
//! names and broken rules are collected while reading goes on; only broken syntax, a name given twice and too deep nesting
//! end it.

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use tendon_kernel::Value;

use super::{Form, Problem, Reading, check::Found, pointer};

impl Form {
    /// Reads a JSON text.
    pub(crate) fn read_json(&self, bytes: &[u8]) -> Reading {
        let values = vec![Value::Null; self.schema.fields.len()];
        let mut reading = Reading { values, problems: Vec::new(), well_formed: false };
        let Ok(text) = std::str::from_utf8(bytes) else {
            reading.problems.push(malformed("not_utf8", "the input is not valid UTF-8".into()));
            return reading;
        };
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let read = ObjectSeed { form: self, reading: &mut reading }.deserialize(&mut deserializer);
        match read.and_then(|()| deserializer.end()) {
            Ok(()) => reading.well_formed = true,
            // Our own errors have left a problem already; whatever was read of a broken text does not count.
            Err(cause) if cause.is_syntax() || cause.is_eof() => {
                let at = format!("the input is no JSON object: line {}, column {}", cause.line(), cause.column());
                reading.problems = vec![malformed("malformed_json", at)];
            }
            Err(_) => {}
        }
        if !reading.well_formed {
            reading.values.fill(Value::Null);
        }
        reading
    }
}

fn malformed(code: &'static str, message: String) -> Problem {
    let hint = Some("send one JSON object (RFC 8259); NaN and Infinity are no JSON, a missing value is null".into());
    Problem { code, pointer: String::new(), message, hint }
}

struct ObjectSeed<'a> {
    form: &'a Form,
    reading: &'a mut Reading,
}

impl<'de> DeserializeSeed<'de> for ObjectSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ObjectSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { form, reading } = self;
        let mut seen = vec![false; form.schema.fields.len()];
        let mut strangers: Vec<String> = Vec::new();
        let mut next = 0;
        while let Some(name) = map.next_key_seed(NameSeed { form, next })? {
            match name {
                Name::Known(index) => {
                    if std::mem::replace(&mut seen[index], true) {
                        return Err(twice(reading, &form.schema.fields[index].name));
                    }
                    next = index + 1;
                    let found = map.next_value_seed(ValueSeed { form, index, reading: &mut *reading })?;
                    reading.values[index] = found;
                }
                Name::Unknown(name) => {
                    map.next_value_seed(Skip { left: form.depth.saturating_sub(1), reading: &mut *reading })?;
                    if strangers.contains(&name) {
                        return Err(twice(reading, &name));
                    }
                    reading.problems.push(unknown(form, &name));
                    strangers.push(name);
                }
            }
            // A thousand strangers are no record of ours: enough is known.
            if strangers.len() > 100 {
                return Err(A::Error::custom("too many unknown fields"));
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        self.reading.problems.push(no_object());
        while seq
            .next_element_seed(Skip { left: self.form.depth.saturating_sub(1), reading: &mut *self.reading })?
            .is_some()
        {}
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.refuse();
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        self.refuse();
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        self.refuse();
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        self.refuse();
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        self.refuse();
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        self.refuse();
        Ok(())
    }
}

impl ObjectSeed<'_> {
    fn refuse(self) {
        self.reading.problems.push(no_object());
    }
}

fn no_object() -> Problem {
    malformed("not_an_object", "the input must be a JSON object".into())
}

fn unknown(form: &Form, name: &str) -> Problem {
    let shown: String = name.chars().take(64).collect();
    let hint = match form.nearest(name) {
        Some(near) => format!("did you mean {near}?"),
        None => {
            let names: Vec<_> = form.schema.fields.iter().take(40).map(|field| field.name.as_ref()).collect();
            format!("known fields: {}", names.join(", "))
        }
    };
    let message = format!("field {shown} is not known");
    Problem { code: "unknown_field", pointer: pointer(&shown), message, hint: Some(hint) }
}

fn twice<E: serde::de::Error>(reading: &mut Reading, name: &str) -> E {
    let shown: String = name.chars().take(64).collect();
    let message = format!("field {shown} is given twice");
    reading.problems = vec![Problem { code: "duplicate_field", pointer: pointer(&shown), message, hint: None }];
    E::custom("a field is given twice")
}

enum Name {
    Known(usize),
    Unknown(String),
}

struct NameSeed<'a> {
    form: &'a Form,
    next: usize,
}

impl<'de> DeserializeSeed<'de> for NameSeed<'_> {
    type Value = Name;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Name, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for NameSeed<'_> {
    type Value = Name;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a field name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Name, E> {
        Ok(self.form.position(name, self.next).map_or_else(|| Name::Unknown(name.to_owned()), Name::Known))
    }
}

struct ValueSeed<'a> {
    form: &'a Form,
    index: usize,
    reading: &'a mut Reading,
}

impl ValueSeed<'_> {
    fn take(self, found: Found<'_>) -> Value {
        self.form.accept(self.index, found).unwrap_or_else(|problem| {
            self.reading.problems.push(problem);
            Value::Null
        })
    }
}

impl<'de> DeserializeSeed<'de> for ValueSeed<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ValueSeed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(self.take(Found::Null))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(self.take(Found::Bool(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(self.take(Found::Int(value)))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        let kind = self.form.schema.fields.get(self.index).map(|field| field.kind);
        Ok(match i64::try_from(value) {
            Ok(value) => self.take(Found::Int(value)),
            #[expect(clippy::cast_precision_loss, reason = "a float field takes the nearest double")]
            Err(_) if kind == Some(tendon_kernel::Type::Float) => self.take(Found::Float(value as f64)),
            Err(_) => self.take(Found::Huge),
        })
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(self.take(Found::Float(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(self.take(Found::Text(value)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let left = self.form.depth.saturating_sub(2);
        while seq.next_element_seed(Skip { left, reading: &mut *self.reading })?.is_some() {}
        Ok(self.take(Found::Nested))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let left = self.form.depth.saturating_sub(2);
        while map.next_key::<serde::de::IgnoredAny>()?.is_some() {
            map.next_value_seed(Skip { left, reading: &mut *self.reading })?;
        }
        Ok(self.take(Found::Nested))
    }
}

/// Reads over a value that nobody wants, down to a depth.
struct Skip<'a> {
    left: usize,
    reading: &'a mut Reading,
}

impl Skip<'_> {
    fn deeper<E: serde::de::Error>(&mut self) -> Result<Skip<'_>, E> {
        let Some(left) = self.left.checked_sub(1) else {
            let message = "the input is nested too deeply".to_owned();
            self.reading.problems = vec![malformed("too_deep", message)];
            return Err(E::custom("nested too deeply"));
        };
        Ok(Skip { left, reading: &mut *self.reading })
    }
}

impl<'de> DeserializeSeed<'de> for Skip<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Skip<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<(), A::Error> {
        let skip = self.deeper()?;
        while seq.next_element_seed(Skip { left: skip.left, reading: &mut *skip.reading })?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        let skip = self.deeper()?;
        while map.next_key::<serde::de::IgnoredAny>()?.is_some() {
            map.next_value_seed(Skip { left: skip.left, reading: &mut *skip.reading })?;
        }
        Ok(())
    }
}
