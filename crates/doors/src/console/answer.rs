//! The one way into the console: every page and every change passes here, in this order: where the request comes from, who it is,
//! what that caller may, whether the form was made for its session, its rate. Then the page; then the headers that keep strangers out.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{RawPathParams, Request},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, request::Parts},
    response::Response,
};
use tendon_kernel::{Error, ErrorKind, Result};

use super::{
    cookies,
    form::Form,
    layout,
    page::{Change, May, Page, Reply, Visit, Who},
};
use crate::{
    api::{Api, OverTls, answer as http, body, counters::Route, fresh, query::encoded, status},
    trust,
};

/// The largest form.
const FORM: usize = 256 * 1024;
/// What a page sends that looks by itself whether something is new: nobody uses the session by that.
const REFRESH: &str = "x-console-refresh";
/// Only this origin's own script, style and answers; scripts make no markup but through the one function that is named.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; \
     base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types tendon",
);

/// What a request is for.
#[derive(Clone, Copy)]
pub(super) enum Wanted {
    /// A page.
    Page(&'static Page),
    /// A change.
    Change(&'static Change),
    /// A method that the address does not know.
    Nothing,
}

/// Answers a request.
pub(super) async fn answer(api: Arc<Api>, wanted: Wanted, parts: RawPathParams, request: Request) -> Response {
    let began = api.context.clock.monotonic();
    let (head, body) = request.into_parts();
    let query = Form::read(head.uri.query().unwrap_or_default());
    let unread = query.is_err();
    let mut visit = Visit {
        who: None,
        parts: parts.iter().map(|(_, value)| value.to_owned()).collect(),
        query: query.unwrap_or_default(),
        form: Form::default(),
        headers: head.headers.clone(),
        theme: cookies::theme(&head.headers),
        id: http::request_id(&api, &head.headers),
        api: api.clone(),
    };
    let frame = layout::Frame::of(&visit);
    let replied = enter(wanted, &mut visit, &head, body).await;
    let frame = frame.entered(&visit, &head.uri);
    let replied = match replied {
        Ok(()) => match wanted {
            // What was searched for is not shown as if nothing had been.
            Wanted::Page(_) if unread => Err(unreadable()),
            Wanted::Page(page) => (page.show)(visit).await,
            Wanted::Change(change) => (change.carry_out)(visit).await,
            Wanted::Nothing => Err(wrong_method()),
        },
        Err(Refused::SignIn) => Ok(Reply::Go(sign_in(wanted, &head), None)),
        Err(Refused::Error(error)) => Err(error),
    };
    let mut response = match replied {
        Ok(reply) => response(&api, &frame, reply, &head.headers),
        Err(error) => refusal(&frame, &error),
    };
    protect(response.headers_mut());
    http::set(response.headers_mut(), http::REQUEST_ID, &frame.id);
    http::timed(&api, began, response.headers_mut(), &[]);
    api.counters.count(Route::Console, response.status().as_u16());
    response
}

/// Why a request gets no further.
enum Refused {
    /// Nobody is signed in, or not any more.
    SignIn,
    /// Anything else.
    Error(Error),
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

async fn enter(wanted: Wanted, visit: &mut Visit, head: &Parts, body: Body) -> std::result::Result<(), Refused> {
    let api = visit.api.clone();
    let (may, changes) = match wanted {
        Wanted::Page(page) => (page.may, false),
        Wanted::Change(change) => (change.may, true),
        Wanted::Nothing => return Ok(()),
    };
    if changes {
        own_origin(&head.headers)?;
        let text = body::read(body, FORM, api.body_timeout).await?;
        visit.form = Form::read(&String::from_utf8_lossy(&text))?;
    }
    visit.who = who(&api, head);
    if may == May::Anyone {
        return Ok(());
    }
    let who = visit.who.clone().ok_or(Refused::SignIn)?;
    may.hold(&who.known)?;
    if changes && !visit.form.text("token").is_some_and(|token| who.open.made(token)) {
        return Err(foreign_form().into());
    }
    Ok(trust::take(&api.engine, &who.known)?)
}

/// Who is signed in, with what that one may do now.
fn who(api: &Api, head: &Parts) -> Option<Who> {
    let (sessions, headers) = (&api.console.sessions, &head.headers);
    let secret = cookies::session(headers, head.extensions.get::<OverTls>().is_some())?;
    let open = sessions.find(&*api.context.clock, secret, !headers.contains_key(REFRESH))?;
    let known = open.whose.standing(&api.gate);
    if known.is_none() {
        // The key was revoked or has ended; the plan has changed.
        sessions.end(&open);
    }
    Some(Who { known: known?, open })
}

/// A form must come from a page of this host. Browsers say where from; whoever does not is no page of ours.
fn own_origin(headers: &HeaderMap) -> Result<()> {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let own = match (text(header::ORIGIN), text(header::HOST)) {
        (Some(origin), Some(host)) => origin.split_once("://").is_some_and(|(_, of)| of.eq_ignore_ascii_case(host)),
        _ => false,
    };
    if own {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Forbidden, "origin_forbidden", "the form was not sent from a page of this console")
        .hint("open the console itself, and send the form from there; a proxy in between must pass `Host` on"))
}

fn foreign_form() -> Error {
    Error::new(ErrorKind::Forbidden, "form_outdated", "the form was made for another session; nothing was changed")
        .hint("open the page anew and send it again")
}

fn wrong_method() -> Error {
    Error::new(ErrorKind::Invalid, "wrong_method", "this address does not know the request's method")
        .hint("begin at /console")
}

fn unreadable() -> Error {
    Error::new(ErrorKind::Invalid, "parameter", "what stands behind the `?` of this address cannot be read").hint(
        "it is UTF-8, other signs than letters and digits as `%` and two hex digits: open the page and search anew",
    )
}

/// Where to sign in, and where to go then. Whose session has ended is told so.
fn sign_in(wanted: Wanted, head: &Parts) -> String {
    let mut words = Vec::new();
    if let Wanted::Change(_) = wanted {
        words.push("ended=change".to_owned());
    } else if cookies::session(&head.headers, head.extensions.get::<OverTls>().is_some()).is_some() {
        words.push("ended=1".to_owned());
    }
    if matches!(wanted, Wanted::Page(_)) && (head.uri.path() != "/console" || head.uri.query().is_some()) {
        let next = head.uri.path_and_query().map_or("", |next| next.as_str());
        words.push(format!("next={}", encoded(next)));
    }
    let begin = if words.is_empty() { "" } else { "?" };
    format!("/console/sign-in{begin}{}", words.join("&"))
}

fn response(api: &Api, frame: &layout::Frame, reply: Reply, headers: &HeaderMap) -> Response {
    match reply {
        Reply::Page(view) => html(view.status, frame.page(&view)),
        Reply::File(name, kind, text) => {
            let mut response = Response::new(Body::from(text));
            response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
            // Names are made of our own ids.
            http::set(response.headers_mut(), header::CONTENT_DISPOSITION, &format!("attachment; filename=\"{name}\""));
            response
        }
        Reply::Asset(kind, text) => {
            let mut response = Response::new(Body::from(text));
            response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
            fresh::conditional(response, headers, &fresh::tag_of(text.as_bytes()))
        }
        Reply::Go(to, notice) => {
            if let Some((notice, who)) = notice.zip(frame.who.as_ref()) {
                api.console.sessions.tell(&who.open, notice);
            }
            go(&to)
        }
        Reply::Begin(cookie, to) => with(go(&to), [cookie]),
        Reply::Met(cookies, view) => with(html(view.status, frame.apart(&view)), cookies),
        Reply::End => with(go("/console/sign-in?out=1"), cookies::end()),
        Reply::Look(theme, to) => with(go(&to), [cookies::keep(theme)]),
    }
}

fn html(status: StatusCode, text: String) -> Response {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    response
}

fn go(to: &str) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SEE_OTHER;
    http::set(response.headers_mut(), header::LOCATION, to);
    response
}

fn with(mut response: Response, cookies: impl IntoIterator<Item = String>) -> Response {
    for cookie in cookies {
        if let Ok(value) = HeaderValue::from_str(&cookie) {
            response.headers_mut().append(header::SET_COOKIE, value);
        }
    }
    response
}

fn refusal(frame: &layout::Frame, error: &Error) -> Response {
    let status = status(error.kind(), error.code());
    if status.is_server_error() && error.kind() != ErrorKind::Overloaded {
        tracing::warn!(request = %frame.id, code = error.code(), detail = error.private_detail(), "{error}");
    }
    html(status, frame.error(status, error))
}

fn protect(headers: &mut HeaderMap) {
    let set = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        // Not `no-referrer`: browsers would call the origin of our own forms `null` then.
        (header::REFERRER_POLICY, HeaderValue::from_static("same-origin")),
        (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
        (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
    ];
    for (name, value) in set {
        headers.insert(name, value);
    }
    // Assets say so themselves.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
}
