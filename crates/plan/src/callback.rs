//! Who may be told of a decision: the addresses that an integration declares, and the strict comparison by which nobody else is
//! ever called.

use std::{sync::Arc, time::Duration};

/// A receiver of callbacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallbackPlan {
    /// Address that a callback must be or begin with.
    pub to: Arc<str>,
    /// Scheme, host and port of it.
    pub origin: Arc<str>,
    /// Reference to the secret that signs.
    pub secret: String,
    /// Reference to the secret before.
    pub old_secret: Option<String>,
    /// Longest wait for one call.
    pub timeout: Duration,
    /// How long a call is tried again.
    pub give_up: Duration,
}

impl CallbackPlan {
    /// Whether an address is this receiver's: its text begins with the declared one and goes on as a path or a query. There is
    /// nothing to decode, so nothing can be decoded in two ways: what is not plain is not allowed.
    pub fn allows(&self, url: &str) -> bool {
        let Some(rest) = url.strip_prefix(&*self.to) else { return false };
        let goes_on = rest.is_empty() || self.to.ends_with('/') || rest.starts_with(['/', '?']);
        goes_on && plain(url)
    }
}

/// Scheme, host and port of an address that may be declared: `https`, or `http` to this machine; a plain host, no user, no
/// query, no fragment.
pub(crate) fn origin(to: &str) -> Option<&str> {
    let (scheme, rest) = to.split_once("://")?;
    let authority = rest.split('/').next().unwrap_or_default();
    let (host, port) = authority.split_once(':').unwrap_or((authority, "443"));
    let named = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.');
    let good_host = !host.is_empty() && host.chars().all(named) && !host.starts_with('.');
    let safe = scheme == "https" || (scheme == "http" && is_here(host));
    let good = safe && good_host && port.parse::<u16>().is_ok_and(|port| port > 0) && !to.contains('?') && plain(to);
    good.then(|| to.get(..scheme.len() + 3 + authority.len())).flatten()
}

/// Only characters that mean themselves everywhere, and no step upwards.
fn plain(url: &str) -> bool {
    let path = url.split('?').next().unwrap_or_default();
    let steps = path.split('/').any(|part| matches!(part, "." | ".."));
    let fits = |byte: u8| byte.is_ascii_graphic() && !b"@\\#\"<>^`{|}".contains(&byte);
    // A percent in the path could spell a step upwards, or a slash.
    url.len() <= 2048 && !steps && url.bytes().all(fits) && !path.contains('%')
}

/// A host that nobody stands in between to: plain HTTP may be spoken with it.
pub(crate) fn is_here(host: &str) -> bool {
    ["127.0.0.1", "localhost"].contains(&host)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn plan(to: &str) -> CallbackPlan {
        CallbackPlan {
            to: to.into(),
            origin: origin(to).unwrap().into(),
            secret: String::new(),
            old_secret: None,
            timeout: Duration::ZERO,
            give_up: Duration::ZERO,
        }
    }

    #[test]
    fn origins_are_of_plain_addresses() {
        for (to, expected) in [
            ("https://hooks.example", Some("https://hooks.example")),
            ("https://hooks.example:8443/in/tendon", Some("https://hooks.example:8443")),
            ("http://127.0.0.1:9000/x", Some("http://127.0.0.1:9000")),
            ("http://localhost/", Some("http://localhost")),
            ("http://hooks.example", None),
            ("http://127.0.0.1.evil.example", None),
            ("https://", None),
            ("https://:443", None),
            ("https://a:0", None),
            ("https://a:99999", None),
            ("https://me@hooks.example", None),
            ("https://hooks.example?x=1", None),
            ("https://hooks.example/#x", None),
            ("https://HOOKS.example", None),
            ("https://hooks.example/a/../b", None),
            ("ftp://hooks.example", None),
            ("hooks.example", None),
        ] {
            assert_eq!(origin(to), expected, "{to}");
        }
    }

    #[test]
    fn only_what_is_declared_is_allowed() {
        let host = plan("https://hooks.example");
        let path = plan("https://hooks.example/in");
        for (url, by_host, by_path) in [
            ("https://hooks.example", true, false),
            ("https://hooks.example/", true, false),
            ("https://hooks.example/in", true, true),
            ("https://hooks.example/in/7?key=a%20b", true, true),
            ("https://hooks.example/in?x=1", true, true),
            ("https://hooks.example/inner", true, false),
            ("https://hooks.example.evil.example/in", false, false),
            ("https://hooks.example:8443/in", false, false),
            ("https://hooks.example@evil.example/in", false, false),
            ("https://hooks.example/in@evil", false, false),
            ("https://hooks.example/in/../admin", false, false),
            ("https://hooks.example/in/%2e%2e/admin", false, false),
            ("https://hooks.example\\@evil.example", false, false),
            ("http://hooks.example/in", false, false),
            ("HTTPS://hooks.example/in", false, false),
            ("https://hooks.example/in#x", false, false),
            ("https://hooks.example/in x", false, false),
            ("//hooks.example/in", false, false),
            ("", false, false),
        ] {
            assert_eq!((host.allows(url), path.allows(url)), (by_host, by_path), "{url}");
        }
    }

    proptest! {
        /// Whatever is appended, the call goes to the declared host: up to the first `/` or `?` nothing is added.
        #[test]
        fn no_text_leads_elsewhere(rest in "[ -~]{0,20}") {
            let url = format!("https://hooks.example{rest}");
            if plan("https://hooks.example").allows(&url) {
                let after = url.strip_prefix("https://").unwrap();
                prop_assert_eq!(after.split(['/', '?']).next().unwrap(), "hooks.example");
            }
        }
    }
}
