//! W3C Trace Context (level 1): what a caller says about the trace it is in, and what is said to whoever is called.

use std::{fmt::Write as _, sync::Arc};

/// Longest `tracestate` that is passed on, in bytes.
const STATE: usize = 512;

/// A place in a trace. None of it is personal: ids are random, and `state` is what tracing systems tell each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// The trace.
    pub trace: [u8; 16],
    /// The span in it.
    pub span: [u8; 8],
    /// Whether the trace is kept.
    pub sampled: bool,
    /// What other tracing systems pass along.
    pub state: Option<Arc<str>>,
}

impl TraceContext {
    /// Reads `traceparent` and `tracestate`. A caller's text that is not well formed is no context: a new trace begins. A state
    /// that is too long or no visible ASCII is dropped, the parent stands.
    pub fn parse(parent: &str, state: Option<&str>) -> Option<Self> {
        let bytes = parent.trim_matches([' ', '\t']).as_bytes();
        let version = digits::<1>(bytes.get(..2)?)?[0];
        // Later versions may say more behind a dash; what stands before it means the same.
        let known = match version {
            0xff => false,
            0 => bytes.len() == 55,
            _ => bytes.len() == 55 || bytes.get(55) == Some(&b'-'),
        };
        if !known || [2, 35, 52].iter().any(|&at| bytes.get(at) != Some(&b'-')) {
            return None;
        }
        let (trace, span) = (digits::<16>(bytes.get(3..35)?)?, digits::<8>(bytes.get(36..52)?)?);
        let flags = digits::<1>(bytes.get(53..55)?)?[0];
        if trace == [0; 16] || span == [0; 8] {
            return None;
        }
        let state = state
            .map(str::trim)
            .filter(|text| (1..=STATE).contains(&text.len()) && text.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
        Some(Self { trace, span, sampled: flags & 1 == 1, state: state.map(Into::into) })
    }

    /// The header `traceparent`.
    pub fn traceparent(&self) -> String {
        format!("00-{}-{}-0{}", hex(&self.trace), hex(&self.span), u8::from(self.sampled))
    }
}

/// Lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing into a String cannot fail.
        let _: std::fmt::Result = write!(text, "{byte:02x}");
        text
    })
}

/// Bytes of lower-case hexadecimal digits.
fn digits<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks(2)) {
        *byte = digit(*pair.first()?)? * 16 + digit(*pair.get(1)?)?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn what_is_read_is_written() {
        let context = TraceContext::parse(GOOD, Some(" a=1,b@c=2 ")).unwrap();
        assert!(context.sampled && context.state.as_deref() == Some("a=1,b@c=2"));
        assert_eq!(context.traceparent(), GOOD);
        let not = GOOD.replace("-01", "-00");
        assert_eq!(TraceContext::parse(&not, None).unwrap().traceparent(), not);
        // Flags that nobody knows are not passed on; later versions are read as far as they are known.
        assert_eq!(TraceContext::parse(&GOOD.replace("-01", "-ff"), None).unwrap().traceparent(), GOOD);
        let later = format!("cc{}-what-comes", &GOOD[2..]);
        assert_eq!(TraceContext::parse(&later, Some("")).unwrap().traceparent(), GOOD);
        assert_eq!(TraceContext::parse(GOOD, Some(&"a".repeat(513))).unwrap().state, None);
        assert_eq!(TraceContext::parse(GOOD, Some("a=\u{e9}")).unwrap().state, None);
    }

    #[test]
    fn what_is_not_well_formed_is_no_context() {
        for bad in [
            "",
            "00",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01.more",
            "00_0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319-b7ad6b71692033311-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0\u{e9}",
        ] {
            assert_eq!(TraceContext::parse(bad, None), None, "{bad}");
        }
    }
}
