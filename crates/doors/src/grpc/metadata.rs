//! What the headers of a call say: deadline, id of the request, whether it is gRPC at all.

use std::time::Duration;

use hyper::{HeaderMap, header::CONTENT_TYPE};
use tendon_kernel::{Error, ErrorKind, Result};

/// Whether the request is a call with messages in protocol buffers.
pub(super) fn is_grpc(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    ["application/grpc", "application/grpc+proto"].contains(&kind)
}

/// Time the call has, from `grpc-timeout`: up to eight digits and a unit.
///
/// # Errors
/// `Invalid` when it is none.
pub(super) fn timeout(headers: &HeaderMap) -> Result<Option<Duration>> {
    let Some(value) = headers.get("grpc-timeout") else { return Ok(None) };
    let read = || {
        let (number, unit) = value.to_str().ok()?.split_at_checked(value.len().checked_sub(1)?)?;
        if number.len() > 8 || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let number: u64 = number.parse().ok()?;
        Some(match unit {
            "H" => Duration::from_secs(number * 3600),
            "M" => Duration::from_secs(number * 60),
            "S" => Duration::from_secs(number),
            "m" => Duration::from_millis(number),
            "u" => Duration::from_micros(number),
            "n" => Duration::from_nanos(number),
            _ => return None,
        })
    };
    read().map(Some).ok_or_else(|| {
        Error::new(ErrorKind::Invalid, "timeout_header", "the deadline of the call is no duration")
            .hint("`grpc-timeout` is up to eight digits and H, M, S, m, u or n")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_are_read() {
        let of = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("grpc-timeout", text.parse().unwrap());
            timeout(&headers)
        };
        for (text, millis) in [("250m", 250), ("3S", 3000), ("1M", 60_000), ("2H", 7_200_000), ("5000u", 5)] {
            assert_eq!(of(text).unwrap(), Some(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "m", "5", "5x", "-5m", "123456789m", "1.5S", "5é"] {
            assert!(of(text).is_err(), "{text}");
        }
        assert_eq!(timeout(&HeaderMap::new()).unwrap(), None);
    }
}
