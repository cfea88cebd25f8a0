//! The rules of one field, for values from JSON and from rows of systems alike. A rule's sentence names the field and what is
//! allowed, never the value: it may be personal.

use std::sync::Arc;

use tendon_kernel::{Timestamp, Type, Value, schema::Field};

use super::{Form, Problem, Reading, pointer};

/// Largest magnitude up to which every integer has its own double.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// A value as it was found, before it has the field's type.
pub(super) enum Found<'a> {
    Null,
    Bool(bool),
    Int(i64),
    /// An integer beyond 64 bits signed.
    Huge,
    Float(f64),
    Text(&'a str),
    Time(Timestamp),
    /// An array or object.
    Nested,
}

impl<'a> From<&'a Value> for Found<'a> {
    fn from(value: &'a Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(*value),
            Value::Int(value) => Self::Int(*value),
            Value::Float(value) => Self::Float(*value),
            Value::Text(text) => Self::Text(text),
            Value::Time(time) => Self::Time(*time),
        }
    }
}

impl Form {
    /// Reads the values of a system's row: the same rules as for JSON.
    pub(crate) fn read_values(&self, values: &[Value]) -> Reading {
        let fields = &self.schema.fields;
        let mut reading = Reading { values: Vec::with_capacity(fields.len()), problems: Vec::new(), well_formed: true };
        if values.len() != fields.len() {
            let message = format!("the row has {} values, the schema {} fields", values.len(), fields.len());
            reading.problems.push(Problem { code: "wrong_row", pointer: String::new(), message, hint: None });
        }
        for index in 0..fields.len() {
            let found = values.get(index).map_or(Found::Null, Found::from);
            let value = self.accept(index, found).unwrap_or_else(|problem| {
                reading.problems.push(problem);
                Value::Null
            });
            reading.values.push(value);
        }
        reading
    }

    /// A found value as a value of the field's type, if it keeps the field's rules. Null passes: `required` is judged after
    /// the defaults.
    pub(super) fn accept(&self, index: usize, found: Found<'_>) -> Result<Value, Problem> {
        let Some(field) = self.schema.fields.get(index) else { return Ok(Value::Null) };
        let value = match (field.kind, found) {
            (_, Found::Null) => return Ok(Value::Null),
            (Type::Bool, Found::Bool(value)) => Value::Bool(value),
            (Type::Int, Found::Int(value)) => Value::Int(value),
            (Type::Int, Found::Huge) => return Err(out_of_range(field, "a 64-bit integer")),
            (Type::Int, Found::Float(value)) if value.fract() == 0.0 => whole(field, value)?,
            #[expect(
                clippy::cast_precision_loss,
                reason = "a float field takes the nearest double, as for any decimal"
            )]
            (Type::Float, Found::Int(value)) => Value::Float(value as f64),
            (Type::Float, Found::Float(value)) if value.is_finite() => Value::Float(value),
            (Type::Float, Found::Float(_) | Found::Huge) => return Err(out_of_range(field, "a finite number")),
            (Type::Text, Found::Text(text)) => return self.text(index, field, text),
            (Type::Time, Found::Time(time)) => Value::Time(time),
            (Type::Time, Found::Text(text)) => Value::Time(Timestamp::parse(text).map_err(|_| no_time(field))?),
            (_, found) => return Err(wrong_type(field, &found)),
        };
        if let (Some((low, high)), Some(number)) = (field.range, value.number())
            && !(low <= number && number <= high)
        {
            return Err(out_of_range(field, &format!("from {low} to {high}")));
        }
        Ok(value)
    }

    fn text(&self, index: usize, field: &Field, text: &str) -> Result<Value, Problem> {
        if let Some(most) = field.max_length
            && text.len() > most
        {
            return Err(problem(field, "too_long", format!("is longer than {most} bytes"), None));
        }
        let value = if field.values.is_empty() {
            Arc::from(text)
        } else {
            let Some(known) = field.values.iter().find(|known| known.as_ref() == text) else {
                let allowed: Vec<_> = field.values.iter().take(20).map(AsRef::as_ref).collect();
                let more = if field.values.len() > allowed.len() { ", …" } else { "" };
                let hint = format!("allowed: {}{more}", allowed.join(", "));
                return Err(problem(field, "not_allowed", "is none of the allowed texts".into(), Some(hint)));
            };
            Arc::clone(known)
        };
        if let Some(Some(pattern)) = self.patterns.get(index)
            && !pattern.is_match(text)
        {
            let hint = field.pattern.as_ref().map(|pattern| format!("pattern: {pattern}"));
            return Err(problem(field, "pattern_mismatch", "does not match its pattern".into(), hint));
        }
        Ok(Value::Text(value))
    }
}

fn whole(field: &Field, value: f64) -> Result<Value, Problem> {
    if value.abs() > EXACT {
        return Err(out_of_range(field, "a 64-bit integer, written without fraction or exponent"));
    }
    #[expect(clippy::cast_possible_truncation, reason = "a whole number of at most 2^53")]
    Ok(Value::Int(value as i64))
}

pub(super) fn problem(field: &Field, code: &'static str, what: String, hint: Option<String>) -> Problem {
    Problem { code, pointer: pointer(&field.name), message: format!("field {} {what}", field.name), hint }
}

fn wrong_type(field: &Field, found: &Found<'_>) -> Problem {
    let found = match found {
        Found::Null => "null",
        Found::Bool(_) => "a bool",
        Found::Int(_) | Found::Huge => "an integer",
        Found::Float(_) => "a number with a fraction",
        Found::Text(_) => "a text",
        Found::Time(_) => "a time",
        Found::Nested => "an array or object",
    };
    problem(field, "wrong_type", format!("must be of type {}, found {found}", field.kind), None)
}

fn out_of_range(field: &Field, allowed: &str) -> Problem {
    problem(field, "out_of_range", format!("is out of range: allowed is {allowed}"), None)
}

fn no_time(field: &Field) -> Problem {
    let hint = "write RFC 3339, for example 2026-05-17T10:00:00Z".to_owned();
    problem(field, "wrong_type", "is no point in time".into(), Some(hint))
}
