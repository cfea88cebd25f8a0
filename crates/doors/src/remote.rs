//! The place in a trace that a caller comes from: W3C `traceparent` and `tracestate`, over HTTP and gRPC alike. `baggage` is not
//! looked at: it may say anything about anybody.

use axum::http::HeaderMap;
use tendon_kernel::trace::TraceContext;

/// What the caller says; `None` where it says nothing, says it twice, or not as the standard does.
pub(crate) fn trace(headers: &HeaderMap) -> Option<TraceContext> {
    let mut parents = headers.get_all("traceparent").iter();
    let parent = parents.next()?.to_str().ok()?;
    if parents.next().is_some() {
        return None;
    }
    let states: Vec<&str> = headers.get_all("tracestate").iter().filter_map(|state| state.to_str().ok()).collect();
    TraceContext::parse(parent, Some(&states.join(",")))
}

/// Host and port of an address, where it is one: `Host` is the caller's own text.
pub(crate) fn server(host: &str) -> Option<(&str, Option<u16>)> {
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, Some(port.parse().ok()?)),
        _ => (host, None),
    };
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte);
    ((1..=253).contains(&name.len()) && name.bytes().all(fits)).then_some((name, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_says_it_once_and_well() {
        let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let mut headers = HeaderMap::new();
        assert_eq!(trace(&headers), None);
        headers.insert("traceparent", parent.parse().unwrap());
        headers.append("tracestate", "a=1".parse().unwrap());
        headers.append("tracestate", "b=2".parse().unwrap());
        assert_eq!(trace(&headers).unwrap().state.as_deref(), Some("a=1,b=2"));
        headers.append("traceparent", parent.parse().unwrap());
        assert_eq!(trace(&headers), None);
    }

    #[test]
    fn hosts_are_hosts() {
        assert_eq!(server("tendon.example:8443"), Some(("tendon.example", Some(8443))));
        assert_eq!(server("[::1]"), Some(("[::1]", None)));
        assert_eq!(server("[::1]:80"), Some(("[::1]", Some(80))));
        for none in ["", "a b", "a/b", "a:b", "Mr%20X@host"] {
            assert_eq!(server(none), None, "{none}");
        }
    }
}
