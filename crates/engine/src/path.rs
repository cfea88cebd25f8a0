//! The path: the order of all stages, and why each stands where it does. Nothing else decides.

use std::{collections::HashSet, sync::Arc, time::Duration};

use tendon_kernel::{
    Error, ErrorKind, Id, Result,
    context::{Clock, Deadline},
    sockets::model::Matrix,
    trace::{self, Stages},
};
use tokio::sync::oneshot;

use crate::{
    ask::{Answer, Answers, Ask, Item, Priority, Timing},
    batch::{Batch, Case, State, late_error},
    engine::Engine,
    metrics,
    recalling::{Pass, Use},
    room::Room,
    runtime::Ready,
    shadow,
    stages::{admit, dedupe, deliver, enrich, explain, fall_back, infer, judge, recall, record, route, validate},
    took::Took,
    trail::Trail,
};

/// What admit found out about an ask.
pub(crate) struct Admitted {
    pub(crate) ready: Arc<Ready>,
    pub(crate) deadline: Deadline,
    /// Given back when the path ends, whoever waits for it.
    pub(crate) room: Room,
}

/// Takes an ask in and waits for its answers. What was admitted runs to its end in a task of its own: a caller who hangs up
/// cannot cancel a commit half way.
pub(crate) async fn decide(engine: &Arc<Engine>, ask: Ask, how: Use) -> Result<Answers> {
    let mut trail = Trail::begin(engine);
    let mut laps = Laps::start(&engine.context.clock, trail.stages());
    // First, and outside the task: who may not ask, or comes too late, costs nothing and leaves no decision.
    let admitted = match admit::run(engine, &ask).await {
        Ok(admitted) => admitted,
        Err(error) => {
            trail.refused(error.code());
            return Err(error);
        }
    };
    laps.end("admit");
    trail.admitted(&admitted.ready, ask.door, ask.items.len());

    let deadline = admitted.deadline;
    let (tell, told) = oneshot::channel();
    let (path, scope) = (Arc::clone(engine), trail.scope());
    let task = trace::within(scope, async move {
        let answers = travel(&path, ask, admitted, laps, trail, how).await;
        // Nobody may be waiting any more; the decisions are recorded all the same.
        drop(tell.send(answers));
    });
    engine.context.spawn.spawn("path", Box::pin(task));
    tokio::select! {
        biased;
        answers = told => answers.map_err(|_| stopped()),
        () = engine.context.clock.sleep(deadline.left(&*engine.context.clock)) => Err(late_error()),
    }
}

/// Takes a batch through all stages. Every way out passes `record`.
async fn pass(engine: &Arc<Engine>, batch: &mut Batch, laps: &mut Laps, how: &Use) {
    let clock = &*engine.context.clock;
    // Before anything is computed: what was answered once is not decided again, and who waits for the first pays nothing.
    dedupe::run(engine, batch).await;
    laps.end("dedupe");
    // From here to `infer` the deadline is looked at between the stages: an answer that nobody waits for is not computed.
    batch.end_if_late(clock);
    // Before anything looks at the input: from here on it has the schema's types and keeps its rules.
    validate::run(batch);
    laps.end("validate");
    // Before recall and enrich: a cached answer and a feature belong to one version of a model.
    route::run(engine, batch);
    laps.end("route");
    // Before the costly stages it may spare.
    let Some(memory) = recall::enter(engine, batch) else { return answer(engine, batch, laps, None, how).await };
    let waiting = recall::run(engine, batch, &memory, how).await;
    laps.end("recall");
    answer(engine, batch, laps, Some(&memory), how).await;
    if waiting.is_empty() {
        return;
    }
    // Now that whoever waits for this batch has its answers, it may wait for others itself.
    let answered = std::mem::replace(&mut batch.cases, waiting);
    recall::join(engine, batch).await;
    laps.end("recall");
    answer(engine, batch, laps, Some(&memory), how).await;
    batch.cases.extend(answered);
    batch.cases.sort_by_key(|case| case.recall.turn);
}

/// Counts why the model did not answer.
fn unanswered(engine: &Engine, batch: &mut Batch) {
    let ready = Arc::clone(&batch.ready);
    for case in batch.open().filter(|case| case.output.is_none()) {
        let reason = case.attempt.as_ref().map_or("no_output", Error::code);
        metrics::unanswered(&engine.context.metrics, &ready.plan.name, reason);
    }
}

/// The stages that make and record answers.
async fn answer(engine: &Engine, batch: &mut Batch, laps: &mut Laps, memory: Option<&Pass>, how: &Use) {
    let clock = &*engine.context.clock;
    batch.end_if_late(clock);
    // After validate: expressions rely on the schema. The first stage that asks systems: their rows are found by the input.
    // After recall: a hit brings its rows along and asks nobody.
    enrich::run(&engine.world(), batch).await;
    laps.end("enrich");
    batch.end_if_late(clock);
    infer::run(batch);
    // Before anything answers in the model's place.
    unanswered(engine, batch);
    laps.end("infer");
    // Right after infer, for the cases without an output; a passed deadline stops its models, not its rules: they cost
    // microseconds.
    let deadline = batch.deadline;
    fall_back::run(batch, &|| deadline.passed(clock));
    // The last rung: what nothing else answered waits for a person, as far as there is room to wait.
    fall_back::ask_people(engine, batch, how);
    // After model or ladder: a fallback's output has a band too.
    judge::run(batch);
    // By output and band; before explain and deliver, which need to know what is held back.
    judge::ask_people(engine, batch, how);
    laps.end("judge");
    // After judge: an explain condition may ask for the band.
    explain::run(batch);
    laps.end("explain");
    // The deliveries are made before record, because they stand in the entry: recording them is accepting them.
    deliver::prepare(batch);
    // Before anything leaves: no answer and no delivery without its entry.
    record::run(engine, batch, laps.of_wave()).await;
    laps.end("record");
    // Last: what is handed over here is durable already, so a crash loses nothing (the outbox finds it in the ledger).
    deliver::run(engine, batch);
    laps.end("deliver");
    if let Some(memory) = memory {
        // After record: a recalled answer names a decision that is in the record.
        recall::keep(engine, batch, memory).await;
        laps.end("recall");
    }
    // After the answers stand: a shadow never delays them.
    shadow::offer(engine, batch);
}

/// Takes the items through the path in waves, so that no wave has an idempotency key twice: the second use of a key in a
/// batch sees the first one's answer, as if it had been asked after it.
async fn travel(engine: &Arc<Engine>, ask: Ask, admitted: Admitted, mut laps: Laps, trail: Trail, how: Use) -> Answers {
    let Admitted { ready, deadline, room } = admitted;
    let Ask { caller, door, explain, items, priority, .. } = ask;
    let mut answers: Vec<Option<Result<Answer>>> = Vec::new();
    answers.resize_with(items.len(), || None);
    let mut rest: Vec<Placed> = items.into_iter().enumerate().collect();
    while !rest.is_empty() {
        let (wave, later) = split(rest);
        rest = later;
        let cases = wave.into_iter().map(|(place, item)| case(engine, place, item)).collect();
        let mut batch = Batch {
            ready: Arc::clone(&ready),
            caller: caller.clone(),
            door,
            explain,
            deadline,
            at: engine.stamp(),
            matrix: Matrix::default(),
            cases,
        };
        laps.wave();
        pass(engine, &mut batch, &mut laps, &how).await;
        for case in batch.cases {
            let answer = match case.state {
                State::Answered(answer) => answer,
                _ => Err(not_recorded()),
            };
            if let Some(place) = answers.get_mut(case.place) {
                *place = Some(answer);
            }
        }
    }
    tally(engine, &ready, priority, &answers, &laps.times, &trail);
    room.answered();
    drop(laps.stages.take());
    trail.answered(&answers);
    let items = answers.into_iter().map(|answer| answer.unwrap_or_else(|| Err(not_recorded()))).collect();
    Answers { items, timings: laps.times }
}

/// Takes accepted requests through all stages, as one batch.
pub(crate) async fn carry(engine: &Arc<Engine>, batch: &mut Batch) {
    let mut trail = Trail::begin(engine);
    let mut laps = Laps::start(&engine.context.clock, trail.stages());
    trail.admitted(&batch.ready, batch.door, batch.cases.len());
    trace::within(trail.scope(), pass(engine, batch, &mut laps, &Use::Fully)).await;
    let answers = batch.cases.iter().map(|case| match &case.state {
        State::Answered(answer) => Some(answer.clone()),
        _ => None,
    });
    let answers: Vec<_> = answers.collect();
    // Nobody waits for them: they were accepted, and are taken when there is room.
    tally(engine, &batch.ready, Priority::Backfill, &answers, &laps.times, &trail);
    drop(laps);
    trail.answered(&answers);
}

/// Counts what became of a batch.
fn tally(
    engine: &Engine,
    ready: &Ready,
    priority: Priority,
    answers: &[Option<Result<Answer>>],
    timings: &[Timing],
    trail: &Trail,
) {
    engine.meters.took(timings);
    let Some(meters) = ready.meters.get() else { return };
    meters.took(timings, priority, trail.exemplar(engine));
    for answer in answers.iter().flatten() {
        match answer {
            Ok(answer) => meters.answered(answer.decision.outcome, answer.replayed),
            // It left no decision, so it is told of like a refusal.
            Err(error) if error.kind() == ErrorKind::Conflict => engine.refusals.count(&ready.plan.name, error.code()),
            Err(_) => {}
        }
    }
}

fn case(engine: &Engine, place: usize, item: Item) -> Case {
    let mut case = Case::new(place, Id::new(&engine.context), item.input);
    case.idempotency_key = item.idempotency_key;
    case.source = item.row;
    case
}

/// An item with its position in the ask.
type Placed = (usize, Item);

/// The items whose key was not seen yet, and the rest.
fn split(items: Vec<Placed>) -> (Vec<Placed>, Vec<Placed>) {
    if items.len() == 1 {
        return (items, Vec::new());
    }
    let mut seen = HashSet::new();
    items.into_iter().partition(|(_, item)| item.idempotency_key.as_ref().is_none_or(|key| seen.insert(key.clone())))
}

/// Measures the stages of one batch.
pub(crate) struct Laps {
    clock: Arc<dyn Clock>,
    last: Duration,
    times: Vec<Timing>,
    /// What earlier waves took of it.
    before: Vec<Timing>,
    /// The same for a trace, where one is kept.
    stages: Option<Stages>,
}

impl Laps {
    fn start(clock: &Arc<dyn Clock>, stages: Option<Stages>) -> Self {
        let (last, times) = (clock.monotonic(), Vec::with_capacity(12));
        Self { clock: Arc::clone(clock), last, times, before: Vec::new(), stages }
    }

    /// Another wave begins. All were admitted together.
    fn wave(&mut self) {
        self.before = self.times.iter().filter(|(stage, _)| *stage != "admit").copied().collect();
    }

    /// What this wave took so far, for the record.
    fn of_wave(&self) -> Took {
        let before =
            |stage: &str| self.before.iter().find(|(known, _)| *known == stage).map_or(Duration::ZERO, |one| one.1);
        Took::so_far(self.times.iter().map(|(stage, spent)| (*stage, spent.saturating_sub(before(stage)))))
    }

    fn end(&mut self, stage: &'static str) {
        let now = self.clock.monotonic();
        let spent = now.saturating_sub(self.last);
        self.last = now;
        if let Some(stages) = &mut self.stages {
            stages.turn(stage, now);
        }
        match self.times.iter_mut().find(|(name, _)| *name == stage) {
            Some((_, sum)) => *sum += spent,
            None => self.times.push((stage, spent)),
        }
    }
}

fn stopped() -> Error {
    Error::new(ErrorKind::Unavailable, "stopping", "the engine stopped before the decision was recorded")
        .hint("ask again with the same Idempotency-Key")
}

fn not_recorded() -> Error {
    Error::new(ErrorKind::Internal, "not_recorded", "a decision left the path without its record")
        .hint("this is a defect: report it with the request's id")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size<A, B, C, D, E, F, Path>(_: impl Fn(A, B, C, D, E, F) -> Path) -> usize {
        size_of::<Path>()
    }

    /// Each decision's task is made, moved and kept as a whole: what grows here is paid by all. It was 3,688 bytes once, twice in its
    /// task, and what a decision copies had doubled (`bench/results/before-and-after.md`). What is rare and large belongs in a box.
    #[test]
    fn the_way_of_a_decision_takes_less_than_three_kib() {
        let size = size(travel);
        assert!(size < 3072, "{size} bytes");
    }
}
