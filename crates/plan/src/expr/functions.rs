//! The functions: CEL's standard ones over our types, and `days`, `hours`, `minutes`, `seconds` of a duration (ours).

use std::cmp::Ordering;

use super::{
    text,
    types::Ty,
    value::{Fault, Outcome, V, as_double},
};

/// A function by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Function {
    Days,
    Hours,
    Minutes,
    Seconds,
    Size,
    Contains,
    StartsWith,
    EndsWith,
    Int,
    Double,
    String,
    Bool,
    Timestamp,
    Duration,
    FullYear,
    Month,
    Date,
    DayOfMonth,
    DayOfWeek,
    DayOfYear,
    GetHours,
    GetMinutes,
    GetSeconds,
    GetMilliseconds,
}

/// Whether a function is called as `f(x)` or as `x.f()`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    Global,
    Method,
    Both,
}

use Function as F;

/// All functions, sorted by name.
pub(crate) const FUNCTIONS: &[(&str, Function, Style)] = &[
    ("bool", F::Bool, Style::Global),
    ("contains", F::Contains, Style::Method),
    ("days", F::Days, Style::Global),
    ("double", F::Double, Style::Global),
    ("duration", F::Duration, Style::Global),
    ("endsWith", F::EndsWith, Style::Method),
    ("getDate", F::Date, Style::Method),
    ("getDayOfMonth", F::DayOfMonth, Style::Method),
    ("getDayOfWeek", F::DayOfWeek, Style::Method),
    ("getDayOfYear", F::DayOfYear, Style::Method),
    ("getFullYear", F::FullYear, Style::Method),
    ("getHours", F::GetHours, Style::Method),
    ("getMilliseconds", F::GetMilliseconds, Style::Method),
    ("getMinutes", F::GetMinutes, Style::Method),
    ("getMonth", F::Month, Style::Method),
    ("getSeconds", F::GetSeconds, Style::Method),
    ("hours", F::Hours, Style::Global),
    ("int", F::Int, Style::Global),
    ("minutes", F::Minutes, Style::Global),
    ("seconds", F::Seconds, Style::Global),
    ("size", F::Size, Style::Both),
    ("startsWith", F::StartsWith, Style::Method),
    ("string", F::String, Style::Global),
    ("timestamp", F::Timestamp, Style::Global),
];

impl Function {
    /// The type of the result for these arguments (the target first), or the argument types that are allowed.
    pub(crate) fn check(self, arguments: &[Ty]) -> Result<Ty, &'static str> {
        let [first, rest @ ..] = arguments else { return Err("one argument") };
        if matches!(first, Ty::Unknown) {
            return Ok(self.result(first));
        }
        let (fits, allowed) = match self {
            F::Contains | F::StartsWith | F::EndsWith => {
                let fits = *first == Ty::String && matches!(rest, [Ty::String | Ty::Unknown]);
                return if fits { Ok(Ty::Bool) } else { Err("string.f(string)") };
            }
            F::Days | F::Hours | F::Minutes | F::Seconds => (*first == Ty::Duration, "a duration"),
            F::Size => (matches!(first, Ty::String | Ty::List(_)), "a string or a list"),
            F::Int => (
                matches!(first, Ty::Int | Ty::Double | Ty::String | Ty::Timestamp),
                "an int, a double, a string or a timestamp",
            ),
            F::Double => (matches!(first, Ty::Int | Ty::Double | Ty::String), "an int, a double or a string"),
            F::String => (
                matches!(first, Ty::Bool | Ty::Int | Ty::Double | Ty::String | Ty::Timestamp | Ty::Duration),
                "a bool, a number, a string, a timestamp or a duration",
            ),
            F::Bool => (matches!(first, Ty::Bool | Ty::String), "a bool or a string"),
            F::Timestamp => (
                matches!(first, Ty::Timestamp | Ty::String | Ty::Int),
                "a timestamp, a string in RFC 3339, or an int of seconds",
            ),
            F::Duration => (matches!(first, Ty::Duration | Ty::String), "a duration or a string like \"24h\""),
            F::GetHours | F::GetMinutes | F::GetSeconds | F::GetMilliseconds => {
                (matches!(first, Ty::Timestamp | Ty::Duration), "a timestamp or a duration")
            }
            _ => (*first == Ty::Timestamp, "a timestamp"),
        };
        if fits && rest.is_empty() { Ok(self.result(first)) } else { Err(allowed) }
    }

    fn result(self, _first: &Ty) -> Ty {
        match self {
            F::Days | F::Hours | F::Minutes | F::Seconds | F::Double => Ty::Double,
            F::Contains | F::StartsWith | F::EndsWith | F::Bool => Ty::Bool,
            F::String => Ty::String,
            F::Timestamp => Ty::Timestamp,
            F::Duration => Ty::Duration,
            _ => Ty::Int,
        }
    }

    /// Computes; `second` is null where there is one argument.
    pub(crate) fn apply<'a>(self, first: &V<'a>, second: &V<'a>) -> Outcome<'a> {
        if matches!(first, V::Null) {
            return Err(Fault::Null);
        }
        match self {
            F::Days => scaled(first, 86_400.0),
            F::Hours => scaled(first, 3600.0),
            F::Minutes => scaled(first, 60.0),
            F::Seconds => scaled(first, 1.0),
            F::Size => size(first),
            F::Contains | F::StartsWith | F::EndsWith => {
                let (text, part) = (first.text().ok_or(Fault::Unusable)?, second.text().ok_or(Fault::Null)?);
                Ok(V::Bool(match self {
                    F::Contains => text.contains(part),
                    F::StartsWith => text.starts_with(part),
                    _ => text.ends_with(part),
                }))
            }
            F::Int => to_int(first).map(V::Int),
            F::Double => to_double(first).map(V::Double),
            F::String => to_text(first),
            F::Bool => to_bool(first).map(V::Bool),
            F::Timestamp => match first {
                V::Time(time) => Ok(V::Time(*time)),
                V::Int(seconds) => {
                    let micros = seconds.checked_mul(1_000_000).and_then(text::in_range);
                    micros.map(V::Time).ok_or(Fault::Overflow)
                }
                other => other.text().and_then(text::parse_time).map(V::Time).ok_or(Fault::Conversion),
            },
            F::Duration => match first {
                V::Duration(micros) => Ok(V::Duration(*micros)),
                other => other.text().and_then(text::parse_duration_micros).map(V::Duration).ok_or(Fault::Conversion),
            },
            _ => self.part(first).map(V::Int),
        }
    }

    /// A part of a time, or a duration counted in a unit.
    fn part(self, value: &V<'_>) -> Result<i64, Fault> {
        let unit = match self {
            F::GetHours => 3_600_000_000,
            F::GetMinutes => 60_000_000,
            F::GetSeconds => 1_000_000,
            _ => 1000,
        };
        let time = match value {
            V::Time(time) => *time,
            V::Duration(micros) => return Ok(micros / unit),
            _ => return Err(Fault::Unusable),
        };
        let parts = text::calendar(time);
        Ok(match self {
            F::FullYear => parts.year,
            F::Month => parts.month,
            F::Date => parts.day,
            F::DayOfMonth => parts.day - 1,
            F::DayOfWeek => parts.weekday,
            F::DayOfYear => parts.yearday,
            F::GetHours => parts.micros / unit,
            F::GetMinutes | F::GetSeconds => parts.micros / unit % 60,
            _ => parts.micros / unit % 1000,
        })
    }
}

fn scaled<'a>(value: &V<'_>, unit: f64) -> Outcome<'a> {
    match value {
        V::Duration(micros) => Ok(V::Double(as_double(*micros) / 1e6 / unit)),
        _ => Err(Fault::Unusable),
    }
}

fn size<'a>(value: &V<'_>) -> Outcome<'a> {
    let size = value.text().map(|text| text.chars().count()).or_else(|| value.items().map(<[_]>::len));
    size.and_then(|size| i64::try_from(size).ok()).map(V::Int).ok_or(Fault::Unusable)
}

fn to_int(value: &V<'_>) -> Result<i64, Fault> {
    match value {
        V::Int(value) => Ok(*value),
        // cel-go refuses the borders too: the doubles nearest to them may lie outside.
        V::Double(value) if value.is_nan() => Err(Fault::Overflow),
        V::Double(value) => {
            let inside = value.partial_cmp(&-9_223_372_036_854_775_808.0) == Some(Ordering::Greater)
                && value.partial_cmp(&9_223_372_036_854_775_808.0) == Some(Ordering::Less);
            #[expect(clippy::cast_possible_truncation, reason = "cut towards zero, inside the range: CEL's int()")]
            if inside { Ok(*value as i64) } else { Err(Fault::Overflow) }
        }
        V::Time(time) => Ok(time.0.div_euclid(1_000_000)),
        other => other.text().and_then(|text| text.parse().ok()).ok_or(Fault::Conversion),
    }
}

fn to_double(value: &V<'_>) -> Result<f64, Fault> {
    match value {
        V::Int(value) => Ok(as_double(*value)),
        V::Double(value) => Ok(*value),
        other => {
            let text = other.text().ok_or(Fault::Conversion)?;
            let value: f64 = text.parse().map_err(|_| Fault::Conversion)?;
            // "1e400" is out of range; only a text that says so is infinite.
            let said = value.is_finite() || !text.contains(|c: char| c.is_ascii_digit());
            if said { Ok(value) } else { Err(Fault::Overflow) }
        }
    }
}

fn to_bool(value: &V<'_>) -> Result<bool, Fault> {
    match value {
        V::Bool(value) => Ok(*value),
        other => match other.text() {
            Some("1" | "t" | "T" | "true" | "TRUE" | "True") => Ok(true),
            Some("0" | "f" | "F" | "false" | "FALSE" | "False") => Ok(false),
            _ => Err(Fault::Conversion),
        },
    }
}

fn to_text<'a>(value: &V<'a>) -> Outcome<'a> {
    Ok(match value {
        V::Text(_) | V::Owned(_) => value.clone(),
        V::Bool(value) => V::Owned(value.to_string().into()),
        V::Int(value) => V::Owned(value.to_string().into()),
        V::Double(value) => V::Owned(text::double_text(*value).into()),
        V::Time(time) => V::Owned(text::time_text(*time).into()),
        V::Duration(micros) => V::Owned(text::duration_text(*micros).into()),
        _ => return Err(Fault::Unusable),
    })
}
