//! The gate in front of every route: recognises the caller, holds what it may do against the route's rule, and only then calls
//! the handler. A method without a rule is not answered by any handler.

use std::sync::Arc;

use axum::{
    extract::{MatchedPath, RawPathParams, Request, State, rejection::RawPathParamsRejection},
    http::{HeaderName, Method, header::AUTHORIZATION, request::Parts},
    middleware::Next,
    response::Response,
};
use tendon_kernel::{Error, ErrorKind, Result};

use super::{
    Api,
    answer::{self, Asked},
    cors,
    counters::Route,
    limits,
    router::Table,
};
use crate::{
    service,
    trust::{self, Credentials, Known, Peer},
};

/// Whom a badge wants to show, percent-encoded: never in the address, which others log.
pub(super) const SUBJECT: HeaderName = HeaderName::from_static("tendon-subject");

/// Who may use a method of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// Everybody, without credentials: nothing there names a person, an input or an answer.
    Open,
    /// Whoever asks for decisions. Which integrations, the path's admission says.
    Decide,
    /// Every known caller; the handler shows it only what it may see.
    Known,
    /// Whoever may read.
    Read,
    /// Whoever may answer what waits for a person.
    Review,
    /// Whoever may get going again what stopped.
    Operate,
    /// Whoever holds a token of the badge of the integration in the address; no key and no scope lets anybody in.
    Holder,
}

/// What the layer needs.
#[derive(Clone)]
pub(super) struct Watch {
    pub(super) api: Arc<Api>,
    pub(super) table: Arc<Table>,
}

/// Lets a request through or answers why not.
pub(super) async fn pass(
    State(watch): State<Watch>,
    names: Result<RawPathParams, RawPathParamsRejection>,
    request: Request,
    next: Next,
) -> Response {
    let (mut head, body) = request.into_parts();
    let path = head.extensions.get::<MatchedPath>().map_or("", MatchedPath::as_str);
    let name = names.as_ref().ok().and_then(|names| names.iter().find(|(name, _)| *name == "name"));
    let name = name.map_or("", |(_, value)| value).to_owned();
    let api = &watch.api;
    let runtime = api.engine.runtime();
    let origin = cors::Asked::of(runtime.plan(), path, &name, &head.headers);
    if let Some(preflight) = origin.preflight(&head.method, |method| watch.table.rule(path, method).is_some()) {
        return preflight;
    }
    // A handler for GET answers HEAD too.
    let method = if head.method == Method::HEAD { &Method::GET } else { &head.method };
    let rule = watch.table.rule(path, method);
    let entered = match rule {
        _ if names.is_err() => Err(answer::not_text()),
        None => Err(wrong_method()),
        Some(Rule::Open) => Ok(None),
        // A browser shows its certificate for any page: only a key or token says that the page itself was let in.
        Some(Rule::Holder) if origin.foreign(&head.headers) => Err(no_page()),
        Some(_) if only_certificate(&head) && origin.foreign(&head.headers) => Err(foreign()),
        Some(Rule::Holder) => hold(api, &name, &mut head).map(Some),
        Some(rule) => enter(api, rule, &head).await.map(Some),
    };
    let known = entered.as_ref().ok().cloned().flatten();
    let standing = known.as_ref().map(|known| trust::take(&api.engine, known));
    let entered = entered.map(drop).and_then(|()| standing.unwrap_or(Ok(())));
    let mut response = match entered {
        Ok(()) => {
            if let Some(known) = &known {
                head.extensions.insert(known.clone());
            }
            next.run(Request::from_parts(head, body)).await
        }
        Err(error) => refused(api, rule, &name, &head, &error),
    };
    if let Some(known) = known {
        limits::tell(api.engine.allowances().standing(&known.caller.scope), &mut response);
    }
    origin.tell(response.headers_mut());
    response
}

fn refused(api: &Api, rule: Option<Rule>, name: &str, head: &Parts, error: &Error) -> Response {
    let route = match rule {
        Some(Rule::Decide) => Route::Decide,
        Some(Rule::Holder) => Route::Embed,
        Some(_) => Route::Read,
        None => Route::Other,
    };
    if route == Route::Decide {
        // The path never saw it; the ledger still counts it.
        api.engine.refused(name, error.code());
    }
    let asked = Asked::begin(api, &head.headers, route);
    asked.timed(api, asked.problem(api, error), &[])
}

async fn enter(api: &Api, rule: Rule, head: &Parts) -> Result<Arc<Known>> {
    if head.uri.query().is_some_and(|query| query.contains("tdn_")) {
        return Err(Error::new(
            ErrorKind::Invalid,
            "key_in_address",
            "an API key stands in the address of the request",
        )
        .hint("addresses end up in logs: revoke this key and send the new one as `Authorization: Bearer tdn_…`"));
    }
    let credentials = Credentials {
        authorization: head.headers.get(AUTHORIZATION).map(|value| value.to_str().unwrap_or_default()),
        peer: head.extensions.get::<Peer>(),
    };
    let known = api.gate.identify(credentials).await?;
    match rule {
        Rule::Open | Rule::Decide | Rule::Known | Rule::Holder => {}
        Rule::Read => service::reader(&known)?,
        Rule::Review => service::reviewer(&known)?,
        Rule::Operate => service::operator(&known)?,
    }
    Ok(known)
}

/// Lets the holder of a badge's token in: as nobody but that.
fn hold(api: &Api, integration: &str, head: &mut Parts) -> Result<Arc<Known>> {
    let text = |name: HeaderName| head.headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let holder = api.gate.holder(integration, text(AUTHORIZATION), text(SUBJECT))?;
    let known = holder.known.clone();
    head.extensions.insert(holder);
    Ok(known)
}

fn only_certificate(head: &Parts) -> bool {
    head.extensions.get::<Peer>().is_some() && !head.headers.contains_key(AUTHORIZATION)
}

fn foreign() -> Error {
    Error::new(ErrorKind::Forbidden, "origin_forbidden", "a web page of another origin asks without a key of its own")
        .hint("send `Authorization`, or declare the page's origin: `server.cors.origins` in tendon.yaml")
}

fn no_page() -> Error {
    Error::new(ErrorKind::Forbidden, "origin_forbidden", "the page that asks may not show this badge")
        .hint("declare its origin: `doors.embed.origins` of the integration")
}

fn wrong_method() -> Error {
    Error::new(ErrorKind::Invalid, "wrong_method", "this address does not know the request's method")
        .hint("/openapi.json lists the methods of each address")
}
