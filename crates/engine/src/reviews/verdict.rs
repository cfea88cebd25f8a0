//! Verdicts: a person approves, overrides or rejects. One entry holds the verdict and the deliveries it causes; it claims the
//! decision, so that of two verdicts at once exactly one is recorded, whoever gives them.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tendon_kernel::{
    Error, ErrorKind, Id, Result, Timestamp,
    context::Deadline,
    decision::{Decision, Delivery, Review, ReviewState, Rung},
    sockets::{
        ledger::{Body, Claim, Committed, Draft, Entry, EntryKind, Facts},
        model::Matrix,
    },
};
use tendon_plan::plan::{EventsPlan, TargetPlan};
use tokio::sync::oneshot;

use super::{ROUTE, not_found};
use crate::{
    ask::{Caller, SourceRow},
    batch::{Batch, Case},
    engine::Engine,
    lookup,
    record_format::{Awaited, More, Snapshot, corrupt, write_json},
    runtime::Ready,
    stages::{deliver, enrich, judge, record::ledger_unavailable, validate},
    stored,
};

/// What a person says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Verdict {
    /// The output stands.
    Approve,
    /// This is the output.
    Override(f64),
    /// There is no output, and nothing is written.
    Reject,
}

impl Verdict {
    /// The words, as they stand in the ledger.
    pub(super) const WORDS: [&str; 3] = ["approve", "override", "reject"];

    fn index(self) -> usize {
        match self {
            Self::Approve => 0,
            Self::Override(_) => 1,
            Self::Reject => 2,
        }
    }

    fn word(self) -> &'static str {
        Self::WORDS[self.index()]
    }
}

/// A verdict as it is asked for.
#[derive(Clone, Debug)]
pub struct Wish {
    /// The decision.
    pub id: Id,
    /// What is said of it.
    pub verdict: Verdict,
    /// Id of the API key, or `cli`: stands in the leaf, so never a person's name.
    pub caller: Arc<str>,
    /// Who, in their own words.
    pub by: String,
    /// Why, in their own words.
    pub note: Option<String>,
}

/// The sealed part of a verdict's entry (`Body::output`, so that it can be opened alone).
#[derive(Serialize, Deserialize)]
pub(super) struct Said {
    pub(super) verdict: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) output: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) band: Option<Arc<str>>,
    pub(super) by: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) note: Option<String>,
}

impl Said {
    pub(super) fn of(entry: &Entry) -> Result<Option<Self>> {
        let Some(body) = entry.body.as_ref().filter(|_| entry.facts.kind == EntryKind::Review) else { return Ok(None) };
        serde_json::from_slice(&body.output).map(Some).map_err(|cause| corrupt("the verdict", &cause))
    }

    pub(super) fn state(&self) -> ReviewState {
        match self.verdict.as_str() {
            "approve" => ReviewState::Approved,
            "override" => ReviewState::Overridden,
            _ => ReviewState::Rejected,
        }
    }
}

/// Lets a decision stand as a person's verdict among these entries left it. Without one it stays as it was answered.
///
/// # Errors
/// `Corrupt` when the verdict cannot be read.
pub fn stand(decision: &mut Decision, entries: &[Entry]) -> Result<()> {
    let Some(review) = &mut decision.review else { return Ok(()) };
    for entry in entries {
        let Some(said) = Said::of(entry)? else { continue };
        *review = Review { state: said.state(), at: Some(entry.facts.at), ..*review };
        if said.verdict != "approve" {
            (decision.output, decision.band, decision.classes) = (said.output, said.band, None);
        }
        break;
    }
    Ok(())
}

/// What a verdict needs of the decision.
struct Asked<'a> {
    entry: &'a Entry,
    decision: Decision,
    body: &'a Body,
    more: More,
}

impl Engine {
    /// Records the verdict of a person and hands over the deliveries it causes. When this returns, it is durable. Runs in a
    /// task of its own: a caller who hangs up cancels nothing. Gives the decision as it stands now.
    ///
    /// # Errors
    /// `NotFound` (no such decision), `Gone` (its subject was erased), `Conflict` (it waits for nobody, somebody was faster,
    /// or what it needs has changed), `Invalid` (an output that cannot be), `Unavailable` (not recorded). The same verdict
    /// of the same reviewer again is none of these: it changes nothing.
    pub async fn review(self: &Arc<Self>, wish: Wish) -> Result<Decision> {
        let (tell, told) = oneshot::channel();
        let engine = Arc::clone(self);
        let task = async move { drop(tell.send(engine.judge(wish).await)) };
        self.context.spawn.spawn("review", Box::pin(task));
        told.await.map_err(|_| {
            Error::new(ErrorKind::Unavailable, "stopping", "the engine stopped before the verdict was recorded")
                .hint("look at the review, then give the verdict again")
        })?
    }

    async fn judge(self: &Arc<Self>, wish: Wish) -> Result<Decision> {
        // From the look at the decision on: what is erased gets no verdict, and a verdict is erased with it.
        let _no_erasure = self.reviews.erasing.read().await;
        let entries = self.ledger.entries_of(wish.id).await.map_err(|cause| ledger_unavailable(&cause))?;
        if let Some(decision) = repeated(&wish, &entries)? {
            return Ok(decision);
        }
        let draft = self.verdict_draft(&wish, &awaiting(&wish, &entries)?)?;
        let (facts, body) = (draft.facts.clone(), draft.body.clone());
        let committed = self.ledger.commit(vec![draft]).await.map_err(|cause| not_recorded(&cause))?;
        let Some(Committed::New { seq }) = committed.into_iter().next() else {
            // Somebody was faster; or this very verdict, sent twice.
            let entries = self.ledger.entries_of(wish.id).await.map_err(|cause| ledger_unavailable(&cause))?;
            return repeated(&wish, &entries)?.ok_or_else(|| closed(wish.id));
        };
        self.reviews.finish(wish.id);
        self.reviews.verdicts[wish.verdict.index()].increment();
        let verdict = Entry { seq, facts, body: Some(body) };
        if let Some(sink) = &self.deliveries {
            sink.reviewed(&verdict);
        }
        let mut decision = awaiting(&wish, &entries)?.decision;
        stand(&mut decision, &[verdict])?;
        Ok(decision)
    }

    fn verdict_draft(&self, wish: &Wish, case: &Asked<'_>) -> Result<Draft> {
        let (recorded, facts) = (&case.decision, &case.entry.facts);
        let runtime = self.runtime();
        let ready = runtime.ready(&facts.integration);
        let output = match wish.verdict {
            Verdict::Approve => Some(recorded.output.ok_or_else(|| nothing_to_approve(wish.id))?),
            Verdict::Override(output) => Some(output),
            Verdict::Reject => None,
        };
        let mut said = Said {
            verdict: wish.verdict.word().to_owned(),
            output,
            band: None,
            by: wish.by.clone(),
            note: wish.note.clone(),
        };
        let (mut deliveries, mut at) = (Vec::new(), self.context.clock.now());
        if wish.verdict == Verdict::Approve {
            said.band.clone_from(&recorded.band);
        }
        // What was delivered when it was made is approved as it is.
        let delivered = !recorded.awaits_review();
        if let Some(output) = output.filter(|_| !delivered || wish.verdict != Verdict::Approve) {
            let ready = ready.ok_or_else(|| outdated(wish.id, "its integration is not in the plan any more"))?;
            let (low, high) = ready.plan.output_range;
            if !output.is_finite() || !(low..=high).contains(&output) {
                return Err(out_of_range(low, high));
            }
            if wish.verdict != Verdict::Approve {
                said.band = judge::band(&ready.plan.bands, output);
            }
            if delivered {
                at = self.stamp();
            }
            deliveries.extend(written(ready, case, output, said.band.clone(), delivered.then_some(at))?);
        }
        if let Some(url) = case.more.review.as_ref().and_then(|awaited| awaited.callback.as_deref()) {
            match ready.and_then(|ready| ready.plan.api.as_ref()).and_then(|api| api.may_call(url)) {
                Some(receiver) => deliveries.push(Delivery::callback(&receiver.origin, url, wish.id)),
                None => {
                    tracing::warn!(decision = %wish.id, "a callback is not made: its address is not declared any more");
                }
            }
        }
        let mut text = Vec::with_capacity(160);
        write_json(&mut text, &said);
        let more = More { reviewed: Some(case.entry.seq), deliveries, ..More::default() };
        let subject = recorded.subject.clone();
        let body = Body { subject, output: text, more: more.to_bytes(), ..Body::default() };
        let facts = Facts {
            kind: EntryKind::Review,
            at,
            route: ROUTE.into(),
            reason: wish.verdict.word().into(),
            caller: Arc::clone(&wish.caller),
            policy: ready.map_or_else(|| Arc::clone(&facts.policy), |ready| Arc::clone(&ready.plan.policy)),
            plan: Arc::clone(&runtime.plan().digest),
            ..facts.clone()
        };
        // Scopes of idempotency keys begin with a number, so this is nobody's.
        let claim = Some(Claim { scope: format!("review:{}", wish.id), fingerprint: [0; 32] });
        Ok(Draft { facts, body, claim })
    }
}

/// The decision as it stands, where this very verdict of the same reviewer is recorded already: it was sent twice.
fn repeated(wish: &Wish, entries: &[Entry]) -> Result<Option<Decision>> {
    let of = |kind| entries.iter().find(|entry| entry.facts.kind == kind);
    let (Some(entry), Some(verdict)) = (of(EntryKind::Decision), of(EntryKind::Review)) else { return Ok(None) };
    let Some(said) = Said::of(verdict)? else { return Ok(None) };
    let output = match wish.verdict {
        Verdict::Override(output) => said.output.is_some_and(|said| said.to_bits() == output.to_bits()),
        Verdict::Approve | Verdict::Reject => true,
    };
    let same = output && said.verdict == wish.verdict.word() && said.by == wish.by && said.note == wish.note;
    if !same || verdict.facts.caller != wish.caller {
        return Ok(None);
    }
    let mut decision = stored::decision(entry)?;
    stand(&mut decision, entries)?;
    Ok(Some(decision))
}

/// The decision that waits for this verdict, or why none does.
fn awaiting<'a>(wish: &Wish, entries: &'a [Entry]) -> Result<Asked<'a>> {
    let of = |kind| entries.iter().find(|entry| entry.facts.kind == kind);
    let entry = of(EntryKind::Decision).ok_or_else(|| not_found(wish.id))?;
    let decision = stored::decision(entry)?;
    let body = stored::opened(entry)?;
    if of(EntryKind::Review).is_some() {
        return Err(closed(wish.id));
    }
    if decision.review.is_none() {
        return Err(Error::new(ErrorKind::Conflict, "not_under_review", "this decision does not wait for a person")
            .with("decision", wish.id)
            .hint("nobody was asked about it when it was made; `tendon reviews list` shows what waits"));
    }
    Ok(Asked { entry, decision, body, more: More::parse(&body.more)? })
}

/// The write-back of the output: made as the path would have made it, from the recorded input and of the decision's time, so
/// that it never overwrites what a newer decision wrote. `after`: time of a verdict that takes the place of what was delivered
/// already: the row must still hold what the decision saw, so it must be the row that was read.
fn written(
    ready: &Arc<Ready>,
    of: &Asked<'_>,
    output: f64,
    band: Option<Arc<str>>,
    after: Option<Timestamp>,
) -> Result<Option<Delivery>> {
    let Some(source) = &of.more.row else { return Ok(None) };
    let id = of.decision.id;
    let events = ready.plan.events.as_ref().filter(|events| is_of(source, events, of.more.review.as_ref()));
    let events = events.ok_or_else(|| outdated(id, "its row came from another table than is watched now"))?;
    let Some(target) = &events.target else { return Ok(None) };
    if after.is_some() && !target.same_row {
        return Err(outdated(id, "it was delivered to another row, which may hold a newer decision's values by now"));
    }
    let snapshot = Snapshot::parse(&of.body.input)?;
    let mut batch = Batch {
        ready: Arc::clone(ready),
        caller: Caller { id: "".into(), scope: "".into(), integrations: None },
        door: of.decision.door,
        explain: false,
        deadline: Deadline(std::time::Duration::MAX),
        at: snapshot.now,
        matrix: Matrix::default(),
        cases: vec![Case::new(0, id, snapshot.raw.into_input())],
    };
    validate::run(&mut batch);
    lookup::restore(&snapshot.lookups, &mut batch);
    enrich::features(&mut batch);
    let at = after.unwrap_or(batch.at);
    let case = batch.open().next().ok_or_else(|| outdated(id, "its input is not valid under today's rules"))?;
    (case.output, case.band, case.rung) = (Some(output), band, Some(Rung::Human));
    let delivery = deliver::delivery(&ready.plan, events, target, case, source, at);
    delivery.map(Some).map_err(|cause| outdated(id, "what is to be written has no value for it").private(cause))
}

/// Whether the row is one of those that are watched now.
fn is_of(source: &SourceRow, events: &EventsPlan, awaited: Option<&Awaited>) -> bool {
    let fits = |target: &TargetPlan| target.key.len() == source.key.len();
    awaited.is_some_and(|awaited| {
        awaited.system.as_ref() == Some(&events.system) && awaited.resource.as_ref() == Some(&events.resource)
    }) && events.key.len() == source.key.len()
        && events.target.as_ref().is_none_or(fits)
}

fn closed(id: Id) -> Error {
    Error::new(ErrorKind::Conflict, "review_closed", "somebody has given a verdict on this decision already")
        .with("decision", id)
        .hint("`tendon reviews show` tells who and what")
}

fn nothing_to_approve(id: Id) -> Error {
    Error::new(ErrorKind::Conflict, "nothing_to_approve", "the decision has no output that could be approved")
        .with("decision", id)
        .hint(format!(
            "nothing answered it: `tendon reviews override {id} --to NUMBER` gives an output, `tendon reviews reject {id}` ends it without one"
        ))
}

fn outdated(id: Id, why: &'static str) -> Error {
    Error::new(ErrorKind::Conflict, "review_outdated", format!("the verdict cannot take effect: {why}"))
        .with("decision", id)
        .hint("reject it, so that a change of the row asks anew; or put the integration back as it was")
}

fn out_of_range(low: f64, high: f64) -> Error {
    Error::new(ErrorKind::Invalid, "output_out_of_range", "the output lies outside of the integration's range")
        .at("/output")
        .hint(format!("a number from {low} to {high}"))
}

fn not_recorded(cause: &Error) -> Error {
    Error::new(ErrorKind::Unavailable, "ledger_unavailable", "the verdict could not be recorded, so it does not count")
        .hint("give it again; if that lasts, the operator finds the reason in /readyz and in the log")
        .private(format!("{cause:?}"))
}
