//! Answers that come later: 202 for a request that was accepted, and for one that still waits when it is looked at. Both name
//! the address where the decision is, or will be.

use axum::{
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::Response,
};
use serde_json::json;
use tendon_kernel::{ErrorKind, Id};

use super::{
    Api,
    answer::{self, Asked},
    decide::{self, REPLAYED},
    decisions,
    prefer::{self, Prefer},
};
use crate::{
    keys::Known,
    service::{Pending, Question},
};

/// Seconds after which looking again makes sense.
const LOOK_AGAIN: HeaderValue = HeaderValue::from_static("1");
/// The same where a person has to answer.
const LOOK_FOR_PEOPLE: HeaderValue = HeaderValue::from_static("60");
const LOCATION: HeaderName = header::LOCATION;

/// A question that may be answered later.
pub(super) struct Later {
    pub(super) question: Question,
    /// Address to be told of the decision.
    pub(super) callback: Option<String>,
    pub(super) prefer: Prefer,
}

/// Accepts a question; answers it at once when the caller would wait and it is decided in that time.
pub(super) async fn accept(api: &Api, asked: &Asked, known: &Known, later: Later) -> Response {
    let Later { question, callback, prefer } = later;
    let integration = question.integration.clone();
    let accepted = match api.service.accept(known, question, callback).await {
        Ok(accepted) => accepted,
        Err(error) => return asked.problem(api, &error),
    };
    if let Some(wait) = prefer.wait {
        match api.service.promised(accepted, api.context.deadline_in(wait)).await {
            Ok(decided) => {
                let mut response = decide::respond(api, asked, &decided);
                response.headers_mut().insert(prefer::APPLIED, prefer::applied(prefer, true));
                return response;
            }
            Err(error) if error.kind() != ErrorKind::Timeout => return asked.problem(api, &error),
            Err(_) => {}
        }
    }
    let state = if api.engine.requests().waits(accepted.id) { "pending" } else { "decided" };
    let body = json!({ "id": accepted.id.to_string(), "state": state, "integration": integration });
    let mut response = asked.json(api, StatusCode::ACCEPTED, body.to_string().into_bytes());
    tell(&mut response, accepted.id);
    let headers = response.headers_mut();
    headers.insert(prefer::APPLIED, prefer::applied(prefer, false));
    if accepted.replayed {
        headers.insert(REPLAYED, HeaderValue::from_static("true"));
    }
    response
}

/// What somebody is told who looks too early.
pub(super) fn pending(api: &Api, asked: &Asked, pending: &Pending) -> Response {
    match decisions::write(pending) {
        Ok(body) => {
            let mut response = asked.json(api, StatusCode::ACCEPTED, body);
            tell(&mut response, pending.id);
            response
        }
        Err(error) => asked.problem(api, &error),
    }
}

/// Says where a decision is, whose answer a person will give.
pub(super) fn for_people(response: &mut Response, id: Id) {
    tell(response, id);
    response.headers_mut().insert(header::RETRY_AFTER, LOOK_FOR_PEOPLE);
}

fn tell(response: &mut Response, id: Id) {
    let headers = response.headers_mut();
    answer::set(headers, answer::DECISION_ID, &id.to_string());
    answer::set(headers, LOCATION, &address(id));
    headers.insert(header::RETRY_AFTER, LOOK_AGAIN);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
}

/// Where a decision is read.
fn address(id: Id) -> String {
    format!("/v1/decisions/{id}")
}
