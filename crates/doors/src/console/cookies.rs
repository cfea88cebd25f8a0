//! The cookies: the session, which no script can read and no other site's page brings along; a sign-in under way, which a provider's
//! page has to bring along; and how the pages look.

use axum::http::{HeaderMap, header::COOKIE};

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

/// The session's secret. Which of the two names counts does not depend on the request: the secret is the same kind of thing.
pub(super) fn session(headers: &HeaderMap) -> Option<&str> {
    value(headers, SECURE).or_else(|| value(headers, PLAIN))
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
