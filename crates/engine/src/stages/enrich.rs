//! Enrich: what is to be looked up is, and a record becomes a row of the model's matrix. One feature that has no value for one record ends that record, not
//! the batch.

use std::sync::Arc;

use tendon_kernel::{Error, ErrorKind, Record, Result, Timestamp, Value, decision::Outcome, sockets::model::Matrix};
use tendon_plan::{
    IntegrationPlan,
    plan::{Encoding, FeaturePlan, Source},
};

use crate::{
    batch::{Batch, failure_of, scope},
    lookup::{self, World},
};

/// Looks up, and gives every open case its row.
pub(crate) async fn run(world: &World<'_>, batch: &mut Batch) {
    lookup::run(world, batch).await;
    features(batch);
}

/// Gives every open case its row, unless a lookup has sent it to the ladder.
pub(crate) fn features(batch: &mut Batch) {
    let (ready, at) = (Arc::clone(&batch.ready), batch.at);
    let plan = &*ready.plan;
    let mut matrix = Matrix::with_capacity(batch.cases.len(), plan.features.len());
    // A recalled answer needs no row of its own.
    for case in batch.open().filter(|case| case.output.is_none() && case.attempt.is_none()) {
        let Some(record) = &case.record else { continue };
        let start = matrix.values.len();
        match row(plan, record, at, &mut matrix.values) {
            Ok(()) => case.row = Some(start.checked_div(matrix.columns).unwrap_or(0)),
            Err(error) => {
                matrix.values.truncate(start);
                case.end(Outcome::Rejected, failure_of(&error));
            }
        }
    }
    batch.matrix = matrix;
}

fn row(plan: &IntegrationPlan, record: &Record, at: Timestamp, out: &mut Vec<f64>) -> Result<()> {
    for feature in &plan.features {
        out.push(with_value(feature, record, at, |value| encode(feature, value))??);
    }
    Ok(())
}

/// Does something with what a feature's number is made from.
fn with_value<T>(feature: &FeaturePlan, record: &Record, at: Timestamp, take: impl FnOnce(&Value) -> T) -> Result<T> {
    match &feature.source {
        Source::Field(index) => Ok(take(record.values.get(*index).unwrap_or(&Value::Null))),
        Source::Program(program) => {
            let computed = program.eval(&scope(record, at, None, None));
            computed.map(|value| take(&value)).map_err(|cause| no_value(feature, &cause))
        }
    }
}

/// What came in for the feature at a place of the row: a row says of a category that the model does not know, and of none at all,
/// the same.
pub(crate) fn came_in(plan: &IntegrationPlan, record: &Record, at: Timestamp, place: usize) -> Option<Value> {
    with_value(plan.features.get(place)?, record, at, Value::clone).ok()
}

fn encode(feature: &FeaturePlan, value: &Value) -> Result<f64> {
    match (&feature.encoding, value) {
        (_, Value::Null) => Ok(f64::NAN),
        (Encoding::Number, value) => match value.number() {
            // One NaN for all: missing, whatever bits computed it.
            Some(number) if number.is_nan() => Ok(f64::NAN),
            Some(number) => Ok(number),
            None => Err(no_number(feature)),
        },
        (Encoding::Category(codes), Value::Text(text)) => Ok(codes.get(text).copied().unwrap_or(f64::NAN)),
        (Encoding::Category(codes), other) => Ok(codes.get(other.to_string().as_str()).copied().unwrap_or(f64::NAN)),
    }
}

fn no_value(feature: &FeaturePlan, cause: &Error) -> Error {
    Error::new(
        ErrorKind::Invalid,
        "feature_failed",
        format!("feature {} has no value for this input: {}", feature.name, cause.message()),
    )
    .hint("correct the input, or the feature's expression in the integration")
}

fn no_number(feature: &FeaturePlan) -> Error {
    Error::new(ErrorKind::Invalid, "feature_failed", format!("feature {} is no number for this input", feature.name))
        .hint("correct the feature's expression in the integration")
}
