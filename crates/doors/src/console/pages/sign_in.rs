//! Signing in with an API key that may read, signing out, and how pages look.

use std::sync::Arc;

use axum::http::StatusCode;
use futures_util::future::FutureExt as _;
use maud::{Markup, html};
use tendon_kernel::{Error, ErrorKind, Result};

use crate::{
    api::status,
    console::{
        cookies::{self, Theme},
        layout,
        page::{Change, May, Page, Reply, View, Visit},
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
        async move { Ok(Reply::Look(Theme::of(visit.form.text("theme").unwrap_or_default()), next(&visit))) }.boxed()
    },
};

fn show(visit: &Visit) -> Reply {
    if visit.who.is_some() {
        return Reply::Go("/console".to_owned(), None);
    }
    let word = if visit.query.text("out").is_some() {
        Some("You are signed out.")
    } else if visit.query.text("ended").is_some() {
        Some("Your session has ended. Nothing was changed.")
    } else {
        None
    };
    form(visit.query.text("next"), word, None)
}

fn form(next: Option<&str>, word: Option<&str>, wrong: Option<&Error>) -> Reply {
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
            form method="post" action="/console/sign-in" {
                @if let Some(next) = next { input type="hidden" name="next" value=(next); }
                label for="key" { "API key" }
                input id="key" name="key" type="password" autocomplete="current-password" spellcheck="false" required
                    autofocus aria-describedby=[wrong.map(|_| "wrong")];
                button.main type="submit" { "Sign in" }
            }
            p.soft.small {
                "A key with the scope " code { "read" } " sees what was decided and how everything does, but no whole inputs, reviews or keys; "
                code { "operate" } " sees inputs, too, and gets stopped work going again; " code { "review:*" } " answers what waits for a person; "
                code { "admin" } " does all. " code { "tendon keys create --name you --scope read" } " makes one."
            }
        }
    };
    Reply::Page(View { title: "Sign in".to_owned(), body, status })
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
            let secret =
                api.console.sessions.begin(&*api.context.clock, &*api.context.entropy, known.caller.id.clone());
            // What the browser calls this page says whether TLS lies in between, whoever ends it.
            let tls = visit.origin.as_ref().is_some_and(|origin| origin.starts_with("https://"));
            let to = if known.read { next(visit) } else { "/console/reviews".to_owned() };
            Ok(Reply::Begin(cookies::begin(&secret, tls), to))
        }
        // The page again, with what was wrong; other errors have a page of their own.
        Err(error) if error.kind() == ErrorKind::Unauthenticated || error.kind() == ErrorKind::Forbidden => {
            Ok(form(visit.form.text("next"), None, Some(&error)))
        }
        Err(error) => Err(error),
    }
}

fn recognise(visit: &Visit, key: &str) -> Result<Arc<Known>> {
    let api = &visit.api;
    let id = id_of(key).filter(|id| api.gate.standing(id).is_some()).unwrap_or_default();
    let (attempts, now) = (&api.console.attempts, api.context.clock.monotonic());
    if !attempts.allowed(id, now) {
        return Err(Error::new(ErrorKind::Overloaded, "rate_limited", "too many wrong keys were tried")
            .hint("wait a minute, then try again"));
    }
    let known = api.gate.sign_in(key).inspect_err(|_| attempts.wrong(id, now))?;
    // Whoever only reviews has a page, too.
    service::reader(&known).or_else(|error| service::reviewer(&known).map_err(|_| error))?;
    Ok(known)
}

fn sign_out(visit: &Visit) -> Reply {
    if let Some(who) = &visit.who {
        visit.api.console.sessions.end(&who.open);
    }
    Reply::End
}

/// Where to go then: a page of the console, nowhere else.
fn next(visit: &Visit) -> String {
    let next = visit.form.text("next").unwrap_or_default();
    let own = next.strip_prefix("/console").is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']));
    let own = own && next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if own { next.to_owned() } else { "/console".to_owned() }
}
