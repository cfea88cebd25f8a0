//! A batch of n gives what n batches of one give: the promise that makes online and offline results equal.

use std::sync::{Arc, atomic::Ordering};

use proptest::prelude::*;
use tendon_engine::{
    ask::{Answer, Ask, Item, SourceRow},
    record_format::{More, Snapshot},
};
use tendon_kernel::{Result, Value, decision::Decision, sockets::ledger::Entry};
use tendon_plan::plan::{ExplainPlan, FallbackPlan};
use tendon_testkit::Sim;

use crate::common::{Bench, Wishes, ask, bench, json, program};

/// Inputs that end in every way; few keys, so that some are used twice.
fn item() -> impl Strategy<Value = (String, Option<u8>, bool)> {
    let text = prop_oneof![
        (0i64..9, -20.0..20.0f64, 0..4usize, 498..502i64).prop_map(|(n, balance, job, days)| {
            let job = ["admin", "student", "retired", "pirate"][job];
            format!(r#"{{"n": {n}, "balance": {balance}, "job": "{job}", "days": {days}}}"#)
        }),
        (0i64..9, prop_oneof![Just(13), Just(14), Just(15), Just(6000), Just(-200_000), Just(2_000_000)])
            .prop_map(|(n, balance)| format!(r#"{{"n": {n}, "balance": {balance}}}"#)),
        (0i64..9, 895..1005i64).prop_map(|(n, days)| format!(r#"{{"days": {days}, "n": {n}}}"#)),
        prop_oneof![Just("{"), Just("null"), Just("{}"), Just(r#"{"n":1,"x":2}"#), Just("\u{0}")]
            .prop_map(str::to_owned),
    ];
    let key = proptest::option::weighted(0.4, 0..3u8);
    (text, key, any::<bool>())
}

fn made((text, key, row): (String, Option<u8>, bool)) -> Item {
    let mut item = json(&text);
    item.idempotency_key = key.map(|key| format!("k{key}"));
    let source = SourceRow { key: vec![Value::Int(3)], mark: Value::Null, digest: [0; 16] };
    item.row = row.then_some(source);
    item
}

/// What must be the same, without what may differ: ids, times, and positions.
fn essence(answer: &Result<Answer>) -> String {
    match answer {
        Ok(answer) => {
            let Decision { outcome, output, band, degraded, repaired, error, explanation, subject, .. } =
                &*answer.decision;
            let output = output.map(f64::to_bits);
            let replayed = answer.replayed;
            format!(
                "{replayed} {outcome:?} {output:?} {band:?} {degraded:?} {repaired:?} {error:?} {explanation:?} {subject:?}"
            )
        }
        Err(error) => format!("{error:?}"),
    }
}

fn recorded(entry: &Entry) -> String {
    let body = entry.body.as_ref().unwrap();
    let snapshot = Snapshot::parse(&body.input).unwrap();
    let bits: Vec<_> = snapshot.features.iter().map(|feature| feature.to_bits()).collect();
    let more = More::parse(&body.more).unwrap();
    let sets: Vec<_> =
        more.deliveries.iter().map(|delivery| format!("{:?} {:?}", delivery.set, delivery.expect)).collect();
    let letter = more.letter.map(|letter| letter.cause);
    format!("{} {} {bits:?} {sets:?} {letter:?} {:?}", entry.facts.reason, entry.facts.route, more.why)
}

fn wishes(default: bool) -> Wishes {
    let rules = vec![(program("has(input.balance) && input.balance > 13.5"), 0.5)];
    let fallback = FallbackPlan { rules, default: default.then_some(0.2), ..FallbackPlan::default() };
    Wishes { explain: ExplainPlan::When(program("output > 0.6")), fallback, ..Wishes::default() }
}

fn world(default: bool, down: bool) -> (Sim, Bench) {
    let sim = Sim::new(7);
    let bench = bench(&sim.context(), 7, wishes(default));
    bench.model.down.store(down, Ordering::Relaxed);
    (sim, bench)
}

fn decide(sim: &Sim, bench: &Bench, ask: Ask) -> Vec<Result<Answer>> {
    let engine = Arc::clone(&bench.engine);
    sim.run(async move { engine.decide(ask).await }).done().unwrap().items
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_batch_of_n_is_n_batches_of_one(items in proptest::collection::vec(item(), 1..12), default: bool, down: bool) {
        let items: Vec<Item> = items.into_iter().map(made).collect();
        let (sim, whole) = world(default, down);
        let together = decide(&sim, &whole, ask(items.clone()));
        let (sim, single) = world(default, down);
        let alone: Vec<_> = items.into_iter().flat_map(|item| decide(&sim, &single, ask(vec![item]))).collect();
        let essences = |answers: &[Result<Answer>]| answers.iter().map(essence).collect::<Vec<_>>();
        prop_assert_eq!(essences(&together), essences(&alone));

        // In the ledger too, in whatever order the waves left them; and each can be replayed.
        let records = |bench: &Bench| {
            let mut records: Vec<_> = bench.ledger.decisions().iter().map(recorded).collect();
            records.sort();
            records
        };
        prop_assert_eq!(records(&whole), records(&single));
        for entry in whole.ledger.decisions() {
            let report = whole.engine.replay(&entry).unwrap();
            prop_assert!(report.same, "{:?}", report);
        }
    }
}
