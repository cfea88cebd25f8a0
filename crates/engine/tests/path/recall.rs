//! Recall by example and by brute force: what a hit says, who computes, what is stale, what is never kept.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, atomic::Ordering},
    time::Duration,
};

use futures_util::future::BoxFuture;
use tendon_engine::{
    ask::{Answer, Ask},
    record_format::{More, Snapshot},
    replay::{replay, replay_recalled},
};
use tendon_kernel::{
    Result, Value,
    context::Context,
    decision::{Decision, Outcome},
    sockets::{
        cache::{Cache, CacheCapability, CacheEntry, CacheKey, CacheState, Found},
        ledger::Entry,
    },
};
use tendon_plan::cache::{CachePlan, KeyPart};
use tendon_platform::MemoryCache;
use tendon_testkit::{Rng, Sim};

use crate::common::{Bench, Faults, Wishes, ask, bench, json, keyed, one, row};

pub(crate) fn cache(ttl: Duration, stale: Duration) -> CachePlan {
    let parts = vec![KeyPart::Field(0), KeyPart::Field(1)];
    CachePlan { key: vec!["n".into(), "balance".into()], parts, ttl, stale, precompute: None }
}

const HOUR: Duration = Duration::from_secs(3600);

pub(crate) fn remembering(context: &Context, seed: u64, plan: CachePlan) -> Bench {
    let bench = bench(context, seed, Wishes { cache: Some(plan), ..Wishes::default() });
    bench.engine.keep_answers_in(Arc::new(MemoryCache::new(context, 1 << 20)));
    bench
}

fn world(ttl: Duration, stale: Duration) -> (Sim, Bench) {
    let sim = Sim::new(1);
    let bench = remembering(&sim.context(), 1, cache(ttl, stale));
    (sim, bench)
}

fn scored(bench: &Bench) -> u64 {
    bench.model.scored.load(Ordering::Relaxed)
}

fn entry(bench: &Bench, answer: &Answer) -> Entry {
    bench.ledger.decisions().into_iter().find(|entry| entry.facts.id == answer.decision.id).unwrap()
}

fn pass(sim: &Sim, time: Duration) {
    let clock = sim.context().clock;
    sim.run(async move { clock.sleep(time).await }).done();
}

#[test]
fn a_hit_is_recorded_explained_and_replayed_against_its_source() {
    let (sim, bench) = world(HOUR, Duration::ZERO);
    let first = one(&sim, &bench, json(r#"{"n": 1, "balance": 900, "job": "admin"}"#)).unwrap();
    // Another job: not part of the key, so the answer is the first one's.
    let second = one(&sim, &bench, json(r#"{"n": 1, "balance": 900, "job": "student"}"#)).unwrap();
    assert_eq!((scored(&bench), bench.ledger.decisions().len()), (1, 2));
    let recalled = second.decision.recalled.clone().unwrap();
    assert_eq!((recalled.from, recalled.at, recalled.stale), (first.decision.id, first.decision.at, false));
    assert!(first.decision.recalled.is_none() && second.decision.id != first.decision.id);
    assert_eq!((second.decision.output, &second.decision.band), (first.decision.output, &first.decision.band));
    let (hit, source) = (entry(&bench, &second), entry(&bench, &first));
    assert_eq!((&*hit.facts.route, &*source.facts.route), ("recall:champion", "champion"));
    let snapshots = [&hit, &source].map(|entry| Snapshot::parse(&entry.body.as_ref().unwrap().input).unwrap());
    assert!(snapshots[0].raw != snapshots[1].raw && snapshots[0].features == snapshots[1].features);
    let why = [&hit, &source].map(|entry| bench.engine.explain_stored(entry).unwrap());
    assert_eq!(why[0], why[1]);
    let runtime = bench.engine.runtime();
    assert_eq!(replay(&hit, &runtime).unwrap_err().code(), "source_needed");
    let report = replay_recalled(&hit, &source, &runtime).unwrap();
    assert!(report.same, "{report:?}");
    // A third, with another key, is no source of the second; a changed answer is seen too.
    let third = one(&sim, &bench, json(r#"{"n": 1, "balance": 901}"#)).unwrap();
    let report = replay_recalled(&hit, &entry(&bench, &third), &runtime).unwrap();
    let what: BTreeSet<&str> = report.differences.iter().map(|one| one.what.as_str()).collect();
    assert!(what.is_superset(&["source", "cache key", "output", "source: features"].into()), "{what:?}");
    let mut forged = hit.clone();
    let text = String::from_utf8(forged.body.as_ref().unwrap().output.clone()).unwrap();
    let mut changed: Decision = serde_json::from_str(&text).unwrap();
    changed.output = changed.output.map(|output| output.next_up());
    forged.body.as_mut().unwrap().output = serde_json::to_vec(&changed).unwrap();
    assert!(!replay_recalled(&forged, &source, &runtime).unwrap().same);
}

/// The row that the model saw is the source's: what came in with the question itself says nothing of it.
#[test]
fn a_recalled_answer_is_not_explained_by_its_own_category() {
    let (sim, bench) = world(HOUR, Duration::ZERO);
    let first = one(&sim, &bench, json(r#"{"n": 1, "balance": 900, "job": "retired"}"#)).unwrap();
    let second = one(&sim, &bench, json(r#"{"n": 1, "balance": 900, "job": "student"}"#)).unwrap();
    assert!(second.decision.recalled.is_some());
    let told = [&first, &second].map(|answer| {
        let explanation = bench.engine.explain_stored(&entry(&bench, answer)).unwrap();
        explanation.reasons.into_iter().find(|reason| &*reason.feature == "job").unwrap().text
    });
    assert_eq!(told[0], "job is a value that the model does not know: raises the score");
    assert_eq!(told[1], "job is missing, or a value that the model does not know: raises the score");
}

/// A cache that takes its time to find what it has.
struct Late(MemoryCache, Context, Duration);

impl Cache for Late {
    fn capability(&self) -> CacheCapability {
        self.0.capability()
    }
    fn get<'a>(&'a self, keys: &'a [CacheKey]) -> BoxFuture<'a, Result<Found>> {
        Box::pin(async {
            self.1.clock.sleep(self.2).await;
            self.0.get(keys).await
        })
    }
    fn put(&self, entries: Vec<CacheEntry>) -> BoxFuture<'_, Result<()>> {
        self.0.put(entries)
    }
    fn remove<'a>(&'a self, tag: &'a [u8; 16]) -> BoxFuture<'a, Result<()>> {
        self.0.remove(tag)
    }
    fn state(&self) -> CacheState {
        self.0.state()
    }
}

/// Found at the very moment of the deadline: what is recorded is a failure, and no answer that nobody got.
#[test]
fn an_answer_that_is_found_too_late_is_none() {
    let (sim, wait) = (Sim::new(1), Duration::from_millis(50));
    let plan = cache(HOUR, Duration::ZERO);
    let bench = bench(&sim.context(), 1, Wishes { cache: Some(plan), ..Wishes::default() });
    bench.engine.keep_answers_in(Arc::new(Late(MemoryCache::new(&sim.context(), 1 << 20), sim.context(), wait)));
    let first = one(&sim, &bench, json(r#"{"n": 1}"#)).unwrap();
    assert_eq!(
        one(&sim, &bench, json(r#"{"n": 1}"#)).unwrap().decision.recalled.as_ref().unwrap().from,
        first.decision.id
    );
    let late = Ask { deadline: Some(sim.context().deadline_in(wait)), ..ask(vec![json(r#"{"n": 1}"#)]) };
    let engine = Arc::clone(&bench.engine);
    drop(sim.run(async move { engine.decide(late).await }).done());
    sim.run_for(Duration::from_secs(1));
    let metrics = sim.context().metrics.render();
    let hits = "tendon_recall_total{integration=\"lead-score\",result=\"hit\"} 2";
    assert!(metrics.contains(hits), "it was found: {metrics}");
    let decision = tendon_engine::stored::decision(&bench.ledger.decisions()[2]).unwrap();
    assert_eq!((decision.outcome, decision.output, decision.recalled), (Outcome::Failed, None, None));
    assert!(decision.band.is_none());
}

#[test]
fn an_answer_about_one_person_is_nobody_elses() {
    let sim = Sim::new(1);
    // The declared field is the same for both; the model looks at more.
    let plan = CachePlan { parts: vec![KeyPart::Field(1)], ..cache(HOUR, Duration::ZERO) };
    let bench = remembering(&sim.context(), 1, plan);
    for text in [r#"{"n": 1, "balance": 5}"#, r#"{"n": 2, "balance": 5}"#] {
        assert!(one(&sim, &bench, json(text)).unwrap().decision.recalled.is_none(), "{text}");
    }
    assert!(one(&sim, &bench, json(r#"{"n": 2, "balance": 5}"#)).unwrap().decision.recalled.is_some());
}

#[test]
fn an_idempotent_repeat_is_the_same_decision_not_a_hit() {
    let (sim, bench) = world(HOUR, Duration::ZERO);
    let first = one(&sim, &bench, keyed(r#"{"n": 1}"#, "k")).unwrap();
    let again = one(&sim, &bench, keyed(r#"{"n": 1}"#, "k")).unwrap();
    assert_eq!((first.decision.id, again.replayed), (again.decision.id, true));
    assert_eq!(bench.ledger.decisions().len(), 1);
}

#[test]
fn what_is_degraded_or_refused_is_never_kept() {
    let (sim, bench) = world(HOUR, Duration::ZERO);
    bench.model.down.store(true, Ordering::Relaxed);
    let rich = r#"{"n": 1, "balance": 9000}"#;
    for _ in 0..2 {
        let degraded = one(&sim, &bench, json(rich)).unwrap();
        assert_eq!((degraded.decision.outcome, &degraded.decision.recalled), (Outcome::Degraded, &None));
    }
    assert_eq!(one(&sim, &bench, json(r#"{"n": 1}"#)).unwrap().decision.outcome, Outcome::Failed);
    bench.model.down.store(false, Ordering::Relaxed);
    for text in [rich, r#"{"n": 1}"#] {
        let fresh = one(&sim, &bench, json(text)).unwrap();
        assert_eq!((fresh.decision.outcome, &fresh.decision.recalled), (Outcome::Ok, &None));
    }
}

#[test]
fn a_stale_answer_comes_at_once_and_one_renewal_runs_behind_it() {
    let (sim, bench) = world(Duration::from_secs(10), HOUR);
    let text = r#"{"n": 1, "balance": 5}"#;
    let first = one(&sim, &bench, json(text)).unwrap();
    pass(&sim, Duration::from_secs(60));
    let answers = {
        let engine = Arc::clone(&bench.engine);
        sim.run(async move { engine.decide(ask((0..5).map(|_| json(text)).collect())).await }).done().unwrap()
    };
    for answer in answers.items {
        let recalled = answer.unwrap().decision.recalled.clone().unwrap();
        assert!(recalled.stale && recalled.from == first.decision.id && recalled.age_ms >= 60_000, "{recalled:?}");
    }
    pass(&sim, Duration::from_secs(1));
    assert_eq!((scored(&bench), bench.ledger.decisions().len()), (2, 7), "one renewal for all five");
    let renewal = bench.ledger.decisions().into_iter().find(|entry| &*entry.facts.caller == "cache:renew").unwrap();
    let fresh = one(&sim, &bench, json(text)).unwrap().decision.recalled.clone().unwrap();
    assert!(!fresh.stale && fresh.from == renewal.facts.id);
    pass(&sim, Duration::from_secs(10) + HOUR);
    assert!(one(&sim, &bench, json(text)).unwrap().decision.recalled.is_none(), "too old even for stale");
}

/// Batches of keys in any order and twice, at once: each answer is computed once, and nobody waits in a circle.
fn flight(seed: u64) {
    let sim = Sim::new(seed);
    let mut rng = Rng::stream(seed, "recall flight");
    let bench = remembering(&sim.context(), seed, cache(HOUR, Duration::ZERO));
    bench.ledger.set(Faults { slow: true, ..Faults::default() });
    let told: Arc<Mutex<Vec<(u64, Answer)>>> = Arc::default();
    for _ in 0..12 {
        let keys: Vec<u64> = (0..1 + rng.below(5)).map(|_| rng.below(4)).collect();
        // Some with idempotency keys: the two kinds of waiting must not meet in a circle either.
        let items = keys.iter().map(|key| {
            let text = format!("{{\"n\": {key}}}");
            if rng.chance(1, 3) { keyed(&text, &format!("k{key}")) } else { json(&text) }
        });
        let (engine, told, items) = (Arc::clone(&bench.engine), Arc::clone(&told), items.collect());
        sim.spawn("caller", async move {
            let answers = engine.decide(ask(items)).await.unwrap();
            told.lock().unwrap().extend(keys.into_iter().zip(answers.items.into_iter().map(Result::unwrap)));
        });
    }
    sim.run_for(Duration::from_secs(4));
    assert!(sim.tasks().is_empty(), "seed {seed}: these wait for each other: {:?}", sim.tasks());
    let told = told.lock().unwrap();
    let keys: BTreeSet<u64> = told.iter().map(|(key, _)| *key).collect();
    assert_eq!(usize::try_from(scored(&bench)).unwrap(), keys.len(), "seed {seed}: computed twice, or not at all");
    for (key, answer) in &*told {
        assert_eq!(answer.decision.outcome, Outcome::Ok, "seed {seed}");
        let same = told
            .iter()
            .filter(|(other, _)| other == key)
            .all(|(_, other)| other.decision.output == answer.decision.output);
        assert!(same, "seed {seed}: two answers for key {key}");
    }
}

#[test]
fn of_many_who_miss_one_computes() {
    (0..400).for_each(flight);
}

/// A leader whose record fails wakes the others, who compute themselves: each gets its own answer.
#[test]
fn who_follows_a_failing_leader_computes_itself() {
    let mut failed = 0;
    for seed in 0..200 {
        let sim = Sim::new(seed);
        let bench = remembering(&sim.context(), seed, cache(HOUR, Duration::ZERO));
        bench.ledger.set(Faults { slow: true, commit_fails: 40, ..Faults::default() });
        let answers: Arc<Mutex<Vec<_>>> = Arc::default();
        for _ in 0..6 {
            let (engine, answers) = (Arc::clone(&bench.engine), Arc::clone(&answers));
            sim.spawn("caller", async move {
                let items = vec![json(r#"{"n": 1}"#), json(r#"{"n": 2}"#), json(r#"{"n": 1}"#)];
                let told = engine.decide(ask(items)).await.unwrap().items;
                answers.lock().unwrap().extend(told);
            });
        }
        sim.run_for(Duration::from_secs(4));
        assert!(sim.tasks().is_empty(), "seed {seed}: still waiting: {:?}", sim.tasks());
        let answers = answers.lock().unwrap();
        assert_eq!(answers.len(), 18);
        let recorded: BTreeSet<_> = bench.ledger.decisions().iter().map(|entry| entry.facts.id).collect();
        for answer in answers.iter() {
            match answer {
                Ok(answer) => {
                    let from = answer.decision.recalled.as_ref().map_or(answer.decision.id, |recalled| recalled.from);
                    assert!(recorded.contains(&from), "seed {seed}: an answer names a decision that is not recorded");
                }
                Err(_) => failed += 1,
            }
        }
    }
    assert!(failed > 500, "the ledger hardly failed: {failed}");
}

/// A watched row has the key of its watermark; a renewal comes from no row, and must still renew that very answer.
#[test]
fn a_stale_answer_about_a_row_is_renewed_under_its_own_watermark() {
    let sim = Sim::new(1);
    let parts = vec![KeyPart::Field(0), KeyPart::Mark];
    let plan = CachePlan { parts, ..cache(Duration::from_secs(10), HOUR) };
    let bench = remembering(&sim.context(), 1, plan);
    let about = || row(1, Value::Float(7.0));
    let first = one(&sim, &bench, about()).unwrap();
    pass(&sim, Duration::from_secs(60));
    let stale = one(&sim, &bench, about()).unwrap().decision.recalled.clone().unwrap();
    assert!(stale.stale && stale.from == first.decision.id);
    pass(&sim, Duration::from_secs(1));
    let fresh = one(&sim, &bench, about()).unwrap();
    let recalled = fresh.decision.recalled.clone().unwrap();
    let renewal = bench.ledger.decisions().into_iter().find(|entry| &*entry.facts.caller == "cache:renew").unwrap();
    assert_eq!((recalled.stale, recalled.from), (false, renewal.facts.id));
    assert_eq!(scored(&bench), 2);
    let more = More::parse(&renewal.body.as_ref().unwrap().more).unwrap();
    assert!(more.row.is_none() && more.deliveries.is_empty(), "it writes nothing and moves no watch");
    let report = replay_recalled(&entry(&bench, &fresh), &renewal, &bench.engine.runtime()).unwrap();
    assert!(report.same, "{report:?}");
    // Another watermark is another answer, and so is the same input from a caller without one.
    let mut moved = about();
    moved.row.as_mut().unwrap().mark = Value::Time(tendon_kernel::Timestamp(6));
    assert!(one(&sim, &bench, moved).unwrap().decision.recalled.is_none());
    assert!(one(&sim, &bench, json(r#"{"n": 1, "balance": 7.0}"#)).unwrap().decision.recalled.is_none());
}
