//! Dedupe: the same idempotency key gets the stored answer and has no second effect; the same key with another input is a
//! conflict; a second request waits for the running one. Scope of a key: caller, integration, key.

use ring::digest::{SHA256, digest};
use tendon_kernel::{
    Error, ErrorKind, Id, Result, Value,
    context::Deadline,
    decision::Outcome,
    sockets::ledger::{Claim, Committed, EntryKind},
};

use crate::{
    ask::{Answer, Caller, Input},
    batch::{Batch, Case, State, late},
    engine::Engine,
    reviews,
    runtime::Ready,
    stored, wire,
};

/// Answers the cases whose key was used before; holds the keys of the others until their record is made.
pub(crate) async fn run(engine: &Engine, batch: &mut Batch) {
    let Batch { cases, ready, caller, deadline, .. } = batch;
    let mut keyed: Vec<&mut Case> = cases.iter_mut().filter(|case| case.idempotency_key.is_some()).collect();
    if keyed.is_empty() {
        return;
    }
    for case in &mut keyed {
        let key = case.idempotency_key.clone().unwrap_or_default();
        case.claim = Some(claim_of(case, ready, caller, &key));
    }
    keyed.sort_by(|a, b| scope_text(a).cmp(scope_text(b)));
    for case in keyed {
        let Some(claim) = case.claim.clone() else { continue };
        case.hold = engine.running.hold(&claim.scope, *deadline, &*engine.context.clock).await;
        if case.hold.is_none() {
            case.end(Outcome::Failed, late());
            continue;
        }
        match engine.ledger.claimed(&claim).await {
            Ok(Some(Committed::Taken { seq, id, same_input })) => {
                case.hold = None;
                case.state = State::Answered(earlier(engine, seq, id, same_input, *deadline).await);
            }
            Ok(_) => {}
            Err(cause) => {
                case.hold = None;
                case.state = State::Answered(Err(super::record::ledger_unavailable(&cause)));
            }
        }
    }
}

/// What a key claims: its scope, and the input that it stands for.
pub(crate) fn claim_of(case: &mut Case, ready: &Ready, caller: &Caller, key: &str) -> Claim {
    let scope = scope_of(&[&caller.scope, &ready.plan.name, key]);
    Claim { scope, fingerprint: fingerprint(case, ready) }
}

/// What is said of a key that stands for another input.
pub(crate) fn conflict() -> Error {
    Error::new(ErrorKind::Conflict, "idempotency_conflict", "this idempotency key was used before, with another input")
        .hint("use a new key for a new question")
}

/// The answer that a taken key stands for: the decision `id` at position `seq`, never another that stands there; where an
/// accepted request stands there, the decision that it promised, waiting for it until the deadline.
pub(crate) async fn earlier(engine: &Engine, seq: u64, id: Id, same_input: bool, deadline: Deadline) -> Result<Answer> {
    if !same_input {
        return Err(conflict());
    }
    let entry = engine.ledger.entry(seq).await.map_err(|cause| super::record::ledger_unavailable(&cause))?;
    let entry = entry.ok_or_else(|| {
        Error::new(
            ErrorKind::Corrupt,
            "entry_missing",
            "the decision that holds this idempotency key is not in the ledger",
        )
        .hint("run `tendon ledger verify`")
        .with("position", seq)
    })?;
    if entry.facts.id != id {
        return Err(Error::new(
            ErrorKind::Corrupt,
            "claim_mismatch",
            "the entry at this idempotency key's position is another decision's",
        )
        .hint("run `tendon ledger verify`")
        .with("position", seq));
    }
    if entry.facts.kind == EntryKind::Request {
        return engine.promised(id, deadline).await;
    }
    let mut decision = stored::decision(&entry)?;
    if decision.review.is_some() {
        // Whoever asks again is told what a person has answered meanwhile.
        let entries = engine.ledger.entries_of(id).await.map_err(|cause| super::record::ledger_unavailable(&cause))?;
        reviews::stand(&mut decision, &entries)?;
    }
    Ok(Answer { decision: decision.into(), seq, replayed: true })
}

fn scope_text(case: &Case) -> &str {
    case.claim.as_ref().map_or("", |claim| claim.scope.as_str())
}

/// Parts in one text that no other parts give: each with its length.
fn scope_of(parts: &[&str]) -> String {
    parts.iter().map(|part| format!("{}:{part}", part.len())).collect()
}

/// SHA-256 of the canonical input: the values it was read as, so that white space and the order of fields do not matter; of
/// the bytes when they could not be read.
fn fingerprint(case: &mut Case, ready: &Ready) -> [u8; 32] {
    let reading = case.read(ready);
    let mut canonical = Vec::with_capacity(512);
    if reading.problems.is_empty() {
        canonical.push(b'v');
        write_values(&mut canonical, &reading.values);
    } else {
        match &case.input {
            Input::Json(bytes) => {
                canonical.push(b'b');
                canonical.extend_from_slice(bytes);
            }
            Input::Values(values) => {
                canonical.push(b'r');
                write_values(&mut canonical, values);
            }
        }
    }
    let mut fingerprint = [0; 32];
    fingerprint.copy_from_slice(digest(&SHA256, &canonical).as_ref());
    fingerprint
}

fn write_values(out: &mut Vec<u8>, values: &[Value]) {
    for value in values {
        crate::record_format::write_json(out, &wire::Out(value));
        out.push(b',');
    }
}
