//! Explain: why the output is what it is, for the cases that want it now. All others can be explained later from their
//! recorded row, with the same result. A decision that cannot be explained stands all the same.

use std::sync::Arc;

use tendon_kernel::{Timestamp, Value, decision::Rung};
use tendon_plan::plan::ExplainPlan;

use crate::{
    batch::{Batch, Case, scope},
    explaining,
    stages::enrich,
};

/// Explains the open cases that ask for it.
pub(crate) fn run(batch: &mut Batch) {
    let (ready, at, asked) = (Arc::clone(&batch.ready), batch.at, batch.explain);
    let wanted = &ready.plan.explain;
    if !asked && matches!(wanted, ExplainPlan::OnRequest) {
        return;
    }
    let matrix = std::mem::take(&mut batch.matrix);
    for case in batch.open().filter(|case| asked || wants(wanted, case, at)) {
        let Some(output) = case.output else { continue };
        let hit = case.recall.hit.as_ref().map(|hit| hit.features.as_slice());
        let row = hit.or_else(|| case.row.map(|row| matrix.row(row)));
        case.explanation = match (case.rung, row, &case.slot) {
            (Some(rung), _, _) if rung != Rung::Previous => {
                Some(explaining::of_rung(rung, output, case.why.as_deref()))
            }
            (_, Some(row), Some(slot)) => {
                // A recalled answer's row is of another input.
                let record = case.record.as_ref().filter(|_| hit.is_none());
                let came_in = |place| enrich::came_in(&ready.plan, record?, at, place);
                let explained = explaining::of_model(&*slot.model, row, case.classes.as_deref(), &came_in);
                explained.inspect_err(|error| tracing::warn!(?error, "a decision could not be explained")).ok()
            }
            _ => None,
        };
    }
    batch.matrix = matrix;
}

fn wants(plan: &ExplainPlan, case: &Case, at: Timestamp) -> bool {
    match plan {
        ExplainPlan::OnRequest => false,
        ExplainPlan::Always => true,
        ExplainPlan::When(program) => case.record.as_ref().is_some_and(|record| {
            let scope = scope(record, at, case.output, case.band.as_deref());
            matches!(program.eval(&scope), Ok(Value::Bool(true)))
        }),
    }
}
