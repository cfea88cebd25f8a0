//! Values and records: what rows of systems and fields of requests are made of, once they have a schema.

use std::{fmt, sync::Arc};

use serde::ser::{SerializeMap as _, Serializer};

use crate::{schema::Schema, time::Timestamp};

/// The type of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Type {
    /// true or false.
    Bool,
    /// 64-bit signed integer.
    Int,
    /// 64-bit IEEE float; never NaN or infinite in a record.
    Float,
    /// UTF-8 text.
    Text,
    /// Point in time with microseconds.
    Time,
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Float => "float",
            Self::Text => "text",
            Self::Time => "time",
        })
    }
}

/// One value.
#[derive(Clone, Debug, PartialEq, Default)]
pub enum Value {
    /// Absent or null.
    #[default]
    Null,
    /// true or false.
    Bool(bool),
    /// Integer.
    Int(i64),
    /// Float, finite.
    Float(f64),
    /// Text.
    Text(Arc<str>),
    /// Point in time.
    Time(Timestamp),
}

impl Value {
    /// A text value.
    pub fn text(text: &str) -> Self {
        Self::Text(Arc::from(text))
    }

    /// Whether it is null.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The value as a number, if it is one (a bool is 0 or 1).
    pub fn number(&self) -> Option<f64> {
        match self {
            Self::Bool(value) => Some(f64::from(u8::from(*value))),
            #[expect(clippy::cast_precision_loss, reason = "features are doubles; that is the contract of a matrix")]
            Self::Int(value) => Some(*value as f64),
            Self::Float(value) => Some(*value),
            _ => None,
        }
    }

    /// The text, if it is one.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The value's type; `None` for null.
    pub fn kind(&self) -> Option<Type> {
        match self {
            Self::Null => None,
            Self::Bool(_) => Some(Type::Bool),
            Self::Int(_) => Some(Type::Int),
            Self::Float(_) => Some(Type::Float),
            Self::Text(_) => Some(Type::Text),
            Self::Time(_) => Some(Type::Time),
        }
    }

    /// Converts into a JSON value; a float that is not finite becomes null.
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Null => serde_json::Value::Null,
            Self::Bool(value) => (*value).into(),
            Self::Int(value) => (*value).into(),
            Self::Float(value) => serde_json::Number::from_f64(*value).map_or(serde_json::Value::Null, Into::into),
            Self::Text(text) => text.as_ref().into(),
            Self::Time(time) => time.to_string().into(),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => value.fmt(f),
            Self::Int(value) => value.fmt(f),
            Self::Float(value) => value.fmt(f),
            Self::Text(text) => f.write_str(text),
            Self::Time(time) => time.fmt(f),
        }
    }
}

impl serde::Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Int(value) => serializer.serialize_i64(*value),
            Self::Float(value) => serializer.serialize_f64(*value),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Time(time) => serializer.collect_str(time),
        }
    }
}

/// A row: one value per field of its schema, in the schema's order. Serialises as a JSON object with the schema's names.
#[derive(Clone, PartialEq)]
pub struct Record {
    /// Names, types and rules of the values.
    pub schema: Arc<Schema>,
    /// One value per field.
    pub values: Vec<Value>,
}

impl Record {
    /// A record of nulls.
    pub fn empty(schema: Arc<Schema>) -> Self {
        let values = vec![Value::Null; schema.fields.len()];
        Self { schema, values }
    }

    /// The value of a field; `None` when the schema has no such field.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.values.get(self.schema.position(name)?)
    }
}

impl fmt::Debug for Record {
    /// Names only: records carry personal data, and `Debug` ends up in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.schema.fields.iter().map(|field| &field.name)).finish()
    }
}

impl serde::Serialize for Record {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.values.len()))?;
        for (field, value) in self.schema.fields.iter().zip(&self.values) {
            map.serialize_entry(field.name.as_ref(), value)?;
        }
        map.end()
    }
}
