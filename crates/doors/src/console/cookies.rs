//! The cookies: the session, which no script can read and no other site's page brings along; a sign-in under way, which a provider's
//! page has to bring along; and how the pages look.

use std::net::IpAddr;

use axum::http::{
    HeaderMap,
    header::{COOKIE, HOST},
};

/// Where there is no TLS: for this machine, or behind somebody who ends TLS before it.
const PLAIN: &str = "tendon_session";
/// The browser itself holds this name to TLS and to this host.
const SECURE: &str = "__Host-tendon_session";
/// A sign-in under way; the beginning of its state follows, so that two windows can sign in at once.
const AWAY: &str = "tendon_away_";
/// Characters of that.
const BEGINNING: usize = 16;
/// How the pages look.
const THEME: &str = "tendon_theme";

/// How the pages look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Theme {
    /// As the system wishes.
    #[default]
    Auto,
    /// Light.
    Light,
    /// Dark.
    Dark,
}

impl Theme {
    /// All, as they can be chosen.
    pub(super) const ALL: [Self; 3] = [Self::Auto, Self::Light, Self::Dark];

    /// Its name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    /// The theme of a name; what is not known is `Auto`.
    pub(super) fn of(name: &str) -> Self {
        Self::ALL.into_iter().find(|theme| theme.name() == name).unwrap_or_default()
    }
}

/// The session's secret. Over TLS only the name counts that no other host of the same domain can set: it could begin a session of its
/// own, and have somebody else work in it. `tls`: whether the connection itself is one.
pub(super) fn session(headers: &HeaderMap, tls: bool) -> Option<&str> {
    let plain = || (!tls && !behind_tls(headers)).then(|| value(headers, PLAIN)).flatten();
    value(headers, SECURE).or_else(plain)
}

/// Whether somebody ends TLS before this process. Browsers say where a request comes from over TLS only, and to their own machine; no
/// page can make them say it, or keep them from it.
fn behind_tls(headers: &HeaderMap) -> bool {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    headers.contains_key("sec-fetch-site") && !is_own_machine(host)
}

/// Whether a host, perhaps with a port, is what browsers trust without TLS.
fn is_own_machine(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    let name = name.to_ascii_lowercase();
    match name.parse::<IpAddr>() {
        Ok(address) => address.is_loopback(),
        Err(_) => name == "localhost" || name.ends_with(".localhost"),
    }
}

/// How the pages are to look.
pub(super) fn theme(headers: &HeaderMap) -> Theme {
    value(headers, THEME).map(Theme::of).unwrap_or_default()
}

/// The cookie that begins a session.
pub(super) fn begin(secret: &str, tls: bool) -> String {
    let (name, secure) = if tls { (SECURE, "; Secure") } else { (PLAIN, "") };
    format!("{name}={secret}; Path=/; HttpOnly; SameSite=Strict{secure}")
}

/// The cookies that end one, whichever it was.
pub(super) fn end() -> [String; 2] {
    [(PLAIN, ""), (SECURE, "; Secure")]
        .map(|(name, secure)| format!("{name}=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0{secure}"))
}

/// The secret of a sign-in under way, and whether its name is one that another host of the same domain cannot set.
pub(super) fn away<'h>(headers: &'h HeaderMap, state: &str) -> Option<(&'h str, bool)> {
    let name = format!("{AWAY}{}", state.get(..BEGINNING)?);
    let own = value(headers, &format!("__Host-{name}")).map(|secret| (secret, true));
    own.or_else(|| value(headers, &name).map(|secret| (secret, false)))
}

/// The cookie that binds a sign-in to its browser, while it is under way. It is the only one that is not `Strict`: the provider's
/// page sends the browser back, and a strict cookie would stay away then. It is worth nothing but this one sign-in.
pub(super) fn leave(secret: &str, state: &str, seconds: u64, tls: bool) -> String {
    let (prefix, secure) = if tls { ("__Host-", "; Secure") } else { ("", "") };
    let name = state.get(..BEGINNING).unwrap_or_default();
    format!("{prefix}{AWAY}{name}={secret}; Path=/; HttpOnly; SameSite=Lax; Max-Age={seconds}{secure}")
}

/// The cookie that keeps how the pages look.
pub(super) fn keep(theme: Theme) -> String {
    format!("{THEME}={}; Path=/console; HttpOnly; SameSite=Strict; Max-Age=31536000", theme.name())
}

fn value<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let all = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = all.flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(known, _)| *known == name).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn headers(of: &[(&'static str, &'static str)]) -> HeaderMap {
        of.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn over_tls_the_cookie_of_another_host_is_none() {
        let (plain, both) =
            (("cookie", "tendon_session=eve"), ("cookie", "tendon_session=eve; __Host-tendon_session=ada"));
        let (host, said) = (("host", "tendon.acme.example"), ("sec-fetch-site", "none"));
        // This process ends TLS, or somebody before it.
        assert_eq!(session(&headers(&[host, plain]), true), None);
        assert_eq!(session(&headers(&[host, plain, said]), false), None);
        assert_eq!(session(&headers(&[plain, said]), false), None);
        for (tls, more) in [(true, &[host, both][..]), (false, &[host, both, said]), (false, &[host, both])] {
            assert_eq!(session(&headers(more), tls), Some("ada"));
        }
        // No TLS: nobody else's cookie is kept away by it.
        assert_eq!(session(&headers(&[("host", "10.0.0.7:8080"), plain]), false), Some("eve"));
        for own in ["localhost", "LOCALHOST:8080", "a.localhost", "127.0.0.1:8080", "127.1.2.3", "[::1]:8080"] {
            assert_eq!(session(&headers(&[("host", own), plain, said]), false), Some("eve"), "{own}");
        }
        for other in ["localhost.evil.example", "notlocalhost", "[fe80::1]:80", "128.0.0.1"] {
            assert_eq!(session(&headers(&[("host", other), plain, said]), false), None, "{other}");
        }
    }
}
