//! What is read of an entry by the plan that it was recorded under: the names of a row's fields, and what came in for a category that
//! the model does not know.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use futures_util::future::{BoxFuture, FutureExt as _};
use serde_json::{Value as Json, json};
use tendon_engine::{Past, Runtime, record_format::Snapshot, stored, without_values};
use tendon_kernel::{
    Error, ErrorKind, Result, Value,
    decision::{Explanation, Reason},
    sockets::ledger::Entry,
};
use tendon_testkit::Sim;

use crate::common::{Bench, Wishes, ask, decide, json as text, one, row, runtime, world};

/// Knows the plan of [`world`]; but first fails in these ways.
struct Kept(Mutex<VecDeque<ErrorKind>>);

impl Past for Kept {
    fn runtime<'a>(&'a self, plan: &'a str) -> BoxFuture<'a, Result<Runtime>> {
        assert_eq!(plan, "11".repeat(32));
        let failure = self.0.lock().unwrap().pop_front();
        async move {
            match failure {
                Some(kind) => Err(Error::new(kind, "not_now", "the plan cannot be had")),
                None => Ok(runtime(Wishes::default(), None)),
            }
        }
        .boxed()
    }
}

fn keep(bench: &Bench, failures: impl Into<VecDeque<ErrorKind>>) {
    bench.engine.find_past_plans_in(Arc::new(Kept(Mutex::new(failures.into()))));
}

/// Another plan, with the same fields, is put in force.
fn change(bench: &Bench) {
    bench.engine.install(runtime(Wishes { digest: "33", ..Wishes::default() }, Some(bench.model.clone())));
}

fn input(sim: &Sim, bench: &Bench, entry: &Entry) -> Result<Json> {
    let (engine, entry) = (Arc::clone(&bench.engine), entry.clone());
    sim.run(async move { engine.input_of(&entry).await }).done()
}

#[test]
fn a_row_keeps_the_names_of_the_plan_that_it_was_read_under() {
    let (sim, bench) = world();
    one(&sim, &bench, row(7, Value::Float(900.5))).unwrap();
    let entry = bench.ledger.decisions().remove(0);
    let named = json!({ "n": 7, "balance": 900.5, "job": null, "at": null, "days": null });
    let bare = json!([7, 900.5, null, null, null]);
    assert_eq!(input(&sim, &bench, &entry).unwrap(), named);
    change(&bench);
    assert_eq!(input(&sim, &bench, &entry).unwrap(), bare, "nobody knows the plan of then");
    keep(&bench, [ErrorKind::NotFound, ErrorKind::Corrupt, ErrorKind::Unavailable]);
    assert_eq!(input(&sim, &bench, &entry).unwrap(), bare, "it was not kept");
    assert_eq!(input(&sim, &bench, &entry).unwrap(), bare, "it comes out otherwise");
    assert_eq!(input(&sim, &bench, &entry).unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(input(&sim, &bench, &entry).unwrap(), named);
}

#[test]
fn the_plan_that_was_found_last_is_not_looked_for_again() {
    let (sim, bench) = world();
    for n in [1, 2] {
        one(&sim, &bench, row(n, Value::Null)).unwrap();
    }
    change(&bench);
    let kept = Arc::new(Kept(Mutex::default()));
    bench.engine.find_past_plans_in(kept.clone());
    let entries = bench.ledger.decisions();
    assert_eq!(input(&sim, &bench, &entries[0]).unwrap()["n"], 1);
    // From here on it could not be found any more.
    kept.0.lock().unwrap().push_back(ErrorKind::NotFound);
    assert_eq!(input(&sim, &bench, &entries[1]).unwrap()["n"], 2);
}

fn about<'a>(explanation: &'a Explanation, feature: &str) -> &'a Reason {
    explanation.reasons.iter().find(|reason| &*reason.feature == feature).unwrap()
}

/// The model knows `admin` and `student`; the input may also say `retired`.
#[test]
fn a_value_that_the_model_does_not_know_is_no_missing_one() {
    let (sim, bench) = world();
    let mut asked = ask(vec![text(r#"{"n": 1, "balance": 9, "job": "retired"}"#), text(r#"{"n": 1, "balance": 9}"#)]);
    asked.explain = true;
    let answers = decide(&sim, &bench, asked).unwrap().items.into_iter();
    let decisions: Vec<_> = answers.map(|answer| answer.unwrap().decision).collect();
    let [unknown, missing] = &decisions[..] else { panic!("two were asked") };
    let (told, none) = (unknown.explanation.clone().unwrap(), missing.explanation.clone().unwrap());
    let job = about(&told, "job");
    assert_eq!(job.text, "job is a value that the model does not know: raises the score");
    assert_eq!(job.value, "retired");
    assert_eq!(
        (&*about(&none, "job").text, &about(&none, "job").value),
        ("job is missing: raises the score", &Json::Null)
    );
    // To the model they are the same: the row, the output and every contribution, bit for bit.
    assert_eq!(unknown.output.map(f64::to_bits), missing.output.map(f64::to_bits));
    let numbers =
        |one: &Explanation| one.reasons.iter().map(|reason| reason.contribution.to_bits()).collect::<Vec<_>>();
    assert_eq!((numbers(&told), told.margin.to_bits()), (numbers(&none), none.margin.to_bits()));
    let entries = bench.ledger.decisions();
    let bits = |entry: &Entry| {
        let snapshot = Snapshot::parse(&entry.body.as_ref().unwrap().input).unwrap();
        snapshot.features.iter().map(|number| number.to_bits()).collect::<Vec<_>>()
    };
    assert_eq!(bits(&entries[0]), bits(&entries[1]));
    assert!(entries.iter().all(|entry| bench.engine.replay(entry).unwrap().same));
    // Whom values are not for sees neither which it was nor whether there was one.
    assert_eq!(about(&without_values(told), "job"), about(&without_values(none), "job"));
}

#[test]
fn an_unknown_value_is_told_later_by_the_plan_of_then() {
    let (sim, bench) = world();
    let mut asked = ask(vec![text(r#"{"n": 1, "balance": 9, "job": "retired"}"#)]);
    asked.explain = true;
    let now = decide(&sim, &bench, asked).unwrap().items.remove(0).unwrap().decision.explanation.clone().unwrap();
    one(&sim, &bench, text(r#"{"n": 1, "balance": 9, "job": "retired"}"#)).unwrap();
    let entry = bench.ledger.decisions().remove(1);
    assert!(stored::wants_plan(&entry, &*bench.model).unwrap());
    assert!(
        !stored::wants_plan(&bench.ledger.decisions()[0], &*bench.model).unwrap(),
        "it was explained when it was made"
    );
    assert_eq!(bench.engine.explain_stored(&entry).unwrap(), now);
    change(&bench);
    // By the model alone it cannot be told which of the two it was.
    let unsure = bench.engine.explain_stored(&entry).unwrap();
    let job = about(&unsure, "job");
    assert_eq!(job.text, "job is missing, or a value that the model does not know: raises the score");
    assert_eq!((&job.value, job.contribution.to_bits()), (&Json::Null, about(&now, "job").contribution.to_bits()));
    keep(&bench, VecDeque::new());
    let engine = Arc::clone(&bench.engine);
    let found = entry.clone();
    let then = sim.run(async move { engine.runtime_of(&found).await }).done().unwrap().unwrap();
    assert_eq!(stored::explain(&entry, Some(&*bench.model), Some(&then)).unwrap(), now);
    // What is known needs no plan.
    one(&sim, &bench, text(r#"{"n": 1, "balance": 9, "job": "student"}"#)).unwrap();
    assert!(!stored::wants_plan(&bench.ledger.decisions()[2], &*bench.model).unwrap());
}
