//! Shadows: a version that is asked beside the one that answers, to see what it would have said. It is asked after the answer
//! has left, off the threads that answer, from a bounded queue: a slow, hanging or panicking shadow costs shadow answers
//! (counted as dropped or failed), never a decision's time. Each answer is an entry of its own kind; nothing is delivered.
//!
//! The entry names the decision and holds no input and no subject: an entry that comes late about a person who was erased
//! meanwhile would bring the person back.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde_json::json;
use tendon_kernel::{
    Id, Timestamp,
    context::Context,
    decision::Outcome,
    metrics::Counter,
    sockets::{
        ledger::{Body, Draft, EntryKind, Facts, Ledger},
        model::Matrix,
    },
};

use crate::{
    batch::{Batch, State},
    engine::Engine,
    runtime::{Ready, Slot},
    stages::{
        infer::{check, predict},
        route::point,
    },
};

/// Rows that wait; more are dropped and counted.
const MOST_WAITING: usize = 1024;
/// Rows of one call.
const AT_ONCE: usize = 64;

/// A row that a shadow shall be asked about.
struct Job {
    ready: Arc<Ready>,
    slot: Arc<Slot>,
    id: Id,
    at: Timestamp,
    caller: Arc<str>,
    row: Vec<f64>,
    /// What was answered.
    answered: Option<f64>,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    running: bool,
}

/// What waits for shadows. One for the whole engine.
#[derive(Default)]
pub(crate) struct Shadows {
    queue: Mutex<Queue>,
}

impl Shadows {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counters of one integration's shadow.
pub(crate) struct ShadowMeters {
    scored: Counter,
    failed: Counter,
    dropped: Counter,
}

impl ShadowMeters {
    pub(crate) fn new(registry: &tendon_kernel::metrics::Registry, integration: &str) -> Self {
        let counter = |result| {
            let labels = [("integration", integration), ("result", result)];
            registry.counter("tendon_shadow_rows_total", "Rows that a shadow version was to be asked about.", &labels)
        };
        Self { scored: counter("scored"), failed: counter("failed"), dropped: counter("dropped") }
    }
}

/// Hands the answered cases of a batch to their integration's shadow, as far as its share and the queue go.
pub(crate) fn offer(engine: &Engine, batch: &Batch) {
    let ready = &batch.ready;
    let Some(shadow) = &ready.shadow else { return };
    let Some(slot) = &shadow.slot else { return };
    let tokens = engine.ledger.tokens();
    let mut start = false;
    for case in &batch.cases {
        let (State::Answered(Ok(answer)), Some(row)) = (&case.state, case.row) else { continue };
        let wanted = answer.decision.outcome == Outcome::Ok && !answer.replayed;
        if !wanted || point(&*tokens, "shadow", &ready.plan.name, case) >= shadow.upto {
            continue;
        }
        let mut queue = engine.shadows.queue();
        if queue.jobs.len() >= MOST_WAITING {
            drop(queue);
            ready.count_shadow(|meters| &meters.dropped, 1);
            continue;
        }
        queue.jobs.push_back(Job {
            ready: Arc::clone(ready),
            slot: Arc::clone(slot),
            id: case.id,
            at: batch.at,
            caller: Arc::clone(&batch.caller.id),
            row: batch.matrix.row(row).to_vec(),
            answered: answer.decision.output,
        });
        start |= !std::mem::replace(&mut queue.running, true);
    }
    if start {
        let work = Work {
            shadows: Arc::clone(&engine.shadows),
            context: engine.context.clone(),
            ledger: Arc::clone(&engine.ledger),
            under_way: Vec::new(),
        };
        engine.context.spawn.aside("shadow", Box::new(move || work.run()));
    }
}

impl Ready {
    fn count_shadow(&self, which: impl Fn(&ShadowMeters) -> &Counter, by: usize) {
        if let Some(meters) = self.meters.get() {
            which(&meters.shadow).add(by as u64);
        }
    }
}

/// The work of one run: until the queue is empty.
struct Work {
    shadows: Arc<Shadows>,
    context: Context,
    ledger: Arc<dyn Ledger>,
    /// Rows of the call that is under way.
    under_way: Vec<Job>,
}

impl Work {
    fn run(mut self) {
        while self.next() {
            let results = score(&self.under_way);
            let jobs = std::mem::take(&mut self.under_way);
            let drafts: Vec<Draft> = jobs.iter().zip(&results).map(|(job, result)| self.draft(job, result)).collect();
            // Entries that were refused are told of like rows that were not scored.
            let recorded = self.ledger.append(drafts).is_ok();
            for (job, result) in jobs.iter().zip(results) {
                let well = recorded && result.is_ok();
                job.ready.count_shadow(|meters| if well { &meters.scored } else { &meters.failed }, 1);
            }
        }
    }

    /// Takes the next rows of one version; whether there were any.
    fn next(&mut self) -> bool {
        let mut queue = self.shadows.queue();
        while let Some(job) = queue.jobs.front() {
            let same = self.under_way.first().is_none_or(|first| Arc::ptr_eq(&first.slot, &job.slot));
            if !same || self.under_way.len() == AT_ONCE {
                break;
            }
            self.under_way.extend(queue.jobs.pop_front());
        }
        queue.running = !self.under_way.is_empty();
        queue.running
    }

    fn draft(&self, job: &Job, result: &Result<f64, String>) -> Draft {
        let plan = &job.ready.plan;
        let (reason, output) = match result {
            Ok(output) => ("ok", json!({ "decision": job.id, "output": output, "answered": job.answered })),
            Err(error) => ("failed", json!({ "decision": job.id, "error": error, "answered": job.answered })),
        };
        let facts = Facts {
            kind: EntryKind::Shadow,
            id: Id::new(&self.context),
            at: job.at,
            integration: Arc::clone(&plan.name),
            model: Some(job.slot.reference.clone()),
            route: "shadow".into(),
            reason: reason.into(),
            caller: Arc::clone(&job.caller),
            policy: Arc::clone(&plan.policy),
            plan: Arc::clone(&job.ready.digest),
            retention: Arc::clone(&plan.retention),
            region: Arc::clone(&plan.region),
        };
        let output = output.to_string().into_bytes();
        Draft { facts, body: Body { output, ..Body::default() }, claim: None }
    }
}

impl Drop for Work {
    /// Rows are under way only while the model is asked: it panicked. They are counted, and the next offer starts anew.
    fn drop(&mut self) {
        if self.under_way.is_empty() {
            return;
        }
        for job in &self.under_way {
            job.ready.count_shadow(|meters| &meters.failed, 1);
        }
        self.shadows.queue().running = false;
    }
}

/// What the shadow says of each row: its (largest) output, checked as an answer would be, or why there is none.
fn score(jobs: &[Job]) -> Vec<Result<f64, String>> {
    let Some(first) = jobs.first() else { return Vec::new() };
    let mut rows = Matrix::with_capacity(jobs.len(), first.row.len());
    rows.columns = first.row.len();
    jobs.iter().for_each(|job| rows.values.extend_from_slice(&job.row));
    let plan = &first.ready.plan;
    let width = plan.signature.outputs.max(1);
    match predict(&*first.slot.model, &rows, width) {
        Ok(outputs) => {
            let one = |outputs: &[f64]| match check(plan, outputs) {
                Ok(()) => Ok(outputs.iter().copied().fold(f64::NEG_INFINITY, f64::max)),
                Err(error) => Err(error.code().to_owned()),
            };
            outputs.chunks_exact(width).map(one).collect()
        }
        Err(error) => jobs.iter().map(|_| Err(error.code().to_owned())).collect(),
    }
}
