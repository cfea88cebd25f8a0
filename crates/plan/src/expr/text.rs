//! The text forms of durations, times and numbers, as cel-go reads and writes them, and the parts of a calendar date.

use tendon_kernel::Timestamp;

/// Microseconds of 0001-01-01T00:00:00Z, the first moment CEL knows.
const FIRST: i64 = -62_135_596_800_000_000;
/// Microseconds of the last moment of the year 9999.
const LAST: i64 = 253_402_300_799_999_999;
const DAY: i64 = 86_400_000_000;

/// The moment, if CEL's timestamps reach it (years 1 to 9999).
pub(crate) fn in_range(micros: i64) -> Option<Timestamp> {
    (FIRST..=LAST).contains(&micros).then_some(Timestamp(micros))
}

/// Reads a duration as Go writes it (`1h30m`, `-1.5s`, `250ms`), in microseconds. Finer parts are cut off.
pub(crate) fn parse_duration_micros(text: &str) -> Option<i64> {
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(0);
    }
    let mut nanos: i128 = 0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(end);
        let unit_end = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        nanos = nanos.checked_add(decimal(number, unit_nanos(unit)?)?)?;
        rest = tail;
    }
    let nanos = i64::try_from(if negative { -nanos } else { nanos }).ok()?;
    Some(nanos / 1000)
}

fn unit_nanos(unit: &str) -> Option<i128> {
    Some(match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    })
}

/// A decimal number times a unit, exactly.
fn decimal(number: &str, unit: i128) -> Option<i128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || whole.len() > 19 || fraction.contains('.') {
        return None;
    }
    let mut nanos = if whole.is_empty() { 0 } else { whole.parse::<i128>().ok()?.checked_mul(unit)? };
    let fraction = fraction.get(..fraction.len().min(18))?;
    if !fraction.is_empty() {
        let scale = 10_i128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
        nanos += fraction.parse::<i128>().ok()?.checked_mul(unit)? / scale;
    }
    Some(nanos)
}

/// Writes a duration as cel-go does: seconds, with as many decimals as needed.
pub(crate) fn duration_text(micros: i64) -> String {
    format!("{}s", seconds(micros))
}

/// Writes a double as Go's `%g` does: the shortest digits that read back, with an exponent when it is far from zero.
pub(crate) fn double_text(value: f64) -> String {
    if !value.is_finite() {
        return if value.is_nan() {
            "NaN"
        } else if value > 0.0 {
            "+Inf"
        } else {
            "-Inf"
        }
        .to_owned();
    }
    let text = format!("{value:e}");
    let Some((digits, exponent)) = text.split_once('e') else { return text };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..6).contains(&exponent) {
        return value.to_string();
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.unsigned_abs())
}

/// A duration in seconds.
pub(crate) fn seconds(micros: i64) -> f64 {
    super::value::as_double(micros) / 1e6
}

/// Writes a time as cel-go does: RFC 3339 with as many decimals as needed.
pub(crate) fn time_text(time: Timestamp) -> String {
    let text = time.to_string();
    let Some((whole, fraction)) = text.trim_end_matches('Z').split_once('.') else { return text };
    let fraction = fraction.trim_end_matches('0');
    if fraction.is_empty() { format!("{whole}Z") } else { format!("{whole}.{fraction}Z") }
}

/// Reads RFC 3339; unlike a database's dates, the form must be complete.
pub(crate) fn parse_time(text: &str) -> Option<Timestamp> {
    let complete =
        text.len() >= 20 && text.as_bytes().get(10) == Some(&b'T') && !text.ends_with(|c: char| c.is_ascii_lowercase());
    let zoned = text.ends_with('Z') || text.get(text.len().checked_sub(6)?..)?.contains(['+', '-']);
    if !complete || !zoned {
        return None;
    }
    in_range(Timestamp::parse(text).ok()?.0)
}

/// A calendar date with the time of day, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Calendar {
    pub(crate) year: i64,
    /// 0 = January.
    pub(crate) month: i64,
    /// 1 = the first.
    pub(crate) day: i64,
    /// 0 = Sunday.
    pub(crate) weekday: i64,
    /// 0 = the first of January.
    pub(crate) yearday: i64,
    /// Microseconds since midnight.
    pub(crate) micros: i64,
}

/// Splits a time into its calendar parts (proleptic Gregorian calendar; after Howard Hinnant's `civil_from_days`).
pub(crate) fn calendar(time: Timestamp) -> Calendar {
    let days = time.0.div_euclid(DAY);
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 2 } else { shifted_month - 10 };
    let year = year_of_era + era * 400 + i64::from(month <= 1);
    let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let before = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    let start = usize::try_from(month).ok().and_then(|month| before.get(month)).copied().unwrap_or(0);
    let yearday = start + day - 1 + i64::from(leap && month > 1);
    Calendar { year, month, day, weekday: (days + 4).rem_euclid(7), yearday, micros: time.0.rem_euclid(DAY) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calendar_of_known_days() {
        let parts = calendar(Timestamp::parse("2024-02-29T13:00:00Z").unwrap());
        assert_eq!((parts.year, parts.month, parts.day, parts.weekday, parts.yearday), (2024, 1, 29, 4, 59));
        let parts = calendar(Timestamp::parse("1969-12-31T23:59:59Z").unwrap());
        assert_eq!((parts.year, parts.month, parts.day, parts.weekday, parts.yearday), (1969, 11, 31, 3, 364));
    }

    #[test]
    fn durations_read_and_written() {
        assert_eq!(parse_duration_micros("1h30m"), Some(5_400_000_000));
        assert_eq!(parse_duration_micros("-1.5s"), Some(-1_500_000));
        assert_eq!(parse_duration_micros("1d"), None);
        assert_eq!(parse_duration_micros("10"), None);
        assert_eq!(duration_text(90_500_000), "90.5s");
        assert_eq!(time_text(Timestamp(0)), "1970-01-01T00:00:00Z");
        assert_eq!(time_text(Timestamp(1_500_000)), "1970-01-01T00:00:01.5Z");
    }
}
