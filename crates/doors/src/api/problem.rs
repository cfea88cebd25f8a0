//! Errors as callers see them: RFC 9457 problem details. The status is chosen here and nowhere else.

use axum::http::StatusCode;
use tendon_kernel::{
    Error, ErrorKind, Id,
    decision::{Decision, Outcome},
};

/// Where the codes are explained: the tag of the OpenAPI document that every service of this kind serves itself.
const TYPE: &str = "/openapi.json#/components/x-problem-codes/";

/// A problem document.
#[derive(Debug, serde::Serialize)]
pub struct Problem<'a> {
    /// Reference to the explanation of the code.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind of problem in words.
    pub title: &'static str,
    /// Status code.
    pub status: u16,
    /// What happened.
    pub detail: &'a str,
    /// Stable code.
    pub code: &'a str,
    /// Whether the same request may succeed later.
    pub retryable: bool,
    /// Id of this request, as in `x-request-id`.
    pub request_id: &'a str,
    /// JSON pointer into the request body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<&'a str>,
    /// The recorded decision, where the request became one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision_id: Option<Id>,
}

/// The status of an error: by its kind, and by code where HTTP has a more exact word.
pub fn status(kind: ErrorKind, code: &str) -> StatusCode {
    match (kind, code) {
        (ErrorKind::Invalid, "body_too_large") => StatusCode::PAYLOAD_TOO_LARGE,
        (ErrorKind::Invalid, "not_json") => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        (ErrorKind::Invalid, "wrong_method") => StatusCode::METHOD_NOT_ALLOWED,
        // The caller's side was late; a deadline that passes under way is this side's, and stays 504.
        (ErrorKind::Timeout, "slow_body" | "deadline_passed") => StatusCode::REQUEST_TIMEOUT,
        (ErrorKind::Overloaded, "rate_limited" | "quota_exceeded") => StatusCode::TOO_MANY_REQUESTS,
        (ErrorKind::Invalid, _) => StatusCode::BAD_REQUEST,
        (ErrorKind::Unauthenticated, _) => StatusCode::UNAUTHORIZED,
        (ErrorKind::Forbidden, _) => StatusCode::FORBIDDEN,
        // An explanation that does not exist; it is not that this service could not give one.
        (ErrorKind::NotFound, _) | (ErrorKind::Unsupported, "nothing_to_explain") => StatusCode::NOT_FOUND,
        (ErrorKind::Gone, _) => StatusCode::GONE,
        (ErrorKind::Conflict, _) => StatusCode::CONFLICT,
        (ErrorKind::Quarantined, _) => StatusCode::UNPROCESSABLE_ENTITY,
        (ErrorKind::Timeout, _) => StatusCode::GATEWAY_TIMEOUT,
        (ErrorKind::Overloaded | ErrorKind::Unavailable, _) => StatusCode::SERVICE_UNAVAILABLE,
        (ErrorKind::Unsupported, _) => StatusCode::NOT_IMPLEMENTED,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// The status of a decision that was made, by its outcome.
pub(super) fn status_of(decision: &Decision) -> StatusCode {
    match decision.outcome {
        // Recorded, and the answer is still to come.
        Outcome::Ok | Outcome::Degraded if decision.awaits_review() => StatusCode::ACCEPTED,
        Outcome::Ok | Outcome::Degraded => StatusCode::OK,
        Outcome::Rejected | Outcome::Quarantined => StatusCode::UNPROCESSABLE_ENTITY,
        Outcome::Failed => StatusCode::SERVICE_UNAVAILABLE,
    }
}

impl<'a> Problem<'a> {
    /// A problem from an error.
    pub fn of(error: &'a Error, request_id: &'a str) -> Self {
        let status = status(error.kind(), error.code());
        Self {
            kind: format!("{TYPE}{}", error.code()),
            title: title(status),
            status: status.as_u16(),
            detail: error.message(),
            code: error.code(),
            retryable: error.retryable(),
            request_id,
            pointer: error.pointer().map(str::to_owned),
            hint: error.hint_text(),
            decision_id: None,
        }
    }

    /// A problem from a decision without an answer: its input was refused, set aside, or nothing could answer.
    pub fn of_decision(decision: &'a Decision, request_id: &'a str) -> Self {
        let status = status_of(decision);
        let error = decision.error.as_ref();
        let code = error.map_or(decision.outcome.name(), |error| error.code.as_str());
        Self {
            kind: format!("{TYPE}{code}"),
            title: title(status),
            status: status.as_u16(),
            detail: error.map_or("the decision has no answer", |error| error.message.as_str()),
            code,
            retryable: error.is_some_and(|error| error.retryable),
            request_id,
            // The path points into the input; the caller sent it as the member `input`.
            pointer: error.and_then(|error| error.pointer.as_ref()).map(|pointer| format!("/input{pointer}")),
            hint: error.and_then(|error| error.hint.as_deref()),
            decision_id: Some(decision.id),
        }
    }
}

pub(crate) fn title(status: StatusCode) -> &'static str {
    match status {
        StatusCode::BAD_REQUEST => "The request cannot be understood",
        StatusCode::UNAUTHORIZED => "No valid credentials",
        StatusCode::FORBIDDEN => "Not allowed",
        StatusCode::NOT_FOUND => "Not found",
        StatusCode::METHOD_NOT_ALLOWED => "The method does not fit this address",
        StatusCode::REQUEST_TIMEOUT => "The request came too late",
        StatusCode::CONFLICT => "Conflicts with an earlier request",
        StatusCode::GONE => "Erased",
        StatusCode::PAYLOAD_TOO_LARGE => "The request is too large",
        StatusCode::UNSUPPORTED_MEDIA_TYPE => "The body must be JSON",
        StatusCode::UNPROCESSABLE_ENTITY => "The input was not accepted",
        StatusCode::TOO_MANY_REQUESTS => "Too many requests",
        StatusCode::NOT_IMPLEMENTED => "Not available",
        StatusCode::SERVICE_UNAVAILABLE => "Not able to answer now",
        StatusCode::GATEWAY_TIMEOUT => "The deadline passed",
        _ => "An error of this service",
    }
}
