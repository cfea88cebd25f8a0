//! Replay: a recorded decision is made again from its raw input and its own `now`, by the same stages, and compared bit for
//! bit with the record. A rung of the ladder is taken from the record: why a model could not answer cannot be replayed.

mod recalled;

use std::sync::Arc;

use tendon_kernel::{
    Error, ErrorKind, Id, Record, Result,
    decision::{Decision, Outcome, Rung},
    sockets::{ledger::Entry, model::Matrix},
};

pub use recalled::replay_recalled;

use crate::{
    ask::Caller,
    batch::{Batch, Case, State},
    engine::Engine,
    lookup,
    record_format::Snapshot,
    runtime::{Ready, Runtime, Slot},
    stages::{enrich, fall_back, infer, judge, validate},
    stored,
};

/// What a replay found.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct ReplayReport {
    /// The decision.
    pub id: Id,
    /// Whether everything compared is the same, bit for bit.
    pub same: bool,
    /// Digest of the plan in force now, when it is another than the recorded one: then differences are no surprise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub other_plan: Option<String>,
    /// What differs.
    pub differences: Vec<Difference>,
}

/// One difference between record and replay.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Difference {
    /// What (`output`, `feature balance`, …).
    pub what: String,
    /// In the record.
    pub recorded: String,
    /// In the replay.
    pub replayed: String,
}

impl Engine {
    /// Replays a decision with what is installed now; the model is the loaded one of the recorded digest. Of a recalled one
    /// the source is needed: [`replay_recalled`].
    ///
    /// # Errors
    /// As [`replay`].
    pub fn replay(&self, entry: &Entry) -> Result<ReplayReport> {
        replay(entry, &self.runtime())
    }
}

/// Replays a decision with a runtime: today's, or one made from the recorded plan and model.
///
/// # Errors
/// `Gone` when the subject was erased; `NotFound` when the integration is not in the plan or the recorded model version not
/// among the runtime's; `Corrupt` when the entry cannot be read.
pub fn replay(entry: &Entry, runtime: &Runtime) -> Result<ReplayReport> {
    let recorded = stored::decision(entry)?;
    if let Some(recalled) = &recorded.recalled {
        return Err(source_needed(recalled.from));
    }
    let body = stored::opened(entry)?;
    let snapshot = Snapshot::parse(&body.input)?;
    let mut batch = again(&recorded, &snapshot, runtime)?;
    // A decision that failed for its deadline, or before anything was computed, has no row: then only the input is judged.
    validate::run(&mut batch);
    let refused = matches!(recorded.outcome, Outcome::Rejected | Outcome::Quarantined);
    if !snapshot.features.is_empty() || !snapshot.lookups.is_empty() || refused {
        // The rows of then: no system is asked again.
        lookup::restore(&snapshot.lookups, &mut batch);
        enrich::features(&mut batch);
    }
    match recorded.outcome {
        Outcome::Ok => infer::run(&mut batch),
        Outcome::Degraded if recorded.degraded == Some(Rung::Previous) => {
            infer::run(&mut batch);
            batch.open().for_each(|case| case.rung = Some(Rung::Previous));
        }
        Outcome::Degraded => fall_back::declared(&mut batch),
        Outcome::Rejected | Outcome::Quarantined | Outcome::Failed => {}
    }
    if matches!(recorded.outcome, Outcome::Ok | Outcome::Degraded) {
        judge::run(&mut batch);
    }
    let mut differences = Vec::new();
    compare(&recorded, &snapshot, &batch, &mut differences);
    Ok(told(entry, &recorded, &batch, differences))
}

fn told(entry: &Entry, recorded: &Decision, batch: &Batch, differences: Vec<Difference>) -> ReplayReport {
    let (plan, now) = (&entry.facts.plan, &batch.ready.digest);
    let other_plan = (plan != now).then(|| now.to_string());
    ReplayReport { id: recorded.id, same: differences.is_empty(), other_plan, differences }
}

/// A batch of one that starts as the recorded decision did.
fn again(recorded: &Decision, snapshot: &Snapshot, runtime: &Runtime) -> Result<Batch> {
    let ready = runtime.ready(&recorded.integration).ok_or_else(|| {
        Error::new(ErrorKind::NotFound, "integration_unknown", "the plan has no such integration any more")
            .with("integration", &recorded.integration)
            .hint("replay with the recorded plan")
    })?;
    let mut batch = begun(recorded, snapshot, ready);
    let slot = slot(recorded, runtime)?;
    batch.cases.iter_mut().for_each(|case| case.slot.clone_from(&slot));
    Ok(batch)
}

fn begun(recorded: &Decision, snapshot: &Snapshot, ready: &Arc<Ready>) -> Batch {
    Batch {
        ready: ready.clone(),
        caller: Caller { id: "".into(), scope: "".into(), integrations: None },
        door: recorded.door,
        explain: false,
        deadline: tendon_kernel::context::Deadline(std::time::Duration::MAX),
        at: snapshot.now,
        matrix: Matrix::default(),
        cases: vec![Case::new(0, recorded.id, snapshot.raw.clone().into_input())],
    }
}

/// The record that a decision's features were computed from, as its own plan reads it; `None` where `runtime` does not have the
/// integration.
pub(crate) fn record(recorded: &Decision, snapshot: &Snapshot, runtime: &Runtime) -> Option<(Arc<Ready>, Record)> {
    let mut batch = begun(recorded, snapshot, runtime.ready(&recorded.integration)?);
    validate::run(&mut batch);
    lookup::restore(&snapshot.lookups, &mut batch);
    let record = batch.cases.pop()?.record?;
    Some((batch.ready, record))
}

fn source_needed(from: Id) -> Error {
    Error::new(ErrorKind::Unsupported, "source_needed", "this decision's answer was recalled from another decision")
        .with("source", from)
        .hint("replay it together with the decision it names")
}

/// Whether a model gave the decision's output.
pub fn asked(recorded: &Decision) -> bool {
    recorded.outcome == Outcome::Ok || recorded.degraded == Some(Rung::Previous)
}

fn slot(recorded: &Decision, runtime: &Runtime) -> Result<Option<Arc<Slot>>> {
    let Some(model) = recorded.model.as_ref().filter(|_| asked(recorded)) else { return Ok(None) };
    let slot = runtime.slot(&model.digest).map(Arc::clone);
    slot.map(Some).ok_or_else(|| {
        Error::new(ErrorKind::NotFound, "model_not_loaded", "the model that made this decision is not at hand")
            .with("model", &model.name)
            .with("version", &model.version)
            .with("digest", &model.digest)
            .hint("models are kept by digest under .tendon/objects as long as a decision names them")
    })
}

fn compare(recorded: &Decision, snapshot: &Snapshot, batch: &Batch, differences: &mut Vec<Difference>) {
    let Some(case) = batch.cases.first() else { return };
    let mut differ = |what: String, recorded: String, replayed: String| {
        if recorded != replayed {
            differences.push(Difference { what, recorded, replayed });
        }
    };
    let ended = match &case.state {
        State::Ended(outcome, failure) => Some((*outcome, failure)),
        _ => None,
    };
    if recorded.outcome == Outcome::Failed {
        // What failed was not the input: it must still be accepted, unless the time was over before it was looked at.
        let refused = ended.map_or("accepted", |(outcome, _)| outcome.name());
        if !snapshot.features.is_empty() {
            differ("input".into(), "accepted".into(), refused.into());
        }
    } else {
        differ(
            "outcome".into(),
            recorded.outcome.name().into(),
            ended.map_or(recorded.outcome, |(o, _)| o).name().into(),
        );
        let code =
            |failure: Option<&tendon_kernel::decision::Failure>| failure.map_or("none".into(), |f| f.code.clone());
        differ("error".into(), code(recorded.error.as_ref()), code(ended.map(|(_, failure)| failure)));
    }
    let row = case.row.map_or(&[][..], |row| batch.matrix.row(row));
    differ("number of features".into(), snapshot.features.len().to_string(), row.len().to_string());
    for (index, (was, is)) in snapshot.features.iter().zip(row).enumerate() {
        let name = batch.ready.plan.features.get(index).map_or("?", |feature| feature.name.as_ref());
        differ(format!("feature {name}"), bits(Some(*was)), bits(Some(*is)));
    }
    differ("output".into(), bits(recorded.output), bits(case.output));
    for (index, was) in recorded.classes.iter().flatten().enumerate() {
        let is = case.classes.as_ref().and_then(|classes| classes.get(index)).copied();
        differ(format!("class {index}"), bits(Some(*was)), bits(is));
    }
    differ("band".into(), format!("{:?}", recorded.band), format!("{:?}", case.band));
    differ("rung".into(), format!("{:?}", recorded.degraded), format!("{:?}", case.rung));
    differ("subject".into(), hidden(recorded.subject.as_deref()), hidden(case.subject.as_deref()));
    let repairs = |repaired: &[tendon_kernel::decision::Repair]| {
        repaired.iter().map(|repair| repair.field.as_ref()).collect::<Vec<_>>().join(", ")
    };
    differ("repaired".into(), repairs(&recorded.repaired), repairs(&case.repaired));
}

/// A number with its bits, so that a difference in the last one shows.
fn bits(number: Option<f64>) -> String {
    number.map_or_else(|| "none".into(), |number| format!("{number} (0x{:016x})", number.to_bits()))
}

/// A subject is personal: only whether it is the same may be told.
fn hidden(subject: Option<&str>) -> String {
    subject.map_or_else(
        || "none".into(),
        |subject| {
            let digest = ring::digest::digest(&ring::digest::SHA256, subject.as_bytes());
            crate::record_format::hex(&digest.as_ref()[..8])
        },
    )
}
