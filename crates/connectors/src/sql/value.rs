//! Values between a database's text and the kernel. What does not fit its column's type exactly (a `numeric` with more
//! digits than a double holds, `infinity`) is given as text with the raw content: validation rejects that record with a
//! pointer, a key or condition still binds to the very same value, and nothing is rounded silently.

use tendon_kernel::{Error, ErrorKind, Result, Timestamp, Type, Value};

/// A text of the database as a value of the column's type.
pub(crate) fn convert(kind: Type, text: Option<&str>) -> Value {
    let Some(text) = text else { return Value::Null };
    let found = match kind {
        Type::Bool => match text {
            "true" | "t" | "1" => Some(Value::Bool(true)),
            "false" | "f" | "0" => Some(Value::Bool(false)),
            _ => None,
        },
        Type::Int => text.parse().ok().map(Value::Int),
        Type::Float => float(text).map(Value::Float),
        Type::Time => time(text).map(Value::Time),
        Type::Text => None,
    };
    found.unwrap_or_else(|| Value::text(text))
}

/// The number, if a double holds exactly this decimal (in its shortest form).
fn float(text: &str) -> Option<f64> {
    let number: f64 = text.parse().ok().filter(|number: &f64| number.is_finite())?;
    let (told, shortest) = (digits(text)?, digits(&format!("{number:e}"))?);
    // A double may lie right in the middle of two shortest decimals, and PostgreSQL writes the even one.
    let places = shortest.1.len().saturating_sub(1);
    (told == shortest || told == digits(&format!("{number:.places$e}"))?).then_some(number)
}

/// Sign, significant digits and exponent of a decimal text, so that equal numbers look equal.
fn digits(text: &str) -> Option<(bool, String, i64)> {
    let (negative, text) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all = format!("{whole}{fraction}");
    let stripped = all.trim_start_matches('0').trim_end_matches('0');
    if stripped.is_empty() {
        // Minus zero counts as zero: no exact type tells them apart.
        return Some((false, String::new(), 0));
    }
    let trailing = all.len() - all.trim_end_matches('0').len();
    let scale = exponent - i64::try_from(fraction.len()).ok()? + i64::try_from(trailing).ok()?;
    Some((negative, stripped.to_owned(), scale))
}

/// A time as databases write it in UTC: `2026-05-17 10:00:00.5`, with or without `+00`.
fn time(text: &str) -> Option<Timestamp> {
    Timestamp::parse(text.strip_suffix("+00").unwrap_or(text)).ok()
}

/// A value as the text that a parameter carries. Times without a zone where the column has none is the dialect's matter:
/// all sessions are in UTC.
///
/// # Errors
/// `Invalid`: a number that is not finite, a text with a NUL where the database holds none.
pub(crate) fn bound(value: &Value) -> Result<Option<String>> {
    Ok(Some(match value {
        Value::Null => return Ok(None),
        Value::Bool(bit) => if *bit { "1" } else { "0" }.to_owned(),
        Value::Int(integer) => integer.to_string(),
        Value::Float(float) if float.is_finite() && float.fract() == 0.0 && float.abs() < 1e15 => format!("{float:.0}"),
        Value::Float(float) if float.is_finite() => format!("{float:e}"),
        Value::Float(_) => {
            return Err(Error::new(ErrorKind::Invalid, "number_not_finite", "the number is not finite"));
        }
        Value::Text(text) => text.to_string(),
        Value::Time(time) => {
            // `2026-05-17 10:00:00.000000`: understood by every database and cast.
            time.to_string().replace('T', " ").trim_end_matches('Z').to_owned()
        }
    }))
}

/// Whether two values are the same to a condition: null-safe, numbers by their exact value, times by their instant.
pub(crate) fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Bool(bit), Value::Int(integer)) | (Value::Int(integer), Value::Bool(bit)) => {
            i64::from(*bit) == *integer
        }
        (Value::Int(_) | Value::Float(_), Value::Int(_) | Value::Float(_)) => {
            let text = |value: &Value| match value {
                Value::Float(float) => digits(&format!("{float:e}")),
                other => digits(&other.to_string()),
            };
            text(left) == text(right)
        }
        _ => left == right,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn decimals_are_exact_or_stay_text() {
        for (text, number) in
            [("0.10", 0.1), ("12345.678900", 12345.6789), ("-0", 0.0), ("1e3", 1000.0), ("100", 100.0)]
        {
            assert_eq!(convert(Type::Float, Some(text)), Value::Float(number), "{text}");
        }
        // 21 / 2^23, as PostgreSQL and as this language write it.
        for text in ["2.5033950805664062e-06", "2.5033950805664063e-06"] {
            assert_eq!(convert(Type::Float, Some(text)), Value::Float(21.0 / 8_388_608.0), "{text}");
        }
        for text in ["0.1000000000000000055", "12345678901234567890.5", "NaN", "Infinity", "x"] {
            assert_eq!(convert(Type::Float, Some(text)), Value::text(text), "{text}");
        }
        assert_eq!(convert(Type::Int, Some("18446744073709551615")), Value::text("18446744073709551615"));
        assert_eq!(convert(Type::Time, Some("infinity")), Value::text("infinity"));
        assert!(
            same(&Value::Int(5), &Value::Float(5.0))
                && !same(&Value::Int(i64::MAX), &Value::Float(9.223_372_036_854_776e18))
        );
        assert!(!same(&Value::Null, &Value::Int(0)) && same(&Value::Null, &Value::Null));
    }

    proptest! {
        #[test]
        fn what_is_bound_reads_back(number in proptest::num::f64::NORMAL | proptest::num::f64::SUBNORMAL, micros in -60_000_000_000_000_000i64..200_000_000_000_000_000) {
            let text = bound(&Value::Float(number)).unwrap();
            prop_assert_eq!(convert(Type::Float, text.as_deref()), Value::Float(number));
            let time = Value::Time(Timestamp(micros));
            prop_assert_eq!(convert(Type::Time, bound(&time).unwrap().as_deref()), time);
        }
    }
}
