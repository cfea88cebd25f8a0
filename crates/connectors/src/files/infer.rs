//! Types of fields, inferred from a bounded sample, and values of these types.

use serde_json::Value as Json;
use tendon_kernel::{Timestamp, Type, Value, schema::Field};

use super::record::Record;

/// Records looked at.
pub(super) const SAMPLE: u64 = 1_000;
/// Integers up to here are exact as doubles.
const EXACT_FLOAT: i64 = 1 << 53;

/// What a field's values could be, as far as seen.
#[derive(Clone, Copy)]
struct Guess {
    seen: bool,
    int: bool,
    float: bool,
    bool: bool,
    time: bool,
    nested: bool,
}

impl Guess {
    const NEW: Self = Self { seen: false, int: true, float: true, bool: true, time: true, nested: false };

    fn see(&mut self, fits: impl Fn(Type) -> bool) {
        self.seen = true;
        self.int &= fits(Type::Int);
        self.float &= fits(Type::Float);
        self.bool &= fits(Type::Bool);
        self.time &= fits(Type::Time);
    }

    fn kind(self) -> Type {
        match self {
            Self { seen: false, .. } => Type::Text,
            Self { int: true, .. } => Type::Int,
            Self { float: true, .. } => Type::Float,
            Self { bool: true, .. } => Type::Bool,
            Self { time: true, .. } => Type::Time,
            _ => Type::Text,
        }
    }
}

/// The fields of a file, guessed record by record.
pub(super) struct Guesses(Vec<(String, Guess)>);

impl Guesses {
    /// Of a file with this header (none for jsonl).
    pub(super) fn new(header: &[String]) -> Self {
        Self(header.iter().map(|name| (name.clone(), Guess::NEW)).collect())
    }

    /// Takes a record into account.
    pub(super) fn see(&mut self, record: &Record) {
        match record {
            Record::Cells(cells) => {
                for ((_, guess), cell) in self.0.iter_mut().zip(cells).filter(|(_, cell)| !cell.is_empty()) {
                    guess.see(|kind| of_text(kind, cell).kind() == Some(kind));
                }
            }
            Record::Object(object) => {
                for (name, value) in object {
                    let at = self.0.iter().position(|(known, _)| known == name).unwrap_or_else(|| {
                        self.0.push((name.clone(), Guess::NEW));
                        self.0.len() - 1
                    });
                    let guess = &mut self.0[at].1;
                    match of_json(Type::Text, value) {
                        None => guess.nested = true,
                        Some(Value::Null) => {}
                        Some(_) => {
                            guess.see(|kind| of_json(kind, value).is_some_and(|value| value.kind() == Some(kind)))
                        }
                    }
                }
            }
        }
    }

    /// The fields. Nested ones and the name of the row's number are left out.
    pub(super) fn fields(self, records: u64) -> Vec<Field> {
        let named = |(name, guess): (String, Guess)| {
            let mut field = Field::new(&name, guess.kind());
            field.about = Some(format!("type inferred from the first {records} records"));
            field
        };
        let usable = |(name, guess): &(String, Guess)| !guess.nested && name != super::ROW;
        self.0.into_iter().filter(usable).map(named).collect()
    }
}

/// The value of a field of a record, as its type, or as text with the raw content when it does not fit; `None` when it is
/// nested.
pub(super) fn value(field: &Field, at: Option<usize>, record: &Record) -> Option<Value> {
    match record {
        Record::Cells(cells) => {
            Some(at.and_then(|at| cells.get(at)).map_or(Value::Null, |cell| of_text(field.kind, cell)))
        }
        Record::Object(object) => {
            object.get(field.name.as_ref()).map_or(Some(Value::Null), |json| of_json(field.kind, json))
        }
    }
}

/// A cell as a value. Empty is null; text that does not fit stays text.
fn of_text(kind: Type, cell: &str) -> Value {
    if cell.is_empty() {
        return Value::Null;
    }
    let value = match kind {
        Type::Int => cell.parse().ok().filter(|_| plain(cell)).map(Value::Int),
        Type::Float => cell.parse().ok().filter(|number: &f64| number.is_finite() && plain(cell)).map(Value::Float),
        Type::Bool if cell.eq_ignore_ascii_case("true") => Some(Value::Bool(true)),
        Type::Bool if cell.eq_ignore_ascii_case("false") => Some(Value::Bool(false)),
        Type::Time => Timestamp::parse(cell).ok().map(Value::Time),
        Type::Bool | Type::Text => None,
    };
    value.unwrap_or_else(|| Value::text(cell))
}

/// Whether a number is written as people write amounts, not codes: `007` and `+49` are codes.
fn plain(cell: &str) -> bool {
    let digits = cell.strip_prefix('-').unwrap_or(cell).as_bytes();
    match digits {
        [b'0', second, ..] => !second.is_ascii_digit(),
        [first, ..] => first.is_ascii_digit(),
        [] => false,
    }
}

/// A JSON value as a value; what does not fit is its JSON text; `None` for lists and objects.
fn of_json(kind: Type, json: &Json) -> Option<Value> {
    let value = match (kind, json) {
        (_, Json::Array(_) | Json::Object(_)) => return None,
        (_, Json::Null) => Some(Value::Null),
        (Type::Bool, Json::Bool(bit)) => Some(Value::Bool(*bit)),
        (Type::Int, Json::Number(number)) => number.as_i64().map(Value::Int),
        (Type::Float, Json::Number(number)) => match number.as_i64() {
            Some(integer) if !(-EXACT_FLOAT..=EXACT_FLOAT).contains(&integer) => None,
            _ => number.as_f64().filter(|number| number.is_finite()).map(Value::Float),
        },
        (Type::Time, Json::String(text)) => Timestamp::parse(text).ok().map(Value::Time),
        (Type::Text, Json::String(text)) => Some(Value::text(text)),
        _ => None,
    };
    Some(value.unwrap_or_else(|| match json {
        Json::String(text) => Value::text(text),
        other => Value::text(&other.to_string()),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_numbers_only_when_they_are_amounts() {
        for (cell, kind) in [
            ("5", Type::Int),
            ("-0", Type::Int),
            ("0.5", Type::Float),
            ("1e300", Type::Float),
            ("007", Type::Text),
            ("+49", Type::Text),
            ("inf", Type::Text),
            ("1e999", Type::Text),
            ("9223372036854775808", Type::Float),
            (".5", Type::Text),
            ("TRUE", Type::Bool),
            ("2026-05-17", Type::Time),
            (" 5", Type::Text),
        ] {
            let mut guesses = Guesses::new(&["x".to_owned()]);
            guesses.see(&Record::Cells(csv::StringRecord::from(vec![cell])));
            assert_eq!(guesses.fields(1)[0].kind, kind, "{cell}");
        }
    }

    #[test]
    fn json_keeps_its_own_types() {
        let mut guesses = Guesses::new(&[]);
        for line in [r#"{"a": 1, "b": "1", "c": true, "d": [1], "e": null}"#, r#"{"a": 1.5, "f": "2026-05-17"}"#] {
            guesses.see(&Record::Object(serde_json::from_str(line).unwrap()));
        }
        let told: Vec<_> = guesses.fields(2).into_iter().map(|field| (field.name.to_string(), field.kind)).collect();
        let expected = [("a", Type::Float), ("b", Type::Text), ("c", Type::Bool), ("e", Type::Text), ("f", Type::Time)];
        assert_eq!(told, expected.map(|(name, kind)| (name.to_owned(), kind)));
        assert_eq!(of_json(Type::Int, &serde_json::json!("x")), Some(Value::text("x")));
        assert_eq!(of_json(Type::Float, &serde_json::json!(i64::MAX)), Some(Value::text(&i64::MAX.to_string())));
        assert_eq!(of_json(Type::Text, &serde_json::json!({"a": 1})), None);
    }
}
