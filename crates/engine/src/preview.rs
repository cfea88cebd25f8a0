//! Preview: what the path would answer for rows of a system and what it would write, by the same stages, recorded nowhere
//! and delivered nowhere. For a dry run, and for bands that fit the rows there are.

use tendon_kernel::{
    Error, ErrorKind, Id, Result, Timestamp, Value,
    context::Context,
    decision::{Delivery, Door, Failure, Outcome},
    sockets::model::Matrix,
};

use crate::{
    ask::{Caller, Input, SourceRow},
    batch::{Batch, Case, State},
    lookup::{self, World},
    runtime::Runtime,
    stages::{deliver, enrich, fall_back, infer, judge, validate},
};

/// What would become of one row.
pub struct Preview {
    /// Key of the row.
    pub key: Vec<Value>,
    /// How it would end.
    pub outcome: Outcome,
    /// The number.
    pub output: Option<f64>,
    /// The band.
    pub band: Option<String>,
    /// Why there would be no answer.
    pub error: Option<Failure>,
    /// What would be written.
    pub deliveries: Vec<Delivery>,
}

/// A row: its key, and the values of the input's fields in the schema's order.
pub struct PreviewRow {
    /// Key of the row.
    pub key: Vec<Value>,
    /// Values in the order of the input schema.
    pub values: Vec<Value>,
}

/// Previews rows of one integration, as of a time; its lookups are asked now, of the systems lent to the runtime.
///
/// # Errors
/// `NotFound` when the plan has no such integration.
pub async fn preview(
    runtime: &Runtime,
    context: &Context,
    integration: &str,
    at: Timestamp,
    rows: Vec<PreviewRow>,
) -> Result<Vec<Preview>> {
    let mut batch = taken_in(runtime, integration, at, rows)?;
    lookup::run(&World { context, copies: None }, &mut batch).await;
    Ok(answered(batch))
}

/// The same for an integration that looks nothing up.
///
/// # Errors
/// As [`preview`].
pub fn preview_alone(
    runtime: &Runtime,
    integration: &str,
    at: Timestamp,
    rows: Vec<PreviewRow>,
) -> Result<Vec<Preview>> {
    Ok(answered(taken_in(runtime, integration, at, rows)?))
}

fn taken_in(runtime: &Runtime, integration: &str, at: Timestamp, rows: Vec<PreviewRow>) -> Result<Batch> {
    let ready = runtime.ready(integration).ok_or_else(|| {
        Error::new(ErrorKind::NotFound, "integration_unknown", "the plan has no such integration")
            .with("integration", integration)
    })?;
    let cases = rows.into_iter().enumerate().map(|(place, row)| {
        let mut case = Case::new(place, Id([0; 16]), Input::Values(row.values));
        case.slot.clone_from(&ready.champion);
        case.source = Some(SourceRow { key: row.key, mark: Value::Null, digest: [0; 16] });
        case
    });
    let mut batch = Batch {
        ready: ready.clone(),
        caller: Caller { id: "".into(), scope: "".into(), integrations: None },
        door: Door::Batch,
        explain: false,
        deadline: tendon_kernel::context::Deadline(std::time::Duration::MAX),
        at,
        matrix: Matrix::default(),
        cases: cases.collect(),
    };
    validate::run(&mut batch);
    Ok(batch)
}

fn answered(mut batch: Batch) -> Vec<Preview> {
    enrich::features(&mut batch);
    infer::run(&mut batch);
    fall_back::run(&mut batch, &|| false);
    judge::run(&mut batch);
    deliver::prepare(&mut batch);
    batch.cases.into_iter().map(shown).collect()
}

fn shown(case: Case) -> Preview {
    let (outcome, left_to_people) = (case.outcome(), case.is_left_to_people());
    let error = match case.state {
        State::Ended(_, failure) => Some(failure),
        _ if left_to_people => Some(Failure {
            code: "review_pending".into(),
            message: "nothing but a person could answer it".into(),
            pointer: None,
            hint: None,
            retryable: false,
        }),
        _ => None,
    };
    Preview {
        key: case.source.map(|source| source.key).unwrap_or_default(),
        outcome,
        output: case.output,
        band: case.band.map(|band| band.to_string()),
        error,
        deliveries: case.deliveries,
    }
}
