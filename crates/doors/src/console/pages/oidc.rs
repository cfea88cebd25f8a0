//! Signing in with an identity provider: the way there and the way back.
//!
//! Two cookies with two rules. The session's is `SameSite=Strict`, so that no other site's page can act as whoever is signed in. But it
//! is another site, the provider's, that sends the browser back: a strict cookie does not come along then, and whatever the browser
//! fetches by redirects from there still counts as that site's. So a second cookie, `Lax`, binds the sign-in under way to its browser
//! and nothing else; and what answers the return is a page of this origin, which goes on by itself. From there on the strict
//! cookie comes along.

use std::sync::Arc;

use axum::http::{HeaderName, StatusCode, header::HOST};
use futures_util::future::FutureExt as _;
use maud::html;
use tendon_kernel::{Error, ErrorKind, Result};

use super::sign_in::{door, first, inside, opens};
use crate::{
    console::{
        cookies,
        page::{May, Page, Reply, View, Visit},
        pending::{Away, LONGEST},
        session::{Whose, random},
    },
    trust::{Coming, Leaving, Way},
};

/// The way there.
pub(in crate::console) static START: Page = Page {
    path: "/console/oidc/start",
    name: None,
    may: May::Anyone,
    show: |visit| async move { Ok(start(&visit).await) }.boxed(),
    changes: &[],
};

/// The way back.
pub(in crate::console) static RETURN: Page = Page {
    path: "/console/oidc/return",
    name: None,
    may: May::Anyone,
    show: |visit| async move { Ok(come(&visit).await) }.boxed(),
    changes: &[],
};

async fn start(visit: &Visit) -> Reply {
    let next = inside(visit.query.text("next"));
    if visit.who.is_some() {
        return Reply::Go(next, None);
    }
    // Only somebody who is here begins to sign in; browsers say where a link stood.
    let from = visit.header(&HeaderName::from_static("sec-fetch-site"));
    if from.is_some_and(|from| !["same-origin", "none"].contains(&from)) {
        return Reply::Go("/console/sign-in".to_owned(), None);
    }
    match leave(visit, &next).await {
        Ok(reply) => reply,
        Err(error) => refused(visit, &next, &error),
    }
}

async fn leave(visit: &Visit, next: &str) -> Result<Reply> {
    let api = &visit.api;
    let way = way(visit, visit.query.text("with").unwrap_or_default())?;
    // The cookie would be this host's, and the provider sends the browser to that one.
    let host = visit.header(&HOST).unwrap_or_default();
    if !way.origin.split_once("://").is_some_and(|(_, own)| own.eq_ignore_ascii_case(host)) {
        return Err(Error::new(
            ErrorKind::Invalid,
            "sign_in_elsewhere",
            format!("signing in with {} works at {} only", way.title, way.origin),
        )
        .hint("open the console there; a proxy in between must pass `Host` on"));
    }
    let [state, browser, nonce, verifier] = [(); 4].map(|()| random(&*api.context.entropy));
    let to = api.gate.depart(&way.name, &Leaving { state: &state, nonce: &nonce, verifier: &verifier }).await?;
    let away = Away { provider: way.name, nonce, verifier, next: next.to_owned() };
    api.console.pending.begin(&state, &browser, away, api.context.clock.monotonic());
    let tls = way.origin.starts_with("https://");
    Ok(Reply::Begin(cookies::leave(&browser, &state, LONGEST.as_secs(), tls), to))
}

async fn come(visit: &Visit) -> Reply {
    // Once more to a page that has done its work.
    if visit.who.is_some() {
        return Reply::Go("/console".to_owned(), None);
    }
    let (state, console) = (visit.query.text("state").unwrap_or_default(), &visit.api.console);
    let now = visit.api.context.clock.monotonic();
    let away = cookies::away(&visit.headers, state).and_then(|(browser, own)| {
        let away = console.pending.end(state, browser, now)?;
        // Over TLS the cookie was set with the name that is this host's alone.
        let plain = way(visit, &away.provider).is_ok_and(|way| way.origin.starts_with("http://"));
        (own || plain).then_some(away)
    });
    let Some(away) = away else {
        return refused(
            visit,
            "/console",
            &Error::new(ErrorKind::Unauthenticated, "sign_in_outdated", "no such sign-in is under way"),
        );
    };
    match enter(visit, &away).await {
        Ok(reply) => reply,
        Err(error) => {
            tracing::warn!(provider = %away.provider, code = error.code(), detail = error.private_detail(), "a sign-in to the console failed: {error}");
            refused(visit, &away.next, &error)
        }
    }
}

async fn enter(visit: &Visit, away: &Away) -> Result<Reply> {
    let api = &visit.api;
    let way = way(visit, &away.provider)?;
    let issuer = visit.query.text("iss");
    let Some(code) = visit.query.text("code") else {
        api.gate.sent_by(&away.provider, issuer).await?;
        return Err(no_code(visit.query.text("error").unwrap_or_default()));
    };
    let _turn = api
        .console
        .asked
        .try_acquire()
        .map_err(|_| Error::new(ErrorKind::Overloaded, "sign_in_busy", "too many people sign in at this moment"))?;
    let coming = Coming { code, issuer, nonce: &away.nonce, verifier: &away.verifier };
    let person = api.gate.arrive(&away.provider, &coming).await?;
    let known = api.gate.standing_person(&person).ok_or_else(no_role)?;
    opens(&known).map_err(|_| no_role())?;
    // The person's id is the ledger's; logs do without.
    tracing::info!(provider = %away.provider, "somebody signed in to the console");
    let whose = Whose::Person(Arc::new(person));
    let secret = api.console.sessions.begin(&*api.context.clock, &*api.context.entropy, whose);
    let tls = way.origin.starts_with("https://");
    let to = first(&known, Some(&away.next));
    let body = html! { h1 { "Signed in" } p { a.button href=(to) { "Go on" } } };
    let view = View { title: "Signed in".to_owned(), body, status: StatusCode::OK, onward: Some(to) };
    let used = cookies::leave("", visit.query.text("state").unwrap_or_default(), 0, tls);
    Ok(Reply::Met(vec![cookies::begin(&secret, tls), used], view))
}

fn way(visit: &Visit, name: &str) -> Result<Way> {
    visit.api.gate.ways().into_iter().find(|way| &*way.name == name).ok_or_else(crate::trust::no_way)
}

/// What a provider says instead of a code (RFC 6749, 4.1.2.1). Its own sentence is not repeated: anybody can write one.
fn no_code(error: &str) -> Error {
    match error {
        "access_denied" => Error::new(ErrorKind::Forbidden, "sign_in_denied", "the provider, or you, said no"),
        "server_error" | "temporarily_unavailable" => {
            Error::new(ErrorKind::Unavailable, "identity_answer", "the provider has trouble")
        }
        _ => Error::new(ErrorKind::Unauthenticated, "sign_in_failed", "the provider ended the sign-in"),
    }
}

fn no_role() -> Error {
    Error::new(ErrorKind::Forbidden, "token_without_grants", "the token allows nothing here")
}

/// The door again, with what was wrong.
fn refused(visit: &Visit, next: &str, error: &Error) -> Reply {
    let next = Some(next).filter(|next| *next != "/console");
    Reply::Page(door(visit, next, None, Some(&in_words(error))))
}

/// What people read. What exactly was wrong with a token is for the log.
fn in_words(error: &Error) -> Error {
    let (words, hint) = match error.code() {
        "sign_in_outdated" => (
            "this sign-in is not under way any more: it took longer than ten minutes, was finished already, or was begun in another browser",
            "sign in once more from here",
        ),
        "sign_in_denied" => (
            "the identity provider did not let you in, or you said no there",
            "sign in once more, or ask whoever runs it whether you may use this console",
        ),
        "sign_in_failed" => ("the identity provider ended the sign-in before it was finished", "sign in once more"),
        "sign_in_code" => (
            "the identity provider does not accept the answer that your browser brought: it was used already, or is too old",
            "sign in once more from here",
        ),
        "sign_in_client" => (
            "the identity provider does not accept this console as one of its clients",
            "trying again does not help; whoever runs this console compares `auth.oidc` (client, secret, url) with what the provider knows",
        ),
        "sign_in_issuer" | "sign_in_nonce" | "token_issuer" | "token_algorithm" | "token_signature"
        | "token_malformed" => (
            "what came back from the identity provider does not prove who you are; nobody was signed in",
            "sign in once more from here; if that does not help, whoever runs this console finds the cause in its log",
        ),
        "token_audience" => (
            "what came back from the identity provider was meant for another service; nobody was signed in",
            "trying again does not help; whoever runs this console compares `auth.oidc` (client) with what the provider knows",
        ),
        "token_early" | "token_expired" => (
            "the clocks of the identity provider and of this machine differ too much",
            "trying again helps when one of them was set right; `leeway` allows for some",
        ),
        "token_without_grants" => (
            "the identity provider knows you, but nothing that it says of you gives you a role in this console",
            "trying again does not help; ask whoever runs this console for a role (`auth.oidc`, grants)",
        ),
        "identity_unavailable"
        | "identity_answer"
        | "http_unreachable"
        | "http_timeout"
        | "http_broken"
        | "http_certificate" => (
            "the identity provider cannot be reached, or does not answer as it should",
            "try again in some seconds; a key opens the console meanwhile",
        ),
        "sign_in_busy" => ("too many people sign in at this moment", "try again in some seconds"),
        _ => return error.clone(),
    };
    Error::new(error.kind(), error.code(), words).hint(hint)
}
