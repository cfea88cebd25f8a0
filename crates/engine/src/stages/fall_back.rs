//! Fall back: the ladder for cases that the model did not answer. The version before, rules in order, then the declared
//! default, then a person; the decision is marked with the rung. Without a rung that answers, the decision failed, and asking
//! again may help.

use std::sync::Arc;

use tendon_kernel::{
    Timestamp,
    decision::{Failure, Outcome, Rung},
};
use tendon_plan::IntegrationPlan;

use super::infer;
use crate::{
    batch::{Batch, Case, scope},
    engine::Engine,
    recalling::Use,
};

/// Answers the open cases without an output, or ends them. `late`: whether the answer comes too late by now; then no model is
/// asked any more.
pub(crate) fn run(batch: &mut Batch, late: &dyn Fn() -> bool) {
    let ready = Arc::clone(&batch.ready);
    if ready.plan.fallback.previous {
        // What a canary or an arm could not answer, the integration's own version may.
        for slot in [&ready.champion, &ready.previous].into_iter().flatten() {
            infer::instead(&ready.plan, slot, batch, late);
        }
    }
    declared(batch);
}

/// Takes a place among what waits for people, for each case that is left to one. There is none when too many wait, and none
/// for a question that nobody asked.
pub(crate) fn ask_people(engine: &Engine, batch: &mut Batch, how: &Use) {
    let ready = Arc::clone(&batch.ready);
    let Some(human) = &ready.plan.fallback.human else { return };
    let at = batch.at;
    for case in batch.open().filter(|case| case.is_left_to_people()) {
        if matches!(how, Use::Renew(_)) {
            case.rung = None;
            case.end(Outcome::Failed, unavailable(&ready.plan));
            continue;
        }
        case.seat = engine.reviews.take(case.id, &ready.plan.name, at, human, true);
        if case.seat.is_none() {
            case.rung = None;
            let what = format!("model {}@{} could not answer", ready.plan.model, ready.plan.alias);
            case.end(Outcome::Failed, too_many(&what, "fallback.human.most"));
        }
    }
}

/// The rungs that need no model: those that a replay can climb again.
pub(crate) fn declared(batch: &mut Batch) {
    let (ready, at) = (Arc::clone(&batch.ready), batch.at);
    for case in batch.open().filter(|case| case.output.is_none()) {
        let cause = case.attempt.as_ref().map_or("the model gave no output", |error| error.message()).to_owned();
        match climb(&ready.plan, case, at) {
            Some((rung, output, how)) => {
                case.output = Some(output);
                case.rung = Some(rung);
                case.why = Some(format!("{cause}; {how}"));
            }
            None if ready.plan.fallback.human.is_some() => {
                case.rung = Some(Rung::Human);
                case.why = Some(format!("{cause}; no other rung answered"));
            }
            None => {
                case.end(Outcome::Failed, unavailable(&ready.plan));
                case.why = Some(cause);
            }
        }
    }
}

fn climb(plan: &IntegrationPlan, case: &Case, at: Timestamp) -> Option<(Rung, f64, String)> {
    let record = case.record.as_ref()?;
    for (index, (rule, output)) in plan.fallback.rules.iter().enumerate() {
        // A rule that has no result for this record is not true for it.
        if rule.holds(&scope(record, at, None, None)).unwrap_or(false) {
            return Some((Rung::Rules, *output, format!("fallback rule {} answered: {}", index + 1, rule.source())));
        }
    }
    plan.fallback.default.map(|output| (Rung::Default, output, "the declared default answered".to_owned()))
}

fn unavailable(plan: &IntegrationPlan) -> Failure {
    Failure {
        code: "model_unavailable".into(),
        message: format!("model {}@{} could not answer, and no fallback applies", plan.model, plan.alias),
        pointer: None,
        hint: Some("ask again later; a `fallback` in the integration would answer meanwhile".into()),
        retryable: true,
    }
}

/// No place is left among what waits for people. `key` of the integration says how many there are.
pub(crate) fn too_many(what: &str, key: &str) -> Failure {
    Failure {
        code: "too_many_reviews".into(),
        message: format!("{what}, and as many decisions wait for a person as may"),
        pointer: None,
        hint: Some(format!("ask again when some were answered; `{key}` in the integration sets how many may wait")),
        retryable: true,
    }
}
