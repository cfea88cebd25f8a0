//! What is read of an entry by the plan that it was recorded under: the names of a row's fields.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use futures_util::future::{BoxFuture, FutureExt as _};
use serde_json::{Value as Json, json};
use tendon_engine::{Past, Runtime};
use tendon_kernel::{Error, ErrorKind, Result, Value, sockets::ledger::Entry};
use tendon_testkit::Sim;

use crate::common::{Bench, Wishes, one, row, runtime, world};

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
