//! Values while an expression is evaluated: borrowed where possible, with durations and lists, which no record holds.

use std::sync::Arc;

use tendon_kernel::{Timestamp, Value};

/// A value under evaluation. Durations are microseconds.
#[derive(Clone, Debug)]
pub(crate) enum V<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Double(f64),
    Text(&'a str),
    Owned(Arc<str>),
    Time(Timestamp),
    Duration(i64),
    List(Arc<[V<'static>]>),
    Items(Vec<V<'a>>),
}

/// Why an evaluation has no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    DivisionByZero,
    Overflow,
    NotFinite,
    Conversion,
    NotOrdered,
    OutOfBounds,
    Null,
    Unusable,
}

impl Fault {
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::DivisionByZero => "division_by_zero",
            Self::Overflow => "overflow",
            Self::NotFinite => "not_finite",
            Self::Conversion => "conversion_failed",
            Self::NotOrdered => "not_ordered",
            Self::OutOfBounds => "index_out_of_bounds",
            Self::Null => "null_value",
            Self::Unusable => "unusable_value",
        }
    }

    pub(crate) fn message(self) -> &'static str {
        match self {
            Self::DivisionByZero => "the expression divides by zero",
            Self::Overflow => "the expression leaves the range of its type",
            Self::NotFinite => "the expression gives no finite number",
            Self::Conversion => "the expression converts a value that does not have the target's form",
            Self::NotOrdered => "the expression orders NaN",
            Self::OutOfBounds => "the expression reads outside of a list",
            Self::Null => "the expression uses a value that is null",
            Self::Unusable => "the expression met a value of another type than its schema says",
        }
    }
}

/// Result of an evaluation.
pub(crate) type Outcome<'a> = Result<V<'a>, Fault>;

impl<'a> V<'a> {
    /// The value of a record's field.
    pub(crate) fn of(value: &'a Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(*value),
            Value::Int(value) => Self::Int(*value),
            Value::Float(value) => Self::Double(*value),
            Value::Text(text) => Self::Text(text),
            Value::Time(time) => Self::Time(*time),
        }
    }

    /// Borrows a constant.
    pub(crate) fn borrow(&'a self) -> V<'a> {
        match self {
            Self::Owned(text) => V::Text(text),
            other => other.clone(),
        }
    }

    /// The text, if it is one.
    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Owned(text) => Some(text),
            _ => None,
        }
    }

    /// The items, if it is a list.
    pub(crate) fn items(&self) -> Option<&[V<'a>]> {
        match self {
            Self::List(items) => Some(items),
            Self::Items(items) => Some(items),
            _ => None,
        }
    }

    /// Without borrowed parts, for constants.
    pub(crate) fn detach(self) -> V<'static> {
        match self {
            Self::Null => V::Null,
            Self::Bool(value) => V::Bool(value),
            Self::Int(value) => V::Int(value),
            Self::Double(value) => V::Double(value),
            Self::Text(text) => V::Owned(Arc::from(text)),
            Self::Owned(text) => V::Owned(text),
            Self::Time(time) => V::Time(time),
            Self::Duration(micros) => V::Duration(micros),
            Self::List(items) => V::List(items),
            Self::Items(items) => V::List(items.into_iter().map(V::detach).collect()),
        }
    }

    /// As a record's value.
    pub(crate) fn to_value(&self) -> Result<Value, Fault> {
        Ok(match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(*value),
            Self::Int(value) => Value::Int(*value),
            Self::Double(value) if value.is_finite() => Value::Float(*value),
            Self::Double(_) => return Err(Fault::NotFinite),
            Self::Text(text) => Value::text(text),
            Self::Owned(text) => Value::Text(Arc::clone(text)),
            Self::Time(time) => Value::Time(*time),
            Self::Duration(_) | Self::List(_) | Self::Items(_) => return Err(Fault::Unusable),
        })
    }

    /// Equality as CEL has it: numbers compare by value, null equals only null, NaN equals nothing.
    pub(crate) fn equals(&self, other: &V<'_>) -> bool {
        match (self, other) {
            (Self::Null, V::Null) => true,
            (Self::Bool(a), V::Bool(b)) => a == b,
            (Self::Int(a), V::Int(b)) | (Self::Duration(a), V::Duration(b)) => a == b,
            (Self::Double(a), V::Double(b)) => a == b,
            (Self::Int(a), V::Double(b)) | (Self::Double(b), V::Int(a)) => as_double(*a) == *b,
            (Self::Time(a), V::Time(b)) => a == b,
            _ => match (self.text(), other.text(), self.items(), other.items()) {
                (Some(a), Some(b), _, _) => a == b,
                (_, _, Some(a), Some(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.equals(b)),
                _ => false,
            },
        }
    }
}

/// An int as a double, rounded to nearest.
#[expect(clippy::cast_precision_loss, reason = "CEL's double() rounds, as Go's float64() does")]
pub(crate) fn as_double(value: i64) -> f64 {
    value as f64
}
