//! `POST /v1/integrations/{name}/decisions`: one question, one decision.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, Uri, header::CONTENT_TYPE},
    response::Response,
};
use tendon_engine::ask::Answer;
use tendon_kernel::{
    Error, ErrorKind, Result,
    context::Deadline,
    decision::{Decision, Outcome},
};

use super::{
    Api,
    answer::{self, Asked, Part},
    auth, body,
    brake::{NO_ROOM, Refused},
    counters::Route,
    envelope,
    later::{self, Later},
    prefer::{self, Prefer},
    problem::{self, Problem},
    query,
};
use crate::{
    keys::Known,
    service::{self, Question},
};

pub(super) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
pub(super) const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
const TIMEOUT_MS: HeaderName = HeaderName::from_static("tendon-timeout-ms");
const REQUEST_TIMEOUT: HeaderName = HeaderName::from_static("request-timeout");

/// Handles the request.
pub(super) async fn post(State(api): State<Arc<Api>>, name: Part, request: Request) -> Response {
    let asked = Asked::begin(&api, request.headers(), Route::Decide);
    let name = match answer::part(name) {
        Ok(name) => name,
        Err(error) => {
            api.engine.refused("", error.code());
            return asked.timed(&api, asked.problem(&api, &error), &[]);
        }
    };
    let prefer = prefer::read(request.headers());
    let given = time_left(request.headers()).unwrap_or_default();
    let answer = match prepare(&api, &asked, &name, request, prefer).await {
        Ok((known, question, callback)) if prefer.respond_async => {
            let response = later::accept(&api, &asked, &known, Later { question, callback, prefer }).await;
            return asked.timed(&api, response, &[]);
        }
        Ok((known, question, _)) => api.service.decide(&known, question).await,
        Err(error) => {
            // The path never saw it; the ledger still counts it.
            api.engine.refused(&name, error.code());
            Err(error)
        }
    };
    if answer.as_ref().is_err_and(|error| error.code() == NO_ROOM) {
        let gap = Duration::from_secs(1) / api.engine.runtime().plan().limits.refusals_per_second.max(1);
        api.brake.hold(Refused { began: asked.began, given, gap }, &*api.context.clock).await;
    }
    let (response, timings) = match answer {
        Ok((answer, timings)) => (respond(&api, &asked, &answer), timings),
        Err(error) => (asked.problem(&api, &error), Vec::new()),
    };
    asked.timed(&api, response, &timings)
}

/// Everything that can be wrong before the path is asked.
async fn prepare(
    api: &Api,
    asked: &Asked,
    name: &str,
    request: Request,
    prefer: Prefer,
) -> Result<(Arc<Known>, Question, Option<String>)> {
    let (head, content) = request.into_parts();
    let known = auth::caller(&head.extensions)?;
    let options = options(api, asked, &head.headers, &head.uri)?;
    let (most, depth) = {
        let runtime = api.engine.runtime();
        let limits = &runtime.plan().limits;
        (limits.body_bytes, limits.depth)
    };
    // An answer that comes later needs no room now. Any other question is not looked at when there is none.
    if let (false, Err(error)) = (prefer.respond_async, api.engine.has_room(&known.caller, name)) {
        body::discard(content, most, api.body_timeout).await;
        return Err(error);
    }
    let bytes = body::read(content, most, api.body_timeout).await?;
    let (input, callback) = envelope::question(&bytes, depth)?;
    if callback.is_some() && !prefer.respond_async {
        return Err(callback_at_once());
    }
    let question = Question {
        integration: name.to_owned(),
        input,
        idempotency_key: options.key,
        explain: options.explain,
        deadline: options.deadline,
    };
    Ok((known, question, callback))
}

/// A decision as its caller is told.
pub(super) fn respond(api: &Api, asked: &Asked, answer: &Answer) -> Response {
    let decision: &Decision = &answer.decision;
    let status = problem::status_of(decision);
    let mut response = match decision.outcome {
        Outcome::Ok | Outcome::Degraded => match serde_json::to_vec(decision) {
            Ok(body) => asked.json(api, status, body),
            Err(error) => {
                let error =
                    Error::new(ErrorKind::Internal, "answer_not_written", "the decision cannot be written as JSON")
                        .private(error);
                asked.problem(api, &error)
            }
        },
        Outcome::Rejected | Outcome::Quarantined | Outcome::Failed => {
            asked.document(api, status, &Problem::of_decision(decision, &asked.id))
        }
    };
    if decision.awaits_review() {
        later::for_people(&mut response, decision.id);
    }
    let headers = response.headers_mut();
    answer::set(headers, answer::DECISION_ID, &decision.id.to_string());
    if decision.outcome == Outcome::Failed {
        answer::set(headers, axum::http::header::RETRY_AFTER, "1");
    }
    if answer.replayed {
        answer::set(headers, REPLAYED, "true");
    }
    response
}

/// What headers and query say about how to decide.
struct Options {
    key: Option<String>,
    explain: bool,
    deadline: Option<Deadline>,
}

fn options(api: &Api, asked: &Asked, headers: &HeaderMap, uri: &Uri) -> Result<Options> {
    json_only(headers)?;
    let key = match headers.get(IDEMPOTENCY_KEY) {
        None => None,
        Some(value) => Some(service::idempotency_key(value.to_str().ok())?),
    };
    let left = time_left(headers)?;
    Ok(Options {
        key,
        explain: query::read(uri, &["explain"])?.flag("explain")?,
        // From the moment the request came, so that reading its body counts.
        deadline: left.map(|left| Deadline(asked.began.saturating_add(left)).min(api.context.deadline_in(left))),
    })
}

/// The time that the caller gives.
pub(super) fn time_left(headers: &HeaderMap) -> Result<Option<Duration>> {
    Ok(match (headers.get(TIMEOUT_MS), headers.get(REQUEST_TIMEOUT)) {
        (Some(value), _) => Some(timeout(value.to_str().ok(), 1e-3)?),
        (None, Some(value)) => Some(timeout(value.to_str().ok(), 1.0)?),
        (None, None) => None,
    })
}

fn callback_at_once() -> Error {
    Error::new(ErrorKind::Invalid, "callback_at_once", "a callback is only made for an answer that comes later")
        .at("/callback")
        .hint("send `Prefer: respond-async` with it, or leave it out")
}

pub(super) fn json_only(headers: &HeaderMap) -> Result<()> {
    let Some(kind) = headers.get(CONTENT_TYPE) else { return Ok(()) };
    let kind = kind.to_str().unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") || essence.ends_with("+json") {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Invalid, "not_json", "the request's content type is not JSON")
        .hint("send `Content-Type: application/json`"))
}

fn timeout(value: Option<&str>, unit: f64) -> Result<Duration> {
    value
        .and_then(|text| text.trim().parse::<f64>().ok())
        .and_then(|number| Duration::try_from_secs_f64(number * unit).ok())
        .filter(|left| *left <= Duration::from_secs(86_400))
        .ok_or_else(|| {
            Error::new(ErrorKind::Invalid, "timeout_header", "the request's deadline header is no duration")
                .hint("`tendon-timeout-ms: 250` or `Request-Timeout: 0.25` (seconds)")
        })
}
