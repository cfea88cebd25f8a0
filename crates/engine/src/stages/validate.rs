//! Validate: the input against its schema and the quality rules: accept, repair by declared defaults, quarantine, reject.

use std::sync::Arc;

use tendon_kernel::{
    Error, Record, Timestamp, Value,
    decision::{Failure, Outcome, Repair},
};
use tendon_plan::{IntegrationPlan, plan::QualityRule};

use crate::{
    batch::{Batch, Case, scope},
    form::{self, Problem, Reading},
    runtime::Ready,
};

/// Gives every case its record and subject, or ends it.
pub(crate) fn run(batch: &mut Batch) {
    let (ready, at) = (Arc::clone(&batch.ready), batch.at);
    for case in batch.open() {
        if let Err((outcome, failure)) = validate(&ready, at, case) {
            case.end(outcome, failure);
        }
    }
}

fn validate(ready: &Ready, at: Timestamp, case: &mut Case) -> Result<(), (Outcome, Failure)> {
    case.read(ready);
    let Some(Reading { values, problems, .. }) = &mut case.reading else { return Ok(()) };
    let (mut values, mut problems) = (std::mem::take(values), std::mem::take(problems));
    let plan = &*ready.plan;
    // A problem of the input as a whole leaves no fields that could be missing.
    let usable = case.reading.as_ref().is_some_and(|reading| reading.well_formed)
        && problems.iter().all(|problem| !problem.pointer.is_empty());
    case.repaired = if usable { repair(plan, &mut values, &problems) } else { Vec::new() };
    if usable {
        missing(plan, &values, &mut problems);
    }
    let record = ready.form.record(values);
    // Also of a refused input, as far as it can be told: whom it is about decides which key seals it.
    case.subject = subject(plan, &record, at);
    let record = case.record.insert(record);
    if let Some(failure) = form::failure(&problems) {
        return Err((Outcome::Rejected, failure));
    }
    judged_by(&plan.input.reject, record, at, Outcome::Rejected, "quality_rejected")?;
    judged_by(&plan.input.quarantine, record, at, Outcome::Quarantined, "quality_quarantined")
}

/// Puts declared defaults in place of missing values; a wrong value is not a missing one.
fn repair(plan: &IntegrationPlan, values: &mut [Value], problems: &[Problem]) -> Vec<Repair> {
    let mut repaired = Vec::new();
    for (index, default) in &plan.input.defaults {
        let (Some(value), Some(field)) = (values.get_mut(*index), plan.input.schema.fields.get(*index)) else {
            continue;
        };
        if value.is_null() && !is_wrong(&field.name, problems) {
            *value = default.clone();
            repaired.push(Repair { field: Arc::clone(&field.name), how: "default".into() });
        }
    }
    repaired
}

fn missing(plan: &IntegrationPlan, values: &[Value], problems: &mut Vec<Problem>) {
    for (field, value) in plan.input.schema.fields.iter().zip(values) {
        if field.required && value.is_null() && !is_wrong(&field.name, problems) {
            problems.push(Problem {
                code: "missing_field",
                pointer: form::pointer(&field.name),
                message: format!("field {} is required", field.name),
                hint: None,
            });
        }
    }
}

fn is_wrong(name: &str, problems: &[Problem]) -> bool {
    !problems.is_empty() && problems.iter().any(|problem| problem.pointer == form::pointer(name))
}

fn subject(plan: &IntegrationPlan, record: &Record, at: Timestamp) -> Option<Arc<str>> {
    match plan.subject.as_ref()?.eval(&scope(record, at, None, None)) {
        Ok(Value::Text(text)) => Some(text),
        Ok(Value::Null) | Err(_) => None,
        Ok(value) => Some(value.to_string().into()),
    }
}

/// Ends the case by the first rule that is true, or that has no result for this record.
pub(crate) fn judged_by(
    rules: &[QualityRule],
    record: &Record,
    at: Timestamp,
    outcome: Outcome,
    code: &str,
) -> Result<(), (Outcome, Failure)> {
    for rule in rules {
        let (message, hint) = match rule.when.eval(&scope(record, at, None, None)) {
            Ok(Value::Bool(true)) => (rule.reason.to_string(), None),
            Ok(_) => continue,
            Err(cause) => (unclear(rule, &cause), Some("the rule has no result for these values".to_owned())),
        };
        let failure = Failure { code: code.into(), message, pointer: None, hint, retryable: false };
        return Err((outcome, failure));
    }
    Ok(())
}

fn unclear(rule: &QualityRule, cause: &Error) -> String {
    format!("the quality rule for \"{}\" could not be evaluated: {}", rule.reason, cause.message())
}
