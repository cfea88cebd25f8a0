//! Figures as people read them: on the console's pages and in a terminal, so that both say the same.

use tendon_kernel::Timestamp;

/// What stands where there is no figure.
pub const NONE: &str = "–";

/// A count, in groups of three.
pub fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number with as many digits as tell something.
pub fn number(value: f64) -> String {
    let size = value.abs();
    match size {
        _ if !value.is_finite() => NONE.to_owned(),
        _ if size < 1000.0 && value.fract() == 0.0 => format!("{value:.0}"),
        _ if size >= 1000.0 => {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "rounded, and saturating")]
            let whole = count(size.round() as u64);
            if value < 0.0 { format!("-{whole}") } else { whole }
        }
        _ if size >= 100.0 => format!("{value:.0}"),
        _ if size >= 10.0 => format!("{value:.1}"),
        _ if size >= 0.1 => format!("{value:.2}"),
        _ if size >= 0.001 => format!("{value:.4}"),
        _ => format!("{value:.1e}"),
    }
}

/// What a model answered: always to the same digit, so that outputs in a list can be held against each other and a threshold.
pub fn output(value: f64) -> String {
    match value.abs() {
        _ if !value.is_finite() => NONE.to_owned(),
        // Not a zero, and too large for its digits to be a list's.
        size if (size > 0.0 && size < 0.000_05) || size >= 1e15 => format!("{value:.1e}"),
        _ => format!("{value:.4}"),
    }
}

/// A moment to the minute, in UTC.
pub fn minute(at: Timestamp) -> String {
    let whole = at.to_string();
    whole.get(..16).map_or_else(|| whole.clone(), |text| text.replace('T', " "))
}

/// When something was that is known to the hour: after the begin of that hour, or of the thing itself.
pub fn in_hour(hour: Timestamp, begun: Timestamp) -> String {
    let end = minute(Timestamp(hour.0.saturating_add(3_600_000_000)));
    format!("{} to {}", minute(hour.max(begun)), end.get(11..).unwrap_or(&end))
}

/// A size in bytes.
pub fn bytes(value: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if value < 1024 {
        return format!("{value} B");
    }
    #[expect(clippy::cast_precision_loss, reason = "a size that people read")]
    let mut size = value as f64 / 1024.0;
    let mut unit = 0;
    while size >= 1024.0 && unit + 1 < UNITS.len() {
        size /= 1024.0;
        unit += 1;
    }
    format!("{size:.1} {}", UNITS.get(unit).copied().unwrap_or_default())
}

/// A share, in per cent.
pub fn share(part: u64, whole: u64) -> String {
    if whole == 0 {
        return NONE.to_owned();
    }
    #[expect(clippy::cast_precision_loss, reason = "a share that people read")]
    let share = part as f64 * 100.0 / whole as f64;
    match share {
        _ if part == 0 => "0 %".to_owned(),
        _ if part == whole => "100 %".to_owned(),
        _ if share < 0.01 => "< 0.01 %".to_owned(),
        // Never rounded up to what it is not.
        _ if share >= 99.0 => format!("{:.2} %", (share * 100.0).floor() / 100.0),
        _ => format!("{share:.1} %"),
    }
}

/// A share that was worked out already, in per cent.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of one million")]
pub fn portion(value: Option<f64>) -> String {
    value.map_or_else(|| NONE.to_owned(), |value| share((value * 1e6).floor() as u64, 1_000_000))
}

/// A percentage as it was declared: all of its digits.
pub fn percent(value: f64) -> String {
    // Four digits is as fine as one can be declared.
    let text = format!("{value:.4}");
    format!("{} %", text.trim_end_matches('0').trim_end_matches('.'))
}

/// A time as it was declared, from its seconds.
pub fn limit(seconds: f64) -> String {
    if seconds < 1.0 { format!("{} ms", seconds * 1e3) } else { format!("{seconds} s") }
}

/// How long something lasts, in minutes, hours or days.
pub fn lasting(seconds: u64) -> String {
    match seconds {
        0..3600 => format!("{} min", seconds / 60),
        _ if seconds.is_multiple_of(86_400) => format!("{} d", seconds / 86_400),
        _ if seconds.is_multiple_of(3600) => format!("{} h", seconds / 3600),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// What is left of an error budget: in per cent, or how many times over it is spent.
pub fn left(value: Option<f64>) -> String {
    match value {
        None => NONE.to_owned(),
        Some(value) if value > -0.005 => portion(Some(value.max(0.0))),
        Some(value) => format!("spent {} times over", number(1.0 - value)),
    }
}

/// How fast an error budget is used up: 1 is exactly as fast as its window allows.
pub fn burn(value: Option<f64>) -> String {
    value.map_or_else(|| NONE.to_owned(), |value| format!("{}×", number(value)))
}

/// A time that something took, in seconds.
pub fn seconds(value: Option<f64>) -> String {
    match value {
        None => NONE.to_owned(),
        Some(value) if value < 1e-5 => format!("{:.1} µs", value * 1e6),
        Some(value) if value < 0.001 => format!("{:.0} µs", value * 1e6),
        Some(value) if value < 0.01 => format!("{:.1} ms", value * 1e3),
        Some(value) if value < 1.0 => format!("{:.0} ms", value * 1e3),
        Some(value) => format!("{value:.1} s"),
    }
}

/// How much of a rate of rows a second is used.
pub fn used(used: Option<f64>, most: Option<f64>) -> String {
    match (used, most) {
        (Some(used), Some(most)) => format!("{} of {} rows/s", number(used), number(most)),
        _ => NONE.to_owned(),
    }
}

/// How long ago, in one unit.
pub fn ago(then: Timestamp, now: Timestamp) -> String {
    let seconds = now.0.saturating_sub(then.0).max(0) / 1_000_000;
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_told_as_people_read_them() {
        assert_eq!([count(0), count(999), count(1_000), count(45_211_000)], ["0", "999", "1,000", "45,211,000"]);
        assert_eq!(
            [number(0.0), number(1.0), number(0.0123), number(0.5), number(12.34), number(-4321.0), number(f64::NAN)],
            ["0", "1", "0.0123", "0.50", "12.3", "-4,321", NONE]
        );
        assert_eq!(
            [share(0, 9), share(1, 3), share(9_999, 10_000), share(9_999_999, 10_000_000), share(0, 0)],
            ["0 %", "33.3 %", "99.99 %", "99.99 %", NONE]
        );
        assert_eq!([seconds(Some(0.000_25)), seconds(Some(0.0042)), seconds(Some(2.0))], ["250 µs", "4.2 ms", "2.0 s"]);
        assert_eq!(
            [bytes(1023), bytes(1_048_000), bytes(3 << 29), bytes(u64::MAX)],
            ["1023 B", "1023.4 KiB", "1.5 GiB", "16777216.0 TiB"]
        );
        assert_eq!([percent(99.9), percent(95.0), percent(99.9999)], ["99.9 %", "95 %", "99.9999 %"]);
        assert_eq!(
            [0.001, 0.005, 0.25, 0.5, 2.5, 30.0].map(limit),
            ["1 ms", "5 ms", "250 ms", "500 ms", "2.5 s", "30 s"]
        );
        assert_eq!([lasting(5400), lasting(90_000)], ["1 h 30 min", "25 h"]);
        assert_eq!([lasting(2_592_000), lasting(45 * 3600), lasting(3600)], ["30 d", "45 h", "1 h"]);
        assert_eq!(
            [left(None), left(Some(0.314)), left(Some(0.0)), left(Some(-1.5)), left(Some(1.0))],
            [NONE, "31.4 %", "0 %", "spent 2.50 times over", "100 %"]
        );
        assert_eq!([burn(Some(0.0)), burn(Some(14.4))], ["0×", "14.4×"]);
        assert_eq!(ago(Timestamp(0), Timestamp(90_000_000)), "1 min");
        let at = |text: &str| Timestamp::parse(text).unwrap();
        let [hour, made] = ["2026-11-26T17:00:00Z", "2026-11-26T17:33:55Z"].map(at);
        assert_eq!(in_hour(hour, made), "2026-11-26 17:33 to 18:00");
        assert_eq!(in_hour(at("2026-11-26T23:00:00Z"), made), "2026-11-26 23:00 to 00:00");
        assert_eq!(
            [output(0.1), output(0.0954), output(-1.0), output(0.0), output(0.000_012), output(f64::NAN)],
            ["0.1000", "0.0954", "-1.0000", "0.0000", "1.2e-5", NONE]
        );
    }
}
