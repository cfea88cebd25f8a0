//! Errors as gRPC callers see them: `google.rpc.Status` with the stable code (`ErrorInfo`), the field at fault (`BadRequest`) and
//! the id of the request. The status is chosen here and nowhere else.

use std::{collections::HashMap, time::Duration};

use tendon_kernel::{
    Error, ErrorKind,
    decision::{Decision, Outcome},
};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use super::pb;

/// Who speaks in `ErrorInfo`.
const DOMAIN: &str = "tendon";

/// The status of an error: by its kind, and by code where gRPC has a more exact word.
pub(super) fn code(kind: ErrorKind, code: &str) -> Code {
    match (kind, code) {
        (ErrorKind::Invalid, "body_too_large") | (ErrorKind::Overloaded, "rate_limited" | "quota_exceeded") => {
            Code::ResourceExhausted
        }
        (ErrorKind::Invalid, _) => Code::InvalidArgument,
        (ErrorKind::Unauthenticated, _) => Code::Unauthenticated,
        (ErrorKind::Forbidden, _) => Code::PermissionDenied,
        (ErrorKind::NotFound | ErrorKind::Gone, _) => Code::NotFound,
        (ErrorKind::Conflict, _) => Code::AlreadyExists,
        (ErrorKind::Quarantined, _) => Code::FailedPrecondition,
        (ErrorKind::Timeout, _) => Code::DeadlineExceeded,
        (ErrorKind::Overloaded | ErrorKind::Unavailable, _) => Code::Unavailable,
        (ErrorKind::Unsupported, _) => Code::Unimplemented,
        (ErrorKind::Corrupt, _) => Code::DataLoss,
        _ => Code::Internal,
    }
}

/// An error in a stream.
pub(super) fn problem(error: &Error) -> pb::Problem {
    pb::Problem {
        status: code(error.kind(), error.code()).into(),
        code: error.code().to_owned(),
        detail: error.message().to_owned(),
        retryable: error.retryable(),
        pointer: error.pointer().unwrap_or_default().to_owned(),
        hint: error.hint_text().unwrap_or_default().to_owned(),
        decision_id: String::new(),
    }
}

/// Why a decision has no answer: its input was refused, set aside, or nothing could answer. `None`: it has one.
pub(super) fn of_decision(decision: &Decision) -> Option<pb::Problem> {
    let status = match decision.outcome {
        Outcome::Ok | Outcome::Degraded => return None,
        Outcome::Rejected => Code::InvalidArgument,
        Outcome::Quarantined => Code::FailedPrecondition,
        Outcome::Failed => Code::Unavailable,
    };
    let text = |text: Option<&String>| text.cloned().unwrap_or_default();
    let error = decision.error.as_ref();
    Some(pb::Problem {
        status: status.into(),
        code: error.map_or(decision.outcome.name(), |error| error.code.as_str()).to_owned(),
        detail: error.map_or("the decision has no answer", |error| error.message.as_str()).to_owned(),
        retryable: error.is_some_and(|error| error.retryable),
        // The path points into the input.
        pointer: error.and_then(|error| error.pointer.as_ref()).map(|at| format!("/input{at}")).unwrap_or_default(),
        hint: text(error.and_then(|error| error.hint.as_ref())),
        decision_id: decision.id.to_string(),
    })
}

/// A problem as the end of a call.
pub(super) fn status(problem: &pb::Problem, request: &str) -> Status {
    let mut more = HashMap::from([
        ("code".to_owned(), problem.code.clone()),
        ("retryable".to_owned(), problem.retryable.to_string()),
    ]);
    for (name, text) in [("hint", &problem.hint), ("decision_id", &problem.decision_id)] {
        if !text.is_empty() {
            more.insert(name.to_owned(), text.clone());
        }
    }
    let mut details = ErrorDetails::with_error_info(problem.code.to_uppercase(), DOMAIN, more);
    details.set_request_info(request, "");
    if !problem.pointer.is_empty() {
        let field = problem.pointer.trim_start_matches('/').replace('/', ".");
        details.add_bad_request_violation(field, problem.detail.clone());
    }
    if problem.retryable {
        details.set_retry_info(Some(Duration::from_secs(1)));
    }
    let mut text = problem.detail.clone();
    if !problem.hint.is_empty() {
        text.push_str(&format!(" ({})", problem.hint));
    }
    Status::with_error_details(Code::from(problem.status), text, details)
}

/// An error as the end of a call.
pub(super) fn of(error: &Error, request: &str) -> Status {
    let problem = problem(error);
    let broken = matches!(Code::from(problem.status), Code::Internal | Code::Unavailable | Code::DataLoss);
    // A flood of refusals would be a flood of lines: they are counted, and summarised in the ledger.
    if broken && error.kind() != ErrorKind::Overloaded {
        tracing::warn!(request, code = error.code(), detail = error.private_detail(), "{error}");
    }
    status(&problem, request)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_carries_code_field_and_request() {
        let error =
            Error::new(ErrorKind::Invalid, "out_of_range", "field age is too large").at("/input/age").hint("less");
        let status = of(&error, "r1");
        assert_eq!(status.code(), Code::InvalidArgument);
        assert_eq!(status.message(), "field age is too large (less)");
        let details = status.get_error_details();
        let info = details.error_info().unwrap();
        assert_eq!((info.reason.as_str(), info.domain.as_str()), ("OUT_OF_RANGE", "tendon"));
        assert_eq!((info.metadata["code"].as_str(), info.metadata["retryable"].as_str()), ("out_of_range", "false"));
        assert_eq!(details.bad_request().unwrap().field_violations[0].field, "input.age");
        assert_eq!(details.request_info().unwrap().request_id, "r1");
        assert!(details.retry_info().is_none());
        let busy = of(&Error::new(ErrorKind::Overloaded, "overloaded", "no room"), "r2");
        assert_eq!(busy.code(), Code::Unavailable);
        assert!(busy.get_error_details().retry_info().is_some());
    }
}
