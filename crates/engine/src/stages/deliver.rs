//! Deliver: write-backs through the outbox. `prepare` makes them before the record, because they stand in the entry; `run`
//! hands them over after it. What could not go on becomes a dead letter in the entry.

use std::sync::Arc;

use tendon_kernel::{
    Result, Timestamp, Value,
    decision::{Delivery, Failure},
};
use tendon_plan::{
    IntegrationPlan,
    expr::Scope,
    plan::{EventsPlan, TargetPlan},
};

use crate::{
    ask::{Input, SourceRow},
    batch::{Batch, Case, State, failure_of},
    engine::Engine,
    record_format::Letter,
};

/// Makes the deliveries of the cases that came from a row, and the letters of those that ended.
pub(crate) fn prepare(batch: &mut Batch) {
    let (ready, at) = (Arc::clone(&batch.ready), batch.at);
    for case in &mut batch.cases {
        call(&ready.plan, case);
    }
    let Some(events) = &ready.plan.events else { return };
    for case in &mut batch.cases {
        let Some(source) = &case.source else { continue };
        let letter = match &case.state {
            State::Answered(_) => continue,
            State::Ended(_, failure) => Some(failure.clone()),
            // Delivered when a person has answered.
            State::Open if case.is_held() => continue,
            State::Open => {
                match events.target.as_ref().map(|target| delivery(&ready.plan, events, target, case, source, at)) {
                    None => None,
                    Some(Ok(delivery)) => {
                        case.deliveries = vec![delivery];
                        None
                    }
                    Some(Err(error)) => Some(failure_of(&error)),
                }
            }
        };
        case.letter = letter.map(|cause| letter_of(events, source, cause));
    }
}

/// The call that tells of a decision, however it ended. One whose address is not declared any more stays unmade.
fn call(plan: &IntegrationPlan, case: &mut Case) {
    if case.is_held() {
        return;
    }
    let (Some(url), false) = (case.callback.take(), matches!(case.state, State::Answered(_))) else { return };
    match plan.api.as_ref().and_then(|api| api.may_call(&url)) {
        Some(receiver) => case.deliveries.push(Delivery::callback(&receiver.origin, &url, case.id)),
        None => tracing::warn!(decision = %case.id, "a callback is not made: its address is not declared any more"),
    }
}

/// Hands over what is durable now.
pub(crate) fn run(engine: &Engine, batch: &Batch) {
    let Some(sink) = &engine.deliveries else { return };
    for case in &batch.cases {
        if let State::Answered(Ok(answer)) = &case.state
            && !answer.replayed
            && !case.deliveries.is_empty()
        {
            sink.accepted(answer.seq, &answer.decision, &case.deliveries);
        }
    }
}

fn letter_of(events: &EventsPlan, source: &SourceRow, cause: Failure) -> Letter {
    let key = events.key.iter().cloned().zip(source.key.iter().cloned()).collect();
    Letter { cause, system: Arc::clone(&events.system), resource: Arc::clone(&events.resource), key }
}

/// The write-back of a case that has an output.
///
/// # Errors
/// When an expression has no value for it.
pub(crate) fn delivery(
    plan: &IntegrationPlan,
    events: &EventsPlan,
    target: &TargetPlan,
    case: &Case,
    source: &SourceRow,
    at: Timestamp,
) -> Result<Delivery> {
    let id = case.id.to_string();
    let set = target.set.iter().map(|(field, program)| {
        let Some(record) = &case.record else { return Ok((field.clone(), Value::Null)) };
        let scope =
            Scope { input: record, now: at, output: case.output, band: case.band.as_deref(), decision: Some(&id) };
        Ok((field.clone(), program.eval(&scope)?))
    });
    Ok(Delivery {
        system: Arc::clone(&target.system),
        resource: Arc::clone(&target.resource),
        key: target.key.iter().cloned().zip(source.key.iter().cloned()).collect(),
        set: set.collect::<Result<_>>()?,
        expect: if target.same_row { as_read(plan, events, case) } else { Vec::new() },
        older: target.stamp.clone().map(|field| (field, at)),
    })
}

/// The input fields with the values that were read: the row may only be written while it still holds them.
fn as_read(plan: &IntegrationPlan, events: &EventsPlan, case: &Case) -> Vec<(String, Value)> {
    let schema = &plan.input.schema;
    let mut fields = Vec::with_capacity(events.fields.len());
    for (index, field) in events.fields.iter().enumerate() {
        let value = match (&case.input, &case.record) {
            (Input::Values(values), _) => values.get(index).cloned(),
            // A repaired field was missing when it was read.
            (Input::Json(_), Some(record)) if !case.repaired.iter().any(|repair| repair.field.as_ref() == field) => {
                schema.position(field).and_then(|at| record.values.get(at).cloned())
            }
            (Input::Json(_), _) => None,
        };
        fields.push((field.clone(), value.unwrap_or(Value::Null)));
    }
    fields
}
