//! Signing in with an API key that may read, the ways to sign in with somebody else (`oidc`), signing out, and how pages look.

use std::sync::Arc;

use axum::http::{StatusCode, header::ORIGIN};
use futures_util::future::FutureExt as _;
use maud::{Markup, html};
use tendon_kernel::{Error, ErrorKind, Result};

use crate::{
    api::{query::encoded, status},
    console::{
        cookies::{self, Theme},
        layout,
        page::{Change, May, Page, Reply, View, Visit},
        session::Whose,
    },
    keys::id_of,
    service,
    trust::Known,
};

/// The page.
pub(in crate::console) static PAGE: Page = Page {
    path: "/console/sign-in",
    name: None,
    may: May::Anyone,
    show: |visit| async move { Ok(show(&visit)) }.boxed(),
    changes: &[Change {
        path: "/console/sign-in",
        may: May::Anyone,
        carry_out: |visit| async move { sign_in(&visit) }.boxed(),
    }],
};

/// Ends the session.
pub(in crate::console) const SIGN_OUT: Change = Change {
    path: "/console/sign-out",
    may: May::Known,
    carry_out: |visit| async move { Ok(sign_out(&visit)) }.boxed(),
};

/// How pages look from now on.
pub(in crate::console) const LOOK: Change = Change {
    path: "/console/theme",
    may: May::Anyone,
    carry_out: |visit| {
        async move {
            let theme = Theme::of(visit.form.text("theme").unwrap_or_default());
            Ok(Reply::Look(theme, inside(visit.form.text("next"))))
        }
        .boxed()
    },
};

fn show(visit: &Visit) -> Reply {
    if visit.who.is_some() {
        return Reply::Go("/console".to_owned(), None);
    }
    // A provider that somebody signed out at, too, says it in its own way.
    let word = if visit.query.text("out").is_some() || visit.query.text("state") == Some("out") {
        Some("You are signed out.")
    } else {
        visit.query.text("ended").map(|what| match what {
            "change" => "Your session has ended. Nothing was changed.",
            _ => "Your session has ended.",
        })
    };
    Reply::Page(door(visit, visit.query.text("next"), word, None))
}

/// The page, with what is to be told.
pub(super) fn door(visit: &Visit, next: Option<&str>, word: Option<&str>, wrong: Option<&Error>) -> View {
    let ways = visit.api.gate.ways();
    let with = |name: &str| {
        let next = next.map(|next| format!("&next={}", encoded(next))).unwrap_or_default();
        format!("/console/oidc/start?with={}{next}", encoded(name))
    };
    let told: Markup = html! {
        @if let Some(word) = word { p.notice role="status" { (word) } }
        @if let Some(wrong) = wrong {
            div.notice.bad role="alert" id="wrong" {
                p.sentence { (wrong.message()) "." }
                @if let Some(hint) = wrong.hint_text() { p.small.sentence { (hint) "." } }
            }
        }
    };
    let status = wrong.map_or(StatusCode::OK, |wrong| status(wrong.kind(), wrong.code()));
    let body = html! {
        div.door {
            p.brand.large { (layout::mark()) span { "Tendon" } }
            h1 { "Sign in to the console" }
            (told)
            // Links, because the policy of forms would hold for every address that a provider redirects to.
            @for way in &ways { a.button.main href=(with(&way.name)) { "Sign in with " (way.title) } }
            @if !ways.is_empty() { p.soft.small.or { "or with a key" } }
            form method="post" action="/console/sign-in" {
                @if let Some(next) = next { input type="hidden" name="next" value=(next); }
                label for="key" { "API key" }
                input id="key" name="key" type="password" autocomplete="current-password" spellcheck="false" required
                    autofocus[ways.is_empty()] aria-describedby=[wrong.map(|_| "wrong")];
                button.main type="submit" { "Sign in" }
            }
            p.soft.small {
                "A key with the scope " code { "read" } " sees what was decided and how everything does, but no inputs, written values, reviews or keys; "
                code { "operate" } " sees inputs, too, and gets stopped work going again; " code { "review:*" } " answers what waits for a person; "
                code { "admin" } " does all. " code { "tendon keys create --name you --scope read" } " makes one."
            }
        }
    };
    View { title: "Sign in".to_owned(), body, status, onward: None }
}

fn sign_in(visit: &Visit) -> Result<Reply> {
    let key = visit.form.text("key").unwrap_or_default();
    match recognise(visit, key) {
        Ok(known) => {
            let api = &visit.api;
            tracing::info!(key = %known.caller.id, "somebody signed in to the console");
            // The cookie names the new session from now on: nobody could end the old one any more.
            if let Some(before) = &visit.who {
                api.console.sessions.end(&before.open);
            }
            let whose = Whose::Key(known.caller.id.clone());
            let secret = api.console.sessions.begin(&*api.context.clock, &*api.context.entropy, whose);
            // What the browser calls this page says whether TLS lies in between, whoever ends it.
            let tls = visit.header(&ORIGIN).is_some_and(|origin| origin.starts_with("https://"));
            Ok(Reply::Begin(cookies::begin(&secret, tls), first(&known, visit.form.text("next"))))
        }
        // The page again, with what was wrong; other errors have a page of their own.
        Err(error) if error.kind() == ErrorKind::Unauthenticated || error.kind() == ErrorKind::Forbidden => {
            Ok(Reply::Page(door(visit, visit.form.text("next"), None, Some(&error))))
        }
        Err(error) => Err(error),
    }
}

fn recognise(visit: &Visit, key: &str) -> Result<Arc<Known>> {
    let api = &visit.api;
    let id = id_of(key).filter(|id| api.gate.standing(id).is_some()).unwrap_or_default();
    // A key is looked at whatever was tried before: whoever knows an id could keep out whom it belongs to, and nobody guesses a secret
    // of 256 bits. The limit only ends what a program tries without a pause.
    let known = api.gate.sign_in(key).map_err(|error| {
        if api.console.attempts.wrong(id, api.context.clock.monotonic()) {
            return error;
        }
        Error::new(ErrorKind::Overloaded, "rate_limited", "this key is wrong, as too many before it were")
            .hint("a right one is let in at once; another wrong one is told why in a minute")
    })?;
    opens(&known)?;
    Ok(known)
}

/// Refuses whom no page would be shown. Whoever only reviews has one, too.
pub(super) fn opens(known: &Known) -> Result<()> {
    service::reader(known).or_else(|error| service::reviewer(known).map_err(|_| error))
}

/// The first page of a session.
pub(super) fn first(known: &Known, next: Option<&str>) -> String {
    if known.read { inside(next) } else { "/console/reviews".to_owned() }
}

fn sign_out(visit: &Visit) -> Reply {
    let Some(who) = &visit.who else { return Reply::End };
    visit.api.console.sessions.end(&who.open);
    let Whose::Person(person) = &who.open.whose else { return Reply::End };
    match visit.api.gate.farewell(person) {
        // Not by a redirect: this answers a form, and the policy of forms would hold for the provider's addresses, too.
        Some(to) => {
            let body = html! {
                h1 { "Signed out" }
                p { "You are signed out of the console, and on the way to sign out at " (person.title) "." }
                p { a.button href=(to) { "Go on" } " " a.button href="/console/sign-in?out=1" { "Stay signed in there" } }
            };
            let view = View { title: "Signed out".to_owned(), body, status: StatusCode::OK, onward: Some(to) };
            Reply::Met(cookies::end().into(), view)
        }
        None => Reply::End,
    }
}

/// Bytes of an address to go to; none of the console is so long.
const LONGEST: usize = 2048;

/// Where to go: a page of the console, nowhere else.
pub(in crate::console) fn inside(next: Option<&str>) -> String {
    let next = next.unwrap_or_default();
    let own = next.strip_prefix("/console").is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']));
    // It is kept in memory while somebody signs in elsewhere.
    let own = own && next.len() <= LONGEST && next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    // Browsers follow dots upwards, and read them in either spelling.
    let path = next.split(['?', '#']).next().unwrap_or_default().to_ascii_lowercase().replace("%2e", ".");
    if own && !path.contains("/.") { next.to_owned() } else { "/console".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_sent_out_of_the_console() {
        for own in ["/console", "/console?span=1h", "/console/decisions?since=..&to=/..", "/console/letters"] {
            assert_eq!(inside(Some(own)), own);
        }
        for foreign in [
            "",
            "/",
            "//evil",
            &format!("/console?{}", "x".repeat(2040)),
            "/consolex",
            "https://evil/",
            "/console\\evil",
            "/console/../v1",
            "/console/%2E%2e//evil",
            "/console/.%2e",
            "/console\r\nx",
            "javascript:alert(1)",
            "/console@evil",
            "/console/é",
        ] {
            assert_eq!(inside(Some(foreign)), "/console", "{foreign}");
        }
        assert_eq!(inside(None), "/console");
    }
}
