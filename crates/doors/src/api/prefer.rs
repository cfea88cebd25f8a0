//! `Prefer` (RFC 7240): what a caller would like, as far as it is known here. What is not known is no error: it is ignored.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue};

pub(super) const PREFER: HeaderName = HeaderName::from_static("prefer");
pub(super) const APPLIED: HeaderName = HeaderName::from_static("preference-applied");
/// Longest wait that a caller can ask for.
const LONGEST: u64 = 60;

/// What is preferred.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Prefer {
    /// Answer later rather than let the caller wait.
    pub(super) respond_async: bool,
    /// How long the caller would wait before that.
    pub(super) wait: Option<Duration>,
}

/// Reads all headers of the name. The first mention of a preference counts.
pub(super) fn read(headers: &HeaderMap) -> Prefer {
    let mut found = Prefer::default();
    let values = headers.get_all(PREFER);
    for preference in values.iter().filter_map(|value| value.to_str().ok()).flat_map(split) {
        let (name, value) = preference.split_once('=').unwrap_or((preference, ""));
        let (name, value) = (name.trim(), value.trim().trim_matches('"'));
        if name.eq_ignore_ascii_case("respond-async") {
            found.respond_async = true;
        } else if name.eq_ignore_ascii_case("wait") && found.wait.is_none() {
            found.wait = value.parse().ok().map(|seconds: u64| Duration::from_secs(seconds.min(LONGEST)));
        }
    }
    found
}

/// What is said to have been followed.
pub(super) fn applied(prefer: Prefer, waited: bool) -> HeaderValue {
    match prefer.wait.filter(|_| waited) {
        Some(wait) => HeaderValue::try_from(format!("wait={}", wait.as_secs()))
            .unwrap_or_else(|_| HeaderValue::from_static("wait")),
        None => HeaderValue::from_static("respond-async"),
    }
}

/// The preferences of a header, without their parameters. A comma or semicolon inside quotes separates nothing.
fn split(header: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    let outside = move |separator: char| {
        move |c: char| {
            quoted ^= c == '"';
            c == separator && !quoted
        }
    };
    header.split(outside(',')).map(move |one| one.split(outside(';')).next().unwrap_or_default().trim())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(values: &[&str]) -> Prefer {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(PREFER, HeaderValue::from_str(value).unwrap());
        }
        read(&headers)
    }

    #[test]
    fn preferences_are_read_as_the_rfc_writes_them() {
        let wait = |seconds| Some(Duration::from_secs(seconds));
        for (values, respond_async, wait) in [
            (&["respond-async, wait=10"][..], true, wait(10)),
            (&["respond-async", "wait=10; foo=bar"], true, wait(10)),
            (&["Respond-Async;foo"], true, None),
            (&["wait=\"5\", wait=9, RESPOND-ASYNC"], true, wait(5)),
            (&["wait=9999999"], false, wait(60)),
            (&["handling=lenient; x=\", respond-async\""], false, None),
            (&["return=minimal", "respond-asynchronous"], false, None),
            (&["wait=soon", ",,;="], false, None),
            (&[], false, None),
        ] {
            assert_eq!(of(values), Prefer { respond_async, wait }, "{values:?}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in "[ -~]{0,40}") {
            of(&[&text]);
        }
    }
}
