//! Infer: the model answers all open cases in one call, and each output is checked before it counts: shape, finite, range.

use std::sync::Arc;

use tendon_kernel::{
    Error, ErrorKind, Result,
    decision::Rung,
    sockets::model::{Matrix, Model, OutputKind},
};
use tendon_plan::IntegrationPlan;

use crate::{
    batch::{Batch, Case},
    runtime::Slot,
};

/// The cases that the model is asked for: not those whose answer was recalled.
fn asked(batch: &mut Batch) -> impl Iterator<Item = &mut Case> {
    batch.open().filter(|case| case.recall.hit.is_none())
}

/// Gives every open case an output, or the reason why not: one call per version that is asked.
pub(crate) fn run(batch: &mut Batch) {
    let ready = Arc::clone(&batch.ready);
    let plan = &*ready.plan;
    let matrix = std::mem::take(&mut batch.matrix);
    asked(batch).filter(|case| case.slot.is_none()).for_each(|case| case.attempt = Some(not_loaded(plan)));
    let mut slots: Vec<Arc<Slot>> = Vec::with_capacity(1);
    for slot in asked(batch).filter(|case| case.attempt.is_none()).filter_map(|case| case.slot.as_ref()) {
        if !slots.iter().any(|known| Arc::ptr_eq(known, slot)) {
            slots.push(Arc::clone(slot));
        }
    }
    match slots.as_slice() {
        // All rows ask the same version: the matrix goes as it is.
        [slot] if asked(batch).all(|case| case.slot.is_some()) => ask(plan, slot, &matrix, batch),
        several => {
            for slot in several {
                let mut some = Matrix { values: Vec::new(), columns: matrix.columns };
                let rows: Vec<Option<usize>> = asked(batch).map(|case| case.row).collect();
                for case in asked(batch).filter(|case| asks(case, slot)) {
                    let Some(row) = case.row else { continue };
                    case.row = Some(some.rows());
                    some.values.extend_from_slice(matrix.row(row));
                }
                ask(plan, slot, &some, batch);
                asked(batch).zip(rows).for_each(|(case, row)| case.row = row);
            }
        }
    }
    batch.matrix = matrix;
}

fn asks(case: &Case, slot: &Arc<Slot>) -> bool {
    // A case that a lookup has sent to the ladder has no row.
    case.attempt.is_none() && case.slot.as_ref().is_some_and(|asked| Arc::ptr_eq(asked, slot))
}

fn ask(plan: &IntegrationPlan, slot: &Arc<Slot>, matrix: &Matrix, batch: &mut Batch) {
    let width = plan.signature.outputs.max(1);
    let model = &*slot.model;
    match predict(model, matrix, width) {
        Ok(outputs) => {
            for case in asked(batch).filter(|case| asks(case, slot)) {
                let answer = case.row.and_then(|row| outputs.get(row * width..(row + 1) * width));
                take(plan, case, answer.ok_or_else(wrong_shape));
            }
        }
        // One row may have spoilt the call for all: each is asked on its own, so that a batch answers as its rows would.
        Err(error) if matrix.rows() > 1 => {
            tracing::debug!(?error, rows = matrix.rows(), "the model refused a batch; asking row by row");
            for case in asked(batch).filter(|case| asks(case, slot)) {
                let Some(row) = case.row else { continue };
                let one = Matrix { values: matrix.row(row).to_vec(), columns: matrix.columns };
                match predict(model, &one, width) {
                    Ok(outputs) => take(plan, case, Ok(&outputs)),
                    Err(error) => case.attempt = Some(error),
                }
            }
        }
        Err(error) => {
            asked(batch).filter(|case| asks(case, slot)).for_each(|case| case.attempt = Some(error.clone()));
        }
    }
}

/// Asks another version about the open cases that have no output, unless it is the one that failed: in one call, and one by
/// one where that fails for all. Not when it is too late: nobody waits for the answer.
pub(crate) fn instead(plan: &IntegrationPlan, slot: &Arc<Slot>, batch: &mut Batch, late: &dyn Fn() -> bool) {
    let width = plan.signature.outputs.max(1);
    let matrix = std::mem::take(&mut batch.matrix);
    let row = |case: &Case| {
        let failed = case.slot.as_ref().is_some_and(|asked| asked.reference.digest == slot.reference.digest);
        case.row.filter(|_| case.output.is_none() && !failed).map(|row| matrix.row(row))
    };
    let some = Matrix {
        values: batch.open().filter_map(|case| row(case)).flatten().copied().collect(),
        columns: matrix.columns,
    };
    if some.rows() > 0 && !late() {
        let whole = predict(&*slot.model, &some, width);
        for (at, case) in batch.open().filter(|case| row(case).is_some()).enumerate() {
            let alone;
            let answer = match &whole {
                Ok(outputs) => outputs.get(at * width..(at + 1) * width).ok_or_else(wrong_shape),
                Err(error) if some.rows() == 1 => Err(error.clone()),
                Err(_) if late() => break,
                Err(_) => {
                    let one = Matrix { values: some.row(at).to_vec(), columns: some.columns };
                    alone = predict(&*slot.model, &one, width);
                    alone.as_deref().map_err(Clone::clone)
                }
            };
            took(plan, slot, case, answer);
        }
    }
    batch.matrix = matrix;
}

/// Takes another version's answer, where it is one.
fn took(plan: &IntegrationPlan, slot: &Arc<Slot>, case: &mut Case, answer: Result<&[f64]>) {
    let cause = case.attempt.take();
    take(plan, case, answer);
    if case.output.is_some() {
        let cause = cause.as_ref().map_or("the model gave no output", |error| error.message());
        case.why = Some(format!("{cause}; version {} answered", slot.reference.version));
        case.slot = Some(Arc::clone(slot));
        case.rung = Some(Rung::Previous);
    } else {
        // What is told is why the version that should have answered did not.
        case.attempt = cause.or(case.attempt.take());
    }
}

pub(crate) fn predict(model: &dyn Model, matrix: &Matrix, width: usize) -> Result<Vec<f64>> {
    let outputs = model.predict(matrix)?;
    if outputs.len() == matrix.rows() * width { Ok(outputs) } else { Err(wrong_shape()) }
}

/// Takes an output that holds; the number of a decision with classes is the largest of them.
fn take(plan: &IntegrationPlan, case: &mut Case, answer: Result<&[f64]>) {
    match answer.and_then(|outputs| check(plan, outputs).map(|()| outputs)) {
        Ok(outputs) => {
            case.output = outputs.iter().copied().reduce(f64::max);
            let several = outputs.len() > 1 || plan.signature.output == OutputKind::Classes;
            case.classes = several.then(|| outputs.to_vec());
        }
        Err(error) => case.attempt = Some(error),
    }
}

pub(crate) fn check(plan: &IntegrationPlan, outputs: &[f64]) -> Result<()> {
    let (low, high) = plan.output_range;
    if outputs.iter().any(|output| !output.is_finite()) {
        return Err(bad_output("the model's output is not a finite number".into()));
    }
    if outputs.iter().any(|output| *output < low || *output > high) {
        return Err(bad_output(format!("the model's output is outside {low} to {high}")));
    }
    Ok(())
}

fn bad_output(message: String) -> Error {
    Error::new(ErrorKind::Unavailable, "bad_output", message).hint("roll back to the version before, or mend the model")
}

fn wrong_shape() -> Error {
    bad_output("the model gave another number of outputs than its signature says".into())
}

fn not_loaded(plan: &IntegrationPlan) -> Error {
    Error::new(ErrorKind::Unavailable, "model_not_loaded", format!("model {}@{} is not loaded", plan.model, plan.alias))
        .hint("`tendon check` says what is wrong with its file")
}
