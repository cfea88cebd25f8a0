//! Decisions read back from their entries, and explained from what the entry holds.

use std::cell::LazyCell;

use tendon_kernel::{
    Error, ErrorKind, Result,
    decision::{Decision, Explanation, Outcome, Rung},
    sockets::{
        ledger::{Body, Entry, EntryKind},
        model::Model,
    },
};

use crate::{
    engine::Engine,
    explaining,
    record_format::{More, Snapshot, corrupt},
    replay,
    runtime::Runtime,
    stages::enrich,
    took::Took,
};

/// The decision that an entry records, with its explanation when one was made with it.
///
/// # Errors
/// `Gone` when its subject was erased; `NotFound` when the entry is of another kind; `Corrupt` when it cannot be read.
pub fn decision(entry: &Entry) -> Result<Decision> {
    let body = opened(entry)?;
    let mut decision: Decision = serde_json::from_slice(&body.output).map_err(|cause| corrupt("the answer", &cause))?;
    decision.explanation = explanation(body)?;
    Ok(decision)
}

/// Explains a recorded decision: as it was explained then, or from the recorded row with the model that answered it.
/// `model` must be the version that the entry names (the app finds it by digest among the objects); `then`, where there is one, has
/// the plan that it was recorded under: a row alone does not tell a value that the model does not know from none.
///
/// # Errors
/// `Gone` when the subject was erased; `Unsupported` when there is nothing to explain (no output); `NotFound` when the
/// model is needed and not given; the model's own.
pub fn explain(entry: &Entry, model: Option<&dyn Model>, then: Option<&Runtime>) -> Result<Explanation> {
    let body = opened(entry)?;
    if let Some(explanation) = explanation(body)? {
        return Ok(explanation);
    }
    let decision = decision(entry)?;
    let Some(output) = decision.output else { return Err(unexplained(decision.outcome)) };
    // The version before explains itself, as any does.
    if let Some(rung) = decision.degraded.filter(|rung| *rung != Rung::Previous) {
        let more = More::parse(&body.more)?;
        return Ok(explaining::of_rung(rung, output, more.why.as_deref()));
    }
    let model = model.ok_or_else(|| model_needed(entry))?;
    let snapshot = Snapshot::parse(&body.input)?;
    // A recalled answer's row is of another input.
    let then = then.filter(|_| decision.recalled.is_none());
    let record = LazyCell::new(|| replay::record(&decision, &snapshot, then?));
    let came_in = |place| {
        let (ready, record) = record.as_ref()?;
        enrich::came_in(&ready.plan, record, snapshot.now, place)
    };
    explaining::of_model(model, &snapshot.features, decision.classes.as_deref(), &came_in)
}

/// Whether the words of its explanation depend on the plan that it was recorded under.
///
/// # Errors
/// As [`decision`].
pub fn wants_plan(entry: &Entry, model: &dyn Model) -> Result<bool> {
    let body = opened(entry)?;
    Ok(body.explanation.is_empty() && explaining::is_unclear(model, &Snapshot::parse(&body.input)?.features))
}

/// How long the stages of its path took; `None`: it was recorded before that was kept.
///
/// # Errors
/// As [`decision`].
pub fn took(entry: &Entry) -> Result<Option<Took>> {
    Ok(More::parse(&opened(entry)?.more)?.took)
}

impl Engine {
    /// How many batches took how long in a stage since the start, by the bounds of [`tendon_kernel::metrics::SECONDS`].
    pub fn stage_times(&self, stage: &str) -> Vec<u64> {
        self.meters.times(stage)
    }

    /// Explains a recorded decision with the loaded model of the recorded digest.
    ///
    /// # Errors
    /// As [`explain`]; `NotFound` also when the model of that digest is not loaded.
    pub fn explain_stored(&self, entry: &Entry) -> Result<Explanation> {
        let runtime = self.runtime();
        let slot = entry.facts.model.as_ref().and_then(|model| runtime.slot(&model.digest));
        let then = (runtime.plan().digest == entry.facts.plan).then_some(&*runtime);
        explain(entry, slot.map(|slot| &*slot.model), then)
    }
}

fn explanation(body: &Body) -> Result<Option<Explanation>> {
    if body.explanation.is_empty() {
        return Ok(None);
    }
    serde_json::from_slice(&body.explanation).map(Some).map_err(|cause| corrupt("the explanation", &cause))
}

/// The sealed part of a decision's entry.
pub(crate) fn opened(entry: &Entry) -> Result<&Body> {
    if entry.facts.kind != EntryKind::Decision {
        return Err(Error::new(ErrorKind::NotFound, "not_a_decision", "this entry records no decision")
            .with("position", entry.seq));
    }
    entry.body.as_ref().ok_or_else(|| {
        Error::new(ErrorKind::Gone, "decision_erased", "the subject of this decision was erased")
            .with("decision", entry.facts.id)
            .hint("its place in the ledger still verifies; what it said is gone")
    })
}

fn unexplained(outcome: Outcome) -> Error {
    Error::new(ErrorKind::Unsupported, "nothing_to_explain", "this decision has no output that could be explained")
        .with("outcome", outcome.name())
        .hint("its error says why")
}

fn model_needed(entry: &Entry) -> Error {
    let digest = entry.facts.model.as_ref().map_or("unknown", |model| model.digest.as_ref());
    Error::new(ErrorKind::NotFound, "model_not_loaded", "the model that made this decision is not at hand")
        .with("digest", digest)
        .hint("models are kept by digest under .tendon/objects as long as a decision names them")
}
