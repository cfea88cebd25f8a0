//! The ladder's first rung: the version before answers what the champion cannot, is recorded as what it is, and replays.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
};

use tendon_engine::{Engine, Parts, Runtime, Slot, ask::Answer};
use tendon_kernel::{
    decision::{Outcome, Rung},
    sockets::{
        ledger::{EntryKind, Ledger as _, ModelRef},
        model::{Matrix, Model as _},
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
    let (champion, previous) = (FnModel::new(), FnModel::new());
    let rules = vec![(program("has(input.balance) && input.balance > 5000.0"), 0.5)];
    let wishes = Wishes { fallback: FallbackPlan { previous: true, rules, default: Some(0.25) }, ..Wishes::default() };
    let slot = |version: &str, digest: &str, model: &Arc<FnModel>| {
        let reference = ModelRef { name: "score".into(), version: version.into(), digest: digest.repeat(32).into() };
        (("score".to_owned(), version.to_owned()), Slot { reference, model: model.clone() })
    };
    let mut models = BTreeMap::from([slot("v1", "11", &previous)]);
    if loaded {
        models.extend([slot("v2", "22", &champion)]);
    }
    let aliases = [("champion", "v2"), ("previous", "v1")].map(|(alias, version)| (alias.into(), version.into()));
    let aliases = BTreeMap::from([("score".to_owned(), BTreeMap::from(aliases))]);
    let ledger = FakeLedger::new(&sim.context(), 1);
    let engine = Engine::new(Parts {
        context: sim.context(),
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
