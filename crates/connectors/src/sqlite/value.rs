//! Values between SQLite and the kernel.
//!
//! | declared type holds | kernel type | fits |
//! |---|---|---|
//! | `BOOL` | Bool | integer 0 or 1 |
//! | `DATE…`, `TIMESTAMP…` | Time | text that `Timestamp::parse` accepts |
//! | `INT` | Int | integer |
//! | `CHAR`, `CLOB`, `TEXT` | Text | text in UTF-8 |
//! | `REAL`, `FLOA`, `DOUB`, `NUM`, `DEC` | Float | finite real; integer within ±2⁵³ |
//! | `BLOB` | none: left out of the catalog | |
//! | anything else, or nothing | Text | text in UTF-8 |
//!
//! What does not fit is given as text with the raw content: numbers as digits, a blob as `x'…'`, invalid UTF-8 with
//! U+FFFD in the place of wrong bytes. In a field of another type validation rejects it. In a text field it passes as what it
//! says; a write-back whose condition is such a text finds the row unchanged, because conditions compare in the same form.

use std::fmt::Write as _;

use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use tendon_kernel::{Timestamp, Type, Value};

/// Integers up to here are exact as doubles.
const EXACT_FLOAT: i64 = 1 << 53;

/// The kernel's type for a declared type; `None` for blobs.
pub(super) fn kind(declared: &str) -> Option<Type> {
    let declared = declared.to_ascii_uppercase();
    let any = |parts: &[&str]| parts.iter().any(|part| declared.contains(part));
    Some(if any(&["BOOL"]) {
        Type::Bool
    } else if declared.starts_with("DATE") || declared.starts_with("TIMESTAMP") {
        Type::Time
    } else if any(&["INT"]) {
        Type::Int
    } else if any(&["CHAR", "CLOB", "TEXT"]) {
        Type::Text
    } else if any(&["BLOB"]) {
        return None;
    } else if any(&["REAL", "FLOA", "DOUB", "NUM", "DEC"]) {
        Type::Float
    } else {
        Type::Text
    })
}

/// A stored value as a value of the column's type, or as text when it does not fit.
pub(super) fn convert(kind: Type, stored: ValueRef<'_>) -> Value {
    match (kind, stored) {
        (_, ValueRef::Null) => Value::Null,
        (Type::Bool, ValueRef::Integer(bit @ (0 | 1))) => Value::Bool(bit == 1),
        (Type::Int, ValueRef::Integer(integer)) => Value::Int(integer),
        (Type::Float, ValueRef::Real(real)) if real.is_finite() => Value::Float(real),
        #[expect(clippy::cast_precision_loss, reason = "within ±2⁵³ nothing is lost")]
        (Type::Float, ValueRef::Integer(integer)) if (-EXACT_FLOAT..=EXACT_FLOAT).contains(&integer) => {
            Value::Float(integer as f64)
        }
        (Type::Time, ValueRef::Text(text)) => match time(text) {
            Some(time) => Value::Time(time),
            None => raw(stored),
        },
        _ => raw(stored),
    }
}

/// A stored value in a form that binds back to the very same stored value: for keys and watermarks.
/// Only for values that [`is_exact`] admits.
pub(super) fn exact(kind: Type, stored: ValueRef<'_>) -> Value {
    match (kind, stored) {
        (Type::Bool, ValueRef::Integer(bit @ (0 | 1))) => Value::Bool(bit == 1),
        (_, ValueRef::Integer(integer)) => Value::Int(integer),
        (_, ValueRef::Real(real)) => Value::Float(real),
        (Type::Time, ValueRef::Text(text)) => match time(text) {
            Some(time) if time.to_string().as_bytes() == text => Value::Time(time),
            _ => raw(stored),
        },
        _ => convert(kind, stored),
    }
}

/// Whether a stored value can be told exactly, so that it can be a key or a watermark.
pub(super) fn is_exact(stored: ValueRef<'_>) -> bool {
    match stored {
        ValueRef::Integer(_) => true,
        ValueRef::Real(real) => real.is_finite(),
        ValueRef::Text(text) => std::str::from_utf8(text).is_ok(),
        ValueRef::Null | ValueRef::Blob(_) => false,
    }
}

/// The raw content as text.
fn raw(stored: ValueRef<'_>) -> Value {
    match stored {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(integer) => Value::text(&integer.to_string()),
        ValueRef::Real(real) => Value::text(&real.to_string()),
        ValueRef::Text(text) => Value::text(&String::from_utf8_lossy(text)),
        ValueRef::Blob(bytes) => {
            let mut text = String::with_capacity(bytes.len() * 2 + 3);
            text.push_str("x'");
            for byte in bytes {
                // Writing to a string cannot fail.
                let _ = write!(text, "{byte:02x}");
            }
            text.push('\'');
            Value::text(&text)
        }
    }
}

/// A stored text as a point in time.
pub(super) fn time(text: &[u8]) -> Option<Timestamp> {
    Timestamp::parse(std::str::from_utf8(text).ok()?).ok()
}

/// Whether two values are the same to a write's condition: null-safe, numbers by their exact value, times by their instant.
pub(super) fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Text(text), Value::Time(time)) | (Value::Time(time), Value::Text(text)) => {
            Timestamp::parse(text).is_ok_and(|parsed| parsed == *time)
        }
        (Value::Bool(bit), Value::Int(integer)) | (Value::Int(integer), Value::Bool(bit)) => {
            i64::from(*bit) == *integer
        }
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            reason = "compared both ways, so exact"
        )]
        (Value::Int(integer), Value::Float(float)) | (Value::Float(float), Value::Int(integer)) => {
            // 2⁶³ itself would saturate on the way back.
            *float < 9_223_372_036_854_775_808.0 && *integer as f64 == *float && *float as i64 == *integer
        }
        _ => left == right,
    }
}

/// A value as SQLite binds it. Times as canonical text, bools as 0 and 1.
pub(super) struct Bound<'a>(pub(super) &'a Value);

impl ToSql for Bound<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self.0 {
            Value::Null => ToSqlOutput::Borrowed(ValueRef::Null),
            Value::Bool(bit) => ToSqlOutput::Borrowed(ValueRef::Integer(i64::from(*bit))),
            Value::Int(integer) => ToSqlOutput::Borrowed(ValueRef::Integer(*integer)),
            Value::Float(float) => ToSqlOutput::Borrowed(ValueRef::Real(*float)),
            Value::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
            Value::Time(time) => ToSqlOutput::Owned(time.to_string().into()),
        })
    }
}

/// A name as an SQL identifier.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declared_types() {
        for (declared, expected) in [
            ("INTEGER", Some(Type::Int)),
            ("bigint unsigned", Some(Type::Int)),
            ("VARCHAR(20)", Some(Type::Text)),
            ("DECIMAL(10,2)", Some(Type::Float)),
            ("double precision", Some(Type::Float)),
            ("BOOLEAN", Some(Type::Bool)),
            ("DATETIME", Some(Type::Time)),
            ("timestamp with time zone", Some(Type::Time)),
            ("DATE", Some(Type::Time)),
            ("BLOB", None),
            ("", Some(Type::Text)),
            ("JSON", Some(Type::Text)),
        ] {
            assert_eq!(kind(declared), expected, "{declared}");
        }
    }

    #[test]
    fn what_does_not_fit_shows_as_text() {
        assert_eq!(convert(Type::Int, ValueRef::Text(b"many")), Value::text("many"));
        assert_eq!(convert(Type::Int, ValueRef::Real(5.5)), Value::text("5.5"));
        assert_eq!(convert(Type::Bool, ValueRef::Integer(2)), Value::text("2"));
        assert_eq!(convert(Type::Float, ValueRef::Real(f64::INFINITY)), Value::text("inf"));
        assert_eq!(convert(Type::Float, ValueRef::Integer(i64::MAX)), Value::text(&i64::MAX.to_string()));
        assert_eq!(convert(Type::Text, ValueRef::Blob(&[1, 255])), Value::text("x'01ff'"));
        assert_eq!(convert(Type::Time, ValueRef::Integer(1_700_000_000)), Value::text("1700000000"));
    }

    #[test]
    fn keys_and_marks_keep_the_stored_form() {
        let canonical = "2026-05-17T10:00:00.000000Z";
        let time = Timestamp::parse(canonical).unwrap();
        assert_eq!(exact(Type::Time, ValueRef::Text(canonical.as_bytes())), Value::Time(time));
        let plain = "2026-05-17 10:00:00";
        assert_eq!(exact(Type::Time, ValueRef::Text(plain.as_bytes())), Value::text(plain));
        assert_eq!(convert(Type::Time, ValueRef::Text(plain.as_bytes())), Value::Time(time));
        assert_eq!(exact(Type::Int, ValueRef::Real(5.5)), Value::Float(5.5));
    }

    #[test]
    fn conditions_compare_by_value() {
        assert!(same(&Value::Null, &Value::Null) && !same(&Value::Null, &Value::Int(0)));
        assert!(same(&Value::Int(5), &Value::Float(5.0)) && !same(&Value::Int(5), &Value::Float(5.000_000_000_1)));
        assert!(!same(&Value::Int(i64::MAX), &Value::Float(9_223_372_036_854_775_808.0)));
        let time = Value::Time(Timestamp::parse("2026-05-17T12:00:00+02:00").unwrap());
        assert!(same(&time, &Value::text("2026-05-17 10:00:00")) && !same(&time, &Value::text("soon")));
        assert!(!same(&Value::text("a"), &Value::text("A")));
    }

    #[test]
    fn names_cannot_leave_their_quotes() {
        assert_eq!(quoted("a\"; DROP TABLE leads; --"), "\"a\"\"; DROP TABLE leads; --\"");
    }
}
