//! `/graphql` over HTTP, as the draft "GraphQL over HTTP" has it: POST with JSON, GET for what changes nothing, statuses that tell.
//! What is no GraphQL request at all is answered with problem details like everywhere; what is, with GraphQL's own errors.

use std::sync::Arc;

use axum::{
    extract::{Request as Received, State},
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER},
        request::Parts,
    },
    response::Response,
};
use tendon_kernel::{Error, ErrorKind, Result, context::Deadline};

use super::{
    Api,
    answer::{self, Asked},
    auth, body,
    counters::Route,
    decide, problem, query,
};
use crate::graphql::{self, Answer, Asker, Request};

const RESPONSE: HeaderValue = HeaderValue::from_static("application/graphql-response+json; charset=utf-8");
const PLAIN: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");
const SDL: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
/// Parameters of a GET.
const PARAMETERS: [&str; 5] = ["query", "operationName", "variables", "extensions", "sdl"];

/// Answers a POST.
pub(super) async fn post(State(api): State<Arc<Api>>, request: Received) -> Response {
    let asked = Asked::begin(&api, request.headers(), Route::Graphql);
    let (head, content) = request.into_parts();
    let read = async {
        query::read(&head.uri, &[])?;
        json_only(&head.headers)?;
        let most = api.engine.runtime().plan().limits.body_bytes;
        body::read(content, most, api.body_timeout).await
    };
    match read.await {
        Ok(bytes) => run(&api, &asked, &head, Request::from_body(&bytes), true).await,
        Err(error) => {
            api.engine.refused("", error.code());
            asked.timed(&api, asked.problem(&api, &error), &[])
        }
    }
}

/// Answers a GET: a query, or the schema's text.
pub(super) async fn get(State(api): State<Arc<Api>>, head: Parts) -> Response {
    let asked = Asked::begin(&api, &head.headers, Route::Graphql);
    let parameters = match query::read_all(&head.uri, &PARAMETERS) {
        Ok(parameters) => parameters,
        Err(error) => return asked.timed(&api, asked.problem(&api, &error), &[]),
    };
    if parameters.has("sdl") {
        let response = match api.graphql.of(api.engine.runtime().plan()) {
            Ok(built) => {
                let mut response = asked.json(&api, StatusCode::OK, built.sdl.clone().into_bytes());
                response.headers_mut().insert(CONTENT_TYPE, SDL);
                response
            }
            Err(error) => asked.problem(&api, &error),
        };
        return asked.timed(&api, response, &[]);
    }
    let [text, operation, variables] = ["query", "operationName", "variables"].map(|name| parameters.text(name));
    run(&api, &asked, &head, Request::from_parameters(text, operation, variables), false).await
}

async fn run(api: &Api, asked: &Asked, head: &Parts, request: Result<Request>, change: bool) -> Response {
    let answered = async {
        let known = auth::caller(&head.extensions)?;
        let left = decide::time_left(&head.headers)?;
        let built = api.graphql.of(api.engine.runtime().plan())?;
        let request = match request {
            Ok(request) => request,
            Err(error) => return Ok(Answer::refused(error, &asked.id)),
        };
        // From the moment the request came, so that reading its body counts.
        let deadline = left.map(|left| Deadline(asked.began.saturating_add(left)).min(api.context.deadline_in(left)));
        let asker = Asker { service: &api.service, known: &known, deadline, request: &asked.id };
        Ok(graphql::answer(&built, &asker, &request, change).await)
    };
    match answered.await {
        Ok(answer) => respond(api, asked, head, answer, change),
        Err(error) => asked.timed(api, asked.problem(api, &error), &[]),
    }
}

fn respond(api: &Api, asked: &Asked, head: &Parts, answer: Answer, change: bool) -> Response {
    let Answer { body, refused, made } = answer;
    let modern = modern(&head.headers);
    let mut status = StatusCode::OK;
    if let Some(error) = &refused {
        let exact = problem::status(error.kind(), error.code());
        // The older media type tells nothing by its status, apart from what is refused whatever it asks.
        let told = modern
            || exact.is_server_error()
            || matches!(error.code(), "wrong_method" | "malformed_json" | "graphql_request" | "graphql_batch");
        status = if told { exact } else { StatusCode::OK };
        if change {
            // The path never saw it; the ledger still counts it.
            api.engine.refused("", error.code());
        }
    }
    let mut response = asked.json(api, status, body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, if modern { RESPONSE } else { PLAIN });
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if status == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(ALLOW, HeaderValue::from_static("POST"));
    }
    if status == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    if let [decision] = made.decisions.as_slice() {
        answer::set(headers, answer::DECISION_ID, &decision.to_string());
    }
    asked.timed(api, response, &made.timings)
}

/// A body that a web page of another origin cannot send without asking first: JSON that says so.
fn json_only(headers: &HeaderMap) -> Result<()> {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Invalid, "not_json", "the request's content type is not JSON")
        .hint("send `Content-Type: application/json` with {\"query\": \"…\"}"))
}

/// Whether the caller takes `application/graphql-response+json`, as whoever says nothing does; else it gets `application/json`.
fn modern(headers: &HeaderMap) -> bool {
    let mut kinds =
        headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    let (mut any, mut plain) = (false, false);
    let found = kinds.any(|kind| {
        any = true;
        let mut parts = kind.split(';').map(str::trim);
        let essence = parts.next().unwrap_or_default().to_ascii_lowercase();
        let refused = parts.any(|part| matches!(part, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"));
        plain |= essence == "application/json" && !refused;
        essence == "application/graphql-response+json" && !refused
    });
    found || !any || !plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_older_media_type_only_for_who_wants_no_other() {
        for (accept, expected) in [
            (None, true),
            (Some("*/*"), true),
            (Some("application/graphql-response+json"), true),
            (Some("application/json, application/graphql-response+json;q=0.9"), true),
            (Some("application/graphql-response+json;q=0, application/json"), false),
            (Some("application/json"), false),
            (Some("application/json, multipart/mixed"), false),
            (Some("text/html"), true),
        ] {
            let headers = accept.map(|value| (ACCEPT, HeaderValue::from_static(value))).into_iter().collect();
            assert_eq!(modern(&headers), expected, "{accept:?}");
        }
    }

    #[test]
    fn a_page_of_another_origin_cannot_send_it_unasked() {
        for (kind, good) in [
            (Some("application/json"), true),
            (Some("Application/JSON; charset=utf-8"), true),
            (Some("text/plain"), false),
            (Some("application/x-www-form-urlencoded"), false),
            (Some("multipart/form-data; boundary=x"), false),
            (Some("application/jsonp"), false),
            (None, false),
        ] {
            let headers = kind.map(|value| (CONTENT_TYPE, HeaderValue::from_static(value))).into_iter().collect();
            assert_eq!(json_only(&headers).is_ok(), good, "{kind:?}");
        }
    }
}
