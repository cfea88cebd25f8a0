//! The ladder's first rung: the version before answers what the champion cannot, is recorded as what it is, and replays.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::future::BoxFuture;
use tendon_engine::{Engine, Parts, Runtime, Slot, ask::Answer};
use tendon_kernel::{
    Result, Timestamp,
    context::{Clock, Context},
    decision::{Outcome, Rung},
    sockets::{
        ledger::{EntryKind, Ledger as _, ModelRef},
        model::{Contributions, Matrix, Model, Signature},
    },
};
use tendon_plan::plan::FallbackPlan;
use tendon_testkit::Sim;

use crate::common::{FakeLedger, FnModel, Wishes, ask, json, plan, program};

/// The champion has failed; two rungs below the version before.
struct Ladder {
    sim: Sim,
    engine: Arc<Engine>,
    ledger: Arc<FakeLedger>,
    champion: Arc<FnModel>,
    previous: Arc<FnModel>,
}

fn ladder(loaded: bool) -> Ladder {
    let sim = Sim::new(1);
    let (context, champion) = (sim.context(), FnModel::new());
    build(sim, context, loaded, champion.clone(), champion)
}

/// `asked` is what the champion's version is; it may be more than the champion.
fn build(sim: Sim, context: Context, loaded: bool, champion: Arc<FnModel>, asked: Arc<dyn Model>) -> Ladder {
    let previous = FnModel::new();
    let rules = vec![(program("has(input.balance) && input.balance > 5000.0"), 0.5)];
    let wishes = Wishes {
        fallback: FallbackPlan { previous: true, rules, default: Some(0.25), human: None },
        ..Wishes::default()
    };
    let slot = |version: &str, digest: &str, model: Arc<dyn Model>| {
        let reference = ModelRef { name: "score".into(), version: version.into(), digest: digest.repeat(32).into() };
        (("score".to_owned(), version.to_owned()), Slot { reference, model })
    };
    let mut models = BTreeMap::from([slot("v1", "11", previous.clone())]);
    if loaded {
        models.extend([slot("v2", "22", asked)]);
    }
    let aliases = [("champion", "v2"), ("previous", "v1")].map(|(alias, version)| (alias.into(), version.into()));
    let aliases = BTreeMap::from([("score".to_owned(), BTreeMap::from(aliases))]);
    let ledger = FakeLedger::new(&context, 1);
    let engine = Engine::new(Parts {
        context,
        ledger: ledger.clone(),
        runtime: Runtime::new(plan(wishes), models, &aliases).unwrap(),
        deliveries: None,
    });
    Ladder { sim, engine, ledger, champion, previous }
}

impl Ladder {
    fn ask(&self, texts: &[&str]) -> Vec<Answer> {
        let (engine, items) = (self.engine.clone(), texts.iter().map(|text| json(text)).collect());
        let answers = self.sim.run(async move { engine.decide(ask(items)).await }).done().unwrap();
        answers.items.into_iter().map(Result::unwrap).collect()
    }
}

#[test]
fn the_version_before_answers_and_says_so_and_replays() {
    for loaded in [true, false] {
        let ladder = ladder(loaded);
        ladder.champion.down.store(true, Ordering::Relaxed);
        // Balance 14: this version gives no number either, and the default answers. 6000: the rule would, if it were asked.
        let texts = [r#"{"n": 1, "balance": 6000}"#, r#"{"n": 2, "balance": 14}"#, r#"{"n": 3, "job": "student"}"#];
        let answers = ladder.ask(&texts);
        let rungs: Vec<_> = answers.iter().map(|answer| answer.decision.degraded).collect();
        assert_eq!(rungs, [Some(Rung::Previous), Some(Rung::Default), Some(Rung::Previous)]);
        assert!(answers.iter().all(|answer| answer.decision.outcome == Outcome::Degraded));
        for answer in [&answers[0], &answers[2]] {
            assert_eq!(answer.decision.model.as_ref().unwrap().version.as_ref(), "v1", "who really answered");
        }
        let entries = ladder.ledger.decisions();
        let routes: Vec<_> = entries.iter().map(|entry| entry.facts.route.to_string()).collect();
        assert_eq!(routes, ["fallback:previous", "fallback:default", "fallback:previous"]);
        assert_eq!(answers[1].decision.output, Some(0.25));
        let row = Matrix { values: vec![6000.0, f64::NAN, 100_000.0 / -493.0, 1.0], columns: 4 };
        let alone = ladder.previous.predict(&row).unwrap()[0];
        assert!((answers[0].decision.output.unwrap() - alone).abs() < 1e-3, "the other model's number");
        // The champion is well again: what was answered by the version before is still replayed by it, and the rule's and
        // the default's answers are not replaced by what a model would say today.
        ladder.champion.down.store(false, Ordering::Relaxed);
        for (entry, answer) in entries.iter().zip(&answers) {
            let report = ladder.engine.replay(entry).unwrap();
            assert!(report.same, "{report:?}");
            let explained = ladder.engine.explain_stored(entry).unwrap();
            let by_model = answer.decision.degraded == Some(Rung::Previous);
            assert_eq!(explained.method.as_ref(), if by_model { "treeshap" } else { "rules" });
        }
        assert_eq!(ladder.ledger.entries().iter().filter(|entry| entry.facts.kind == EntryKind::Decision).count(), 3);
        assert!(ladder.ledger.state().stopped.is_none());
    }
}

#[test]
fn with_both_versions_down_the_rungs_below_answer() {
    let ladder = ladder(true);
    ladder.champion.down.store(true, Ordering::Relaxed);
    ladder.previous.down.store(true, Ordering::Relaxed);
    let answers = ladder.ask(&[r#"{"n": 1, "balance": 6000}"#, r#"{"n": 2}"#]);
    let rungs: Vec<_> = answers.iter().map(|answer| (answer.decision.degraded, answer.decision.output)).collect();
    assert_eq!(rungs, [(Some(Rung::Rules), Some(0.5)), (Some(Rung::Default), Some(0.25))]);
    ladder.champion.down.store(false, Ordering::Relaxed);
    ladder.previous.down.store(false, Ordering::Relaxed);
    for entry in ladder.ledger.decisions() {
        assert!(ladder.engine.replay(&entry).unwrap().same);
    }
    let well = ladder.ask(&[r#"{"n": 1}"#]);
    assert_eq!((well[0].decision.outcome, well[0].decision.degraded), (Outcome::Ok, None));
}

/// A clock that can be set forward while nobody sleeps.
struct Ahead(Arc<dyn Clock>, Arc<AtomicU64>);

impl Clock for Ahead {
    fn now(&self) -> Timestamp {
        self.0.now()
    }
    fn monotonic(&self) -> Duration {
        self.0.monotonic() + Duration::from_secs(self.1.load(Ordering::Relaxed))
    }
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        self.0.sleep(duration)
    }
}

/// A champion that fails, and takes so many seconds for it.
struct Slow(Arc<FnModel>, Arc<AtomicU64>, u64);

impl Model for Slow {
    fn signature(&self) -> &Signature {
        self.0.signature()
    }
    fn predict(&self, rows: &Matrix) -> Result<Vec<f64>> {
        self.1.fetch_add(self.2, Ordering::Relaxed);
        self.0.predict(rows)
    }
    fn margin(&self, rows: &Matrix) -> Result<Vec<f64>> {
        self.0.margin(rows)
    }
    fn explain(&self, rows: &Matrix) -> Result<Vec<Vec<Contributions>>> {
        self.0.explain(rows)
    }
}

#[test]
fn the_version_before_is_asked_once_for_a_batch_and_row_by_row_where_one_spoils_it() {
    let ladder = ladder(true);
    ladder.champion.down.store(true, Ordering::Relaxed);
    let text = |n: u32, balance: u32| format!(r#"{{"n": {n}, "balance": {balance}}}"#);
    let texts: Vec<String> = (0..40).map(|n| text(n, 100 + n)).collect();
    let answers = ladder.ask(&texts.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(answers.iter().all(|answer| answer.decision.degraded == Some(Rung::Previous)));
    let asked = || (ladder.previous.calls.load(Ordering::Relaxed), ladder.previous.scored.load(Ordering::Relaxed));
    assert_eq!(asked(), (1, 40));
    let alone: Vec<_> = texts.iter().map(|text| ladder.ask(&[text]).remove(0).decision.output).collect();
    assert_eq!(answers.iter().map(|answer| answer.decision.output).collect::<Vec<_>>(), alone, "each its own number");
    assert_eq!(asked(), (41, 80));
    // Balance 13 makes a whole call fail.
    let answers = ladder.ask(&[&text(1, 100), &text(2, 13), &text(3, 102)]);
    let rungs: Vec<_> = answers.iter().map(|answer| answer.decision.degraded).collect();
    assert_eq!(rungs, [Some(Rung::Previous), Some(Rung::Default), Some(Rung::Previous)]);
    assert_eq!((answers[0].decision.output, answers[2].decision.output), (alone[0], alone[2]));
    assert_eq!(asked(), (45, 86));
}

#[test]
fn once_the_deadline_has_passed_only_the_rungs_that_cost_nothing_answer() {
    for (seconds, rung) in [(0, Rung::Previous), (60, Rung::Rules)] {
        let (sim, late, champion) = (Sim::new(1), Arc::<AtomicU64>::default(), FnModel::new());
        champion.down.store(true, Ordering::Relaxed);
        let mut context = sim.context();
        context.clock = Arc::new(Ahead(context.clock, Arc::clone(&late)));
        let asked = Arc::new(Slow(champion.clone(), late, seconds));
        let ladder = build(sim, context, true, champion, asked);
        let answer = ladder.ask(&[r#"{"n": 1, "balance": 6000}"#]).remove(0);
        assert_eq!(answer.decision.degraded, Some(rung));
        assert_eq!(ladder.previous.calls.load(Ordering::Relaxed), u64::from(rung == Rung::Previous));
        assert_eq!(ladder.ledger.decisions().len(), 1);
    }
}
