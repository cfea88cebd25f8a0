//! Settling: what was found goes into the record behind the input's fields, and what was not found does what the plan says.
//! Reads nothing but the cases, so that a replay settles as the decision did.

use std::sync::Arc;

use tendon_kernel::{
    Error, ErrorKind, Value,
    decision::{Failure, LookupState, Outcome, Repair},
};
use tendon_plan::lookup::{LookupPlan, LookupsPlan, Without};

use crate::{
    batch::{Batch, Case},
    stages::validate::judged_by,
};

/// Makes room for everything that will be found.
pub(super) fn begin(plan: &LookupsPlan, batch: &mut Batch) {
    for case in batch.open() {
        case.looked = vec![None; plan.list.len()];
        if let Some(record) = &mut case.record {
            record.values.resize(plan.schema.fields.len(), Value::Null);
            record.schema = Arc::clone(&plan.schema);
        }
    }
}

/// Takes in what one wave found.
pub(super) fn wave(plan: &LookupsPlan, wave: usize, batch: &mut Batch) {
    for case in batch.open().filter(|case| case.attempt.is_none()) {
        for (index, lookup) in plan.list.iter().enumerate().filter(|(_, lookup)| lookup.wave == wave) {
            let Some(found) = case.looked.get(index).and_then(Option::as_ref) else { continue };
            let failed = match found.state {
                LookupState::Fresh | LookupState::Stale => {
                    let places = case.record.iter_mut().flat_map(|record| record.values.iter_mut().skip(lookup.first));
                    // By name: a record may be replayed with another plan.
                    let values = lookup.fields.iter().map(|field| found.row.as_ref().map(|row| row.get(field)));
                    places.zip(values).for_each(|(place, value)| *place = value.unwrap_or_default());
                    continue;
                }
                LookupState::Missing => false,
                LookupState::Failed => true,
            };
            if case.is_open() {
                without(case, lookup, failed);
            }
        }
    }
    // Now, so that the keys of the next wave see them; also where the ladder will answer.
    for case in batch.open() {
        plan.list.iter().filter(|lookup| lookup.wave == wave).for_each(|lookup| fill(plan, lookup, case));
    }
}

/// Puts defaults in place of missing values.
fn fill(plan: &LookupsPlan, lookup: &LookupPlan, case: &mut Case) {
    let Some(record) = &mut case.record else { return };
    for (at, default) in &lookup.defaults {
        let position = lookup.first + at;
        let (Some(value), Some(field)) = (record.values.get_mut(position), plan.schema.fields.get(position)) else {
            continue;
        };
        if value.is_null() {
            *value = default.clone();
            case.repaired.push(Repair { field: Arc::clone(&field.name), how: "default".into() });
        }
    }
}

/// Applies the quality rules that name a looked-up field.
pub(super) fn end(plan: &LookupsPlan, batch: &mut Batch) {
    let at = batch.at;
    for case in batch.open() {
        let Some(record) = &case.record else { continue };
        let judged = judged_by(&plan.reject, record, at, Outcome::Rejected, "quality_rejected")
            .and_then(|()| judged_by(&plan.quarantine, record, at, Outcome::Quarantined, "quality_quarantined"));
        if let Err((outcome, failure)) = judged {
            case.end(outcome, failure);
        }
    }
}

/// What the plan says for a row that is not there, or whose system failed.
fn without(case: &mut Case, lookup: &LookupPlan, failed: bool) {
    let (code, message) = if failed {
        ("lookup_failed", format!("lookup {} failed: {} did not give its row", lookup.name, lookup.system))
    } else {
        ("lookup_missing", format!("lookup {} found no row in {}.{}", lookup.name, lookup.system, lookup.resource))
    };
    let hint = if failed { "ask again when the system answers" } else { "correct the key, or add the row" };
    let failure = || Failure {
        code: code.into(),
        message: message.clone(),
        pointer: None,
        hint: Some(hint.into()),
        retryable: failed,
    };
    match if failed { lookup.failed } else { lookup.missing } {
        Without::Continue => {}
        Without::Fallback => case.attempt = Some(Error::new(ErrorKind::Unavailable, code, message).hint(hint)),
        // A source that failed says nothing against the input: the decision failed, and asking again may help.
        Without::Reject => case.end(if failed { Outcome::Failed } else { Outcome::Rejected }, failure()),
        Without::Quarantine => case.end(Outcome::Quarantined, failure()),
    }
}
