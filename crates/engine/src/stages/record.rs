//! Record: one entry per case, durable before the answer leaves, on every way out after admit. The entry carries the
//! idempotency key and the deliveries, so that recording a decision is accepting all its effects.

use std::sync::{Arc, LazyLock};

use tendon_kernel::{
    Error, ErrorKind,
    decision::{Decision, Outcome, Review, ReviewState, Rung},
    sockets::ledger::{Body, Committed, Draft, EntryKind, Facts},
    trace::{self, Kind},
};
use tendon_plan::plan::RecordPlan;

use super::dedupe::earlier;
use crate::{
    ask::{Answer, Input},
    batch::{Batch, Case, State},
    engine::Engine,
    lookup::{self, LookedUp},
    record_format::{Awaited, More, Snapshot, write_json},
    took::Took,
};

static ROUTES: LazyLock<[Arc<str>; 4]> = LazyLock::new(|| {
    ["fallback:rules".into(), "fallback:default".into(), "fallback:previous".into(), "fallback:human".into()]
});
static REASONS: LazyLock<Vec<(Outcome, Arc<str>)>> =
    LazyLock::new(|| Outcome::ALL.into_iter().map(|outcome| (outcome, outcome.name().into())).collect());

/// A case written down, while its entry is on its way to the disk.
struct Written {
    index: usize,
    decision: Decision,
}

/// Writes all cases down that are not answered yet and answers them; `took` is what the stages before needed.
pub(crate) async fn run(engine: &Engine, batch: &mut Batch, mut took: Took) {
    took.of = batch.cases.iter().filter(|case| !matches!(case.state, State::Answered(_))).count() as u64;
    let (mut durable, mut drafts) = (Vec::with_capacity(batch.cases.len()), Vec::with_capacity(batch.cases.len()));
    let (mut behind, mut behind_drafts) = (Vec::new(), Vec::new());
    for index in 0..batch.cases.len() {
        if matches!(batch.cases[index].state, State::Answered(_)) {
            continue;
        }
        let (written, draft) = write(batch, index, &took);
        if written.decision.durable {
            durable.push(written);
            drafts.push(draft);
        } else {
            behind.push(written);
            behind_drafts.push(draft);
        }
    }
    if !behind.is_empty() {
        append(engine, batch, behind, behind_drafts);
    }
    if !durable.is_empty() {
        commit(engine, batch, durable, drafts).await;
    }
    for case in &mut batch.cases {
        case.hold = None;
    }
}

/// Written behind: at least this position, durable with the next commit.
fn append(engine: &Engine, batch: &mut Batch, written: Vec<Written>, drafts: Vec<Draft>) {
    let seq = engine.ledger.state().size;
    let appended = engine.ledger.append(drafts);
    for Written { index, decision } in written {
        let answer = match &appended {
            Ok(()) => Ok(answer(&mut batch.cases[index], decision, seq)),
            Err(cause) => Err(ledger_unavailable(cause)),
        };
        batch.cases[index].state = State::Answered(answer);
    }
}

async fn commit(engine: &Engine, batch: &mut Batch, written: Vec<Written>, drafts: Vec<Draft>) {
    let mut span = trace::child("ledger commit", Kind::Internal);
    if let Some(span) = &mut span {
        span.set("tendon.ledger.entries", drafts.len());
    }
    let committed = engine.ledger.commit(drafts).await;
    drop(span);
    match committed {
        Ok(committed) => {
            let mut committed = committed.into_iter();
            for Written { index, decision } in written {
                let answer = match committed.next() {
                    Some(Committed::New { seq }) => Ok(answer(&mut batch.cases[index], decision, seq)),
                    Some(Committed::Taken { seq, id, same_input }) => {
                        // In a box, because it is rare and large: every decision on the way carries the room for it.
                        Box::pin(earlier(engine, seq, id, same_input, batch.deadline)).await
                    }
                    None => Err(too_few()),
                };
                batch.cases[index].state = State::Answered(answer);
            }
        }
        Err(cause) => {
            tracing::error!(error = ?cause, "the ledger took no entries; the decisions are not answered");
            for Written { index, .. } in written {
                batch.cases[index].state = State::Answered(Err(ledger_unavailable(&cause)));
            }
        }
    }
}

fn answer(case: &mut Case, mut decision: Decision, seq: u64) -> Answer {
    decision.explanation = case.explanation.take();
    if let Some(seat) = case.seat.take() {
        seat.keep(seq);
    }
    Answer { decision: Arc::new(decision), seq, replayed: false }
}

fn write(batch: &mut Batch, index: usize, took: &Took) -> (Written, Draft) {
    let decision = decision(batch, index);
    let facts = facts(batch, &batch.cases[index], &decision);
    let case = &batch.cases[index];
    // Of a recalled answer: the row that it was computed from. The input is the one that was sent now.
    let hit = case.recall.hit.as_ref().map(|hit| hit.features.as_slice());
    let features = hit.or_else(|| case.row.map(|row| batch.matrix.row(row))).unwrap_or_default();
    let well_formed = match &case.input {
        Input::Json(_) => case.reading.as_ref().is_some_and(|reading| reading.well_formed),
        Input::Values(_) => true,
    };
    let looked: Vec<&LookedUp> = case.looked.iter().flatten().collect();
    let input = Snapshot::write_with(&case.input, well_formed, batch.at, features, &looked);
    let mut output = Vec::with_capacity(640);
    write_json(&mut output, &decision);
    let mut explanation = Vec::new();
    if let Some(made) = &case.explanation {
        write_json(&mut explanation, made);
    }
    let case = &mut batch.cases[index];
    let mut callback = case.callback.take();
    let events = batch.ready.plan.events.as_ref().filter(|_| case.source.is_some());
    let more = More {
        row: case.source.take(),
        deliveries: std::mem::take(&mut case.deliveries),
        letter: case.letter.take(),
        why: case.why.take(),
        request: case.request,
        mark: case.recall.mark.take(),
        review: case.seat.as_ref().map(|seat| Awaited {
            due: seat.due().0,
            callback: callback.take(),
            system: events.map(|events| Arc::clone(&events.system)),
            resource: events.map(|events| Arc::clone(&events.resource)),
        }),
        reviewed: None,
        took: Some(took.of_one(case.row.is_some())),
    };
    let body = Body { subject: case.subject.clone(), input, output, explanation, more: more.to_bytes() };
    case.deliveries = more.deliveries;
    // A failure that a retry may mend does not bind the key: the retry shall be decided.
    let unbound = decision.error.as_ref().is_some_and(|error| error.retryable);
    let claim = case.claim.take().filter(|_| !unbound);
    (Written { index, decision }, Draft { facts, body, claim })
}

/// The decision, without its explanation: that is recorded beside it.
fn decision(batch: &mut Batch, index: usize) -> Decision {
    let plan = &batch.ready.plan;
    let case = &mut batch.cases[index];
    let outcome = case.outcome();
    let error = match &case.state {
        State::Ended(_, failure) => Some(failure.clone()),
        State::Open | State::Answered(_) => None,
    };
    // What others rely on (a key, a delivery) is durable even where answers need not be.
    let asked = case.output.is_some() || case.attempt.is_some();
    let buffered = plan.record == RecordPlan::Buffered
        && case.claim.is_none()
        && case.deliveries.is_empty()
        && case.request.is_none()
        && case.seat.is_none();
    Decision {
        id: case.id,
        integration: Arc::clone(&plan.name),
        at: batch.at,
        subject: case.subject.clone(),
        door: batch.door,
        outcome,
        output: case.output,
        classes: case.classes.take(),
        band: case.band.take(),
        degraded: case.rung,
        review: case.seat.as_ref().map(|seat| Review {
            state: ReviewState::Pending,
            due: seat.due(),
            at: None,
            held: seat.held() && case.output.is_some(),
        }),
        model: asked.then(|| case.slot.as_ref().map(|slot| slot.reference.clone())).flatten(),
        route: Arc::clone(&case.route),
        recalled: case.recall.hit.as_ref().map(|hit| hit.recalled.clone()),
        repaired: std::mem::take(&mut case.repaired),
        lookups: lookup::notes(case),
        error,
        durable: !buffered,
        explanation: None,
    }
}

fn facts(batch: &Batch, case: &Case, decision: &Decision) -> Facts {
    let plan = &batch.ready.plan;
    let route = match case.rung {
        Some(Rung::Rules) => Arc::clone(&ROUTES[0]),
        Some(Rung::Previous) => Arc::clone(&ROUTES[2]),
        Some(Rung::Human) => Arc::clone(&ROUTES[3]),
        Some(_) => Arc::clone(&ROUTES[1]),
        None if decision.recalled.is_some() => format!("recall:{}", decision.route).into(),
        None => Arc::clone(&decision.route),
    };
    let known = REASONS.iter().find(|(outcome, _)| *outcome == decision.outcome);
    Facts {
        kind: EntryKind::Decision,
        id: case.id,
        at: batch.at,
        integration: Arc::clone(&plan.name),
        model: decision.model.clone(),
        route,
        reason: known.map_or_else(|| decision.outcome.name().into(), |(_, name)| Arc::clone(name)),
        caller: Arc::clone(&batch.caller.id),
        policy: Arc::clone(&plan.policy),
        plan: Arc::clone(&batch.ready.digest),
        retention: Arc::clone(&plan.retention),
        region: Arc::clone(&plan.region),
    }
}

/// What a caller hears when the ledger cannot be used: no record, no answer.
pub(crate) fn ledger_unavailable(cause: &Error) -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "ledger_unavailable",
        "the decision could not be recorded, so it is not answered",
    )
    .hint("ask again; if it lasts, the operator finds the reason in /readyz and in the log")
    .private(format!("{cause:?}"))
}

fn too_few() -> Error {
    Error::new(ErrorKind::Internal, "not_recorded", "the ledger answered for fewer entries than it was given")
}
