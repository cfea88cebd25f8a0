//! The calls with one question and one answer.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use hyper::HeaderMap;
use prost::Message;
use tendon_engine::ask::Timing;
use tendon_kernel::{Error, ErrorKind, Result, context::Deadline};

use super::{convert, pb, status};
use crate::{
    api::{Api, answer, integrations, openapi},
    service::{self, Filter, Question},
    trust::Known,
};

/// A call under way.
pub(super) struct Call {
    pub(super) api: Arc<Api>,
    pub(super) known: Arc<Known>,
    /// When the answer is due.
    pub(super) deadline: Option<Deadline>,
    /// Id of the request.
    pub(super) request: String,
}

/// What a call gives: a message, and headers about it.
pub(super) struct Given<M> {
    pub(super) message: M,
    pub(super) headers: HeaderMap,
    pub(super) timings: Vec<Timing>,
}

impl<M: Message> From<M> for Given<M> {
    fn from(message: M) -> Self {
        Self { message, headers: HeaderMap::new(), timings: Vec::new() }
    }
}

/// What ends a call: a status with its details, or an error that becomes one.
pub(super) enum End {
    Error(Error),
    Problem(Box<pb::Problem>),
}

impl From<Error> for End {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

/// The input of a question as JSON text, and its idempotency key.
///
/// # Errors
/// `Invalid` without an input, or with one that cannot be JSON.
pub(super) fn question(api: &Api, input: Option<pb::DecideRequestInput>, key: &str) -> Result<(Bytes, Option<String>)> {
    let input = match input {
        Some(pb::DecideRequestInput::Json(text)) => text,
        Some(pb::DecideRequestInput::Fields(fields)) => {
            convert::text(&fields, api.service.engine.runtime().plan().limits.depth)?
        }
        None => {
            return Err(Error::new(ErrorKind::Invalid, "input_missing", "the request has no input")
                .at("/input")
                .hint("set `fields` or `json` to the integration's fields"));
        }
    };
    if std::str::from_utf8(&input).is_err() {
        return Err(Error::new(ErrorKind::Invalid, "malformed_json", "the input is not UTF-8")
            .at("/input")
            .hint("send the integration's fields as a JSON object in UTF-8"));
    }
    let key = (!key.is_empty()).then(|| service::idempotency_key(Some(key))).transpose()?;
    Ok((input, key))
}

pub(super) async fn decide(call: Call, request: pb::DecideRequest) -> Result<Given<pb::DecideResponse>, End> {
    let api = &*call.api;
    let pb::DecideRequest { integration, input, idempotency_key, explain } = request;
    let (input, idempotency_key) = question(api, input, &idempotency_key)
        .inspect_err(|error| api.service.engine.refused(&integration, error.code()))?;
    let question = Question { integration, input, idempotency_key, explain, deadline: call.deadline };
    let (answer, timings) = api.service.decide(&call.known, question).await?;
    if let Some(problem) = status::of_decision(&answer.decision) {
        return Err(End::Problem(Box::new(problem)));
    }
    let mut headers = HeaderMap::new();
    answer::set(&mut headers, answer::DECISION_ID, &answer.decision.id.to_string());
    let message = pb::DecideResponse { decision: Some(convert::decision(&answer.decision)), replayed: answer.replayed };
    Ok(Given { message, headers, timings })
}

pub(super) async fn get(call: Call, request: pb::GetRequest) -> Result<Given<pb::GetResponse>, End> {
    let found = call.api.service.decision(&call.known, &request.id, false).await?;
    let decision = convert::decision(&found.decision()?);
    let deliveries = found.deliveries.into_iter().map(convert::delivery).collect();
    Ok(pb::GetResponse { decision: Some(decision), seq: found.seq, deliveries }.into())
}

pub(super) async fn list(call: Call, request: pb::ListRequest) -> Result<Given<pb::ListResponse>, End> {
    let given = |text: String| (!text.is_empty()).then_some(text);
    let outcome = convert::known_outcome(request.outcome());
    let filter = Filter {
        version: None,
        integration: given(request.integration),
        subject: given(request.subject),
        since: request.since.as_ref().map(|since| convert::time(since, "/since")).transpose()?,
        until: request.until.as_ref().map(|until| convert::time(until, "/until")).transpose()?,
        band: given(request.band),
        outcome,
        limit: usize::try_from(request.page_size).ok().filter(|size| *size > 0),
        cursor: given(request.page_token),
        explain: false,
        ..Filter::default()
    };
    let page = call.api.service.list(&call.known, &filter).await?;
    let decisions = page.decisions.iter().map(convert::listed).collect::<Result<_>>()?;
    Ok(pb::ListResponse { decisions, next_page_token: page.next.unwrap_or_default() }.into())
}

pub(super) async fn explain(call: Call, request: pb::ExplainRequest) -> Result<Given<pb::Explanation>, End> {
    let (explanation, _) = call.api.service.explanation(&call.known, &request.id).await?;
    Ok(convert::explanation(&explanation).into())
}

pub(super) async fn integrations(
    call: Call,
    _: pb::ListIntegrationsRequest,
) -> Result<Given<pb::ListIntegrationsResponse>, End> {
    let runtime = call.api.service.engine.runtime();
    let plan = runtime.plan();
    let shown = call.api.service.integrations(&call.known).into_iter().map(|one| pb::Integration {
        name: one.name.to_string(),
        purpose: one.purpose.to_string(),
        owner: one.owner.to_string(),
        model: format!("{}@{}", one.model, one.alias),
        doors: integrations::doors(&one).into_iter().map(str::to_owned).collect(),
        bands: one.bands.iter().map(|band| band.name.to_string()).collect(),
        input: Some(convert::structure(&openapi::input_schema(&one))),
    });
    let integrations = shown.collect();
    Ok(pb::ListIntegrationsResponse { project: plan.project.to_string(), plan: plan.digest.to_string(), integrations }
        .into())
}

/// The deadline of a call from its time and when it came.
pub(super) fn deadline(api: &Api, began: Duration, left: Option<Duration>) -> Option<Deadline> {
    left.map(|left| Deadline(began.saturating_add(left)).min(api.context.deadline_in(left)))
}
