//! Recall: answers that were given already. A hit is a decision of its own, with its own id, time and input, that says from
//! which decision its answer is. Its place: behind route, because an answer belongs to one version of a model; before enrich
//! and infer, which it spares: no system is asked for a hit. The rows that its answer was made from come with it, and what
//! looks at them (rules, `explain`, write-backs) sees them as the answer's own decision did.
//!
//! Only answers of a model are kept, made from rows that were read: what is degraded or failed would outlive its cause.

use std::{mem, sync::Arc, time::Duration};

use futures_util::future::FutureExt as _;
use tendon_kernel::{
    Id, Timestamp, Value,
    decision::{Door, Outcome},
    sockets::{cache::CacheEntry, model::Matrix},
};

use super::{route, validate};
use crate::{
    ask::{Caller, Input},
    batch::{Batch, Case, State, late},
    engine::Engine,
    recalling::{self, Cached, Hit, Lead, Pass, RecallMeters, Renewal, Taken, Use, Waited},
    runtime::Ready,
};

/// Longest look for answers that are computed ahead.
const PATIENCE: Duration = Duration::from_secs(30);

/// Leave for a batch to use the cache; `None` where its integration does not, or none can be used now.
pub(crate) fn enter(engine: &Engine, batch: &Batch) -> Option<Pass> {
    batch.ready.plan.cache.as_ref()?;
    let pass = engine.recalling.enter();
    if pass.is_none() {
        let open = batch.cases.iter().filter(|case| case.is_open()).count();
        count(&batch.ready, |meters| meters.bypassed.add(open as u64));
    }
    pass
}

/// Answers the cases whose answer is known. Gives back the cases that wait for an answer that is being computed; they are out
/// of the batch then, because those that lead go on first.
pub(crate) async fn run(engine: &Arc<Engine>, batch: &mut Batch, pass: &Pass, how: &Use) -> Vec<Case> {
    let ready = Arc::clone(&batch.ready);
    let tokens = engine.ledger.tokens();
    let mut keys = Vec::with_capacity(batch.cases.len());
    batch.cases.iter_mut().enumerate().for_each(|(turn, case)| case.recall.turn = turn);
    for case in batch.open() {
        if let Use::Renew(marks) = how {
            case.recall.mark = marks.get(case.place).cloned().flatten();
        }
        case.recall.key = recalling::key(&*tokens, &ready, case);
        keys.extend(case.recall.key);
    }
    if keys.is_empty() || *how != Use::Fully {
        return Vec::new();
    }
    let found = tokio::select! {
        biased;
        found = pass.cache.get(&keys) => found,
        () = engine.context.clock.sleep(batch.deadline.left(&*engine.context.clock)) => return Vec::new(),
    };
    let reachable = found.is_ok();
    let mut found = found.unwrap_or_default().into_iter();
    let at = batch.at;
    let mut renewals = Vec::new();
    for case in batch.open().filter(|case| case.recall.key.is_some()) {
        let cached = found.next().flatten().and_then(|bytes| Cached::parse(&bytes));
        let hit = cached.and_then(|cached| Some((Hit::of(&cached, at, &ready.plan)?, cached)));
        match hit {
            Some((hit, cached)) => {
                count(
                    &ready,
                    |meters| if hit.recalled.stale { meters.stale.increment() } else { meters.hit.increment() },
                );
                if let Some(key) = case.recall.key.filter(|_| hit.recalled.stale) {
                    let mark = case.source.as_ref().map(|row| row.mark.clone()).filter(|mark| !mark.is_null());
                    renewals.push(Renewal { ready: Arc::clone(&ready), key, input: case.input.clone(), mark });
                }
                answer(case, hit, &cached);
            }
            None => {
                let Some(key) = case.recall.key else { continue };
                match engine.recalling.flights.take(key) {
                    Taken::Lead(lead) => {
                        count(&ready, |meters| if reachable { &meters.miss } else { &meters.bypassed }.increment());
                        case.recall.lead = Some(lead);
                    }
                    Taken::Follow(follow) => case.recall.follow = Some(follow),
                }
            }
        }
    }
    recalling::offer(engine, renewals);
    let (waiting, going) = mem::take(&mut batch.cases).into_iter().partition(|case| case.recall.follow.is_some());
    batch.cases = going;
    waiting
}

/// The inputs for which no good answer is kept, by the same stages as a question's.
pub(crate) async fn missing(engine: &Engine, ready: &Arc<Ready>, pass: &Pass, inputs: Vec<Vec<Value>>) -> Vec<Input> {
    let case = |(place, values)| Case::new(place, Id([0; 16]), Input::Values(values));
    let mut batch = Batch {
        ready: Arc::clone(ready),
        caller: Caller { id: "".into(), scope: "".into(), integrations: None },
        door: Door::Batch,
        explain: false,
        deadline: engine.context.deadline_in(PATIENCE),
        at: engine.context.clock.now(),
        matrix: Matrix::default(),
        cases: inputs.into_iter().enumerate().map(case).collect(),
    };
    validate::run(&mut batch);
    route::run(engine, &mut batch);
    let tokens = engine.ledger.tokens();
    let at = batch.at;
    let (mut keys, mut wanted) = (Vec::new(), Vec::new());
    for case in batch.open() {
        // What is asked through the door `batch` without a row has the key of a caller who gives the same input.
        let Some(key) = recalling::key(&*tokens, ready, case) else { continue };
        keys.push(key);
        wanted.push(case.input.clone());
    }
    // A cache that cannot be asked keeps nothing either.
    let Ok(found) = pass.cache.get(&keys).await else { return Vec::new() };
    let good = |bytes: Option<Arc<[u8]>>| {
        let hit = bytes.and_then(|bytes| Hit::of(&Cached::parse(&bytes)?, at, &ready.plan));
        hit.is_some_and(|hit| !hit.recalled.stale)
    };
    wanted.into_iter().zip(found).filter_map(|(input, found)| (!good(found)).then_some(input)).collect()
}

/// Waits for the answers that others compute; who fails is not waited for twice.
pub(crate) async fn join(engine: &Engine, batch: &mut Batch) {
    let ready = Arc::clone(&batch.ready);
    let (at, deadline) = (batch.at, batch.deadline);
    for case in batch.open() {
        let Some(follow) = case.recall.follow.take() else { continue };
        match follow.wait(deadline, &*engine.context.clock).await {
            Waited::Late => case.end(Outcome::Failed, late()),
            Waited::Failed => count(&ready, |meters| meters.miss.increment()),
            Waited::Told(cached) => match Hit::of(&cached, at, &ready.plan) {
                Some(hit) => {
                    count(&ready, |meters| meters.joined.increment());
                    answer(case, hit, &cached);
                }
                None => count(&ready, |meters| meters.miss.increment()),
            },
        }
    }
}

fn answer(case: &mut Case, hit: Hit, cached: &Cached) {
    case.output = Some(cached.output);
    case.classes.clone_from(&cached.classes);
    case.recall.hit = Some(hit);
}

/// Keeps what was computed, and tells it to who waits. After record: what a hit names must be in the record.
pub(crate) async fn keep(engine: &Engine, batch: &mut Batch, pass: &Pass) {
    let ready = Arc::clone(&batch.ready);
    let able = pass.cache.capability();
    let (mut entries, mut leads) = (Vec::new(), Vec::new());
    for case in &mut batch.cases {
        // Dropped where nothing is to be told: the others compute themselves.
        let lead = case.recall.lead.take();
        let (Some(key), None, Some(row)) = (case.recall.key, &case.recall.hit, case.row) else { continue };
        let Some((cached, durable)) = computed(case, batch.matrix.row(row)) else { continue };
        // What a row that had failed, or is as old as it may be, was used for is nobody else's answer.
        let Some(ttl) = recalling::life(&ready.plan, cached.at, &cached.looked).map(|life| until(batch.at, life.kept))
        else {
            continue;
        };
        if ttl.is_zero() {
            continue;
        }
        let cached = Arc::new(cached);
        if durable || !able.outlives {
            entries.push(CacheEntry { key, value: cached.to_bytes().into(), ttl });
        }
        if let Some(lead) = lead {
            lead.tell(&cached);
            leads.push(lead);
        }
    }
    if entries.is_empty() {
        return;
    }
    let put = put(pass.clone(), entries, leads);
    if able.remote {
        engine.context.spawn.spawn("keep answers", put.boxed());
    } else {
        put.await;
    }
}

/// Holds the leads until the answers can be found: who comes meanwhile joins.
async fn put(pass: Pass, entries: Vec<CacheEntry>, leads: Vec<Lead>) {
    if let Err(error) = pass.cache.put(entries).await {
        tracing::debug!(?error, "answers were not kept");
    }
    drop(leads);
}

fn until(now: Timestamp, end: Timestamp) -> Duration {
    Duration::from_micros(u64::try_from(end.0.saturating_sub(now.0)).unwrap_or(0))
}

fn computed(case: &Case, row: &[f64]) -> Option<(Cached, bool)> {
    let State::Answered(Ok(answer)) = &case.state else { return None };
    let decision = &answer.decision;
    if decision.outcome != Outcome::Ok || answer.replayed {
        return None;
    }
    let cached = Cached {
        from: decision.id,
        at: decision.at,
        output: decision.output?,
        classes: decision.classes.clone(),
        features: row.to_vec(),
        looked: case.looked.iter().flatten().cloned().collect(),
    };
    Some((cached, decision.durable))
}

fn count(ready: &Ready, how: impl FnOnce(&RecallMeters)) {
    if let Some(meters) = ready.meters.get() {
        how(&meters.recall);
    }
}
