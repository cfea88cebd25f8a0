//! Routes: who meets which version, that it stays so, and that a shadow costs nobody anything whatever it does.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use futures_util::future::BoxFuture;
use tendon_engine::{
    Engine, Parts, Runtime, Slot,
    ask::{Answer, Item},
};
use tendon_kernel::{
    Error, ErrorKind, Result,
    context::{Context, Spawn},
    decision::Outcome,
    sockets::{
        ledger::{EntryKind, ModelRef},
        model::{Contributions, Matrix, Model, Signature},
    },
};
use tendon_plan::route::{ArmPlan, RoutePlan};
use tendon_testkit::Sim;

use crate::common::{FakeLedger, Sink, Wishes, ask, json, plan, signature};

/// A version that always says the same, in the way it is told to.
struct Says {
    signature: Signature,
    output: f64,
    calls: AtomicUsize,
    how: How,
}

enum How {
    Plainly,
    /// Not before the gate opens.
    Waiting(Arc<Gate>),
    Panicking,
    Refusing,
}

#[derive(Default)]
struct Gate {
    open: Mutex<bool>,
    moved: Condvar,
}

impl Gate {
    fn open(&self) {
        *self.open.lock().unwrap() = true;
        self.moved.notify_all();
    }
}

impl Says {
    fn new(output: f64, how: How) -> Arc<Self> {
        Arc::new(Self { signature: signature(), output, calls: AtomicUsize::new(0), how })
    }
}

impl Model for Says {
    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn predict(&self, rows: &Matrix) -> Result<Vec<f64>> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        match &self.how {
            How::Plainly => {}
            How::Waiting(gate) => drop(gate.moved.wait_while(gate.open.lock().unwrap(), |open| !*open).unwrap()),
            How::Panicking => panic!("the shadow panics"),
            How::Refusing => return Err(Error::new(ErrorKind::Unavailable, "model_broken", "the shadow refuses")),
        }
        Ok(vec![self.output; rows.rows()])
    }

    fn margin(&self, rows: &Matrix) -> Result<Vec<f64>> {
        Ok(vec![0.0; rows.rows()])
    }

    fn explain(&self, _: &Matrix) -> Result<Vec<Vec<Contributions>>> {
        Ok(Vec::new())
    }
}

/// Tasks in the simulation, work aside on threads.
struct Threads(Arc<dyn Spawn>);

impl Spawn for Threads {
    fn spawn(&self, name: &'static str, task: BoxFuture<'static, ()>) {
        self.0.spawn(name, task);
    }

    fn aside(&self, _: &'static str, work: Box<dyn FnOnce() + Send>) {
        drop(std::thread::spawn(work));
    }
}

struct Town {
    sim: Sim,
    context: Context,
    engine: Arc<Engine>,
    ledger: Arc<FakeLedger>,
}

fn runtime(route: RoutePlan, versions: &[(&str, Arc<Says>)]) -> Runtime {
    let slot = |version: &str, model: &Arc<Says>| Slot {
        reference: ModelRef { name: "score".into(), version: version.into(), digest: format!("{version:0>64}").into() },
        model: model.clone(),
    };
    let key = |version: &str| ("score".to_owned(), version.to_owned());
    let models = versions.iter().map(|(version, model)| (key(version), slot(version, model))).collect();
    let champion = BTreeMap::from([("champion".to_owned(), "v1".to_owned())]);
    let wishes = Wishes { route, ..Wishes::default() };
    Runtime::new(plan(wishes), models, &BTreeMap::from([("score".to_owned(), champion)])).unwrap()
}

fn town(route: RoutePlan, versions: &[(&str, Arc<Says>)]) -> Town {
    let sim = Sim::new(7);
    let mut context = sim.context();
    context.spawn = Arc::new(Threads(Arc::clone(&context.spawn)));
    let ledger = FakeLedger::new(&context, 7);
    let engine = Engine::new(Parts {
        context: context.clone(),
        ledger: ledger.clone(),
        runtime: runtime(route, versions),
        deliveries: Some(Arc::new(Sink::default())),
    });
    Town { sim, context, engine, ledger }
}

fn arm(route: &str, version: &str, percent: f64) -> ArmPlan {
    ArmPlan { route: route.into(), alias: version.into(), percent }
}

fn canary(percent: f64) -> RoutePlan {
    RoutePlan { arms: vec![arm("canary", "v2", percent)], shadow: None }
}

fn shadow(percent: f64) -> RoutePlan {
    RoutePlan { arms: vec![], shadow: Some(arm("shadow", "v2", percent)) }
}

fn both(shadow: How) -> [(&'static str, Arc<Says>); 2] {
    [("v1", Says::new(0.25, How::Plainly)), ("v2", Says::new(0.75, shadow))]
}

impl Town {
    fn decide(&self, subjects: impl Iterator<Item = usize>) -> Vec<Answer> {
        let items: Vec<Item> = subjects.map(|subject| json(&format!("{{\"n\": {subject}}}"))).collect();
        let engine = Arc::clone(&self.engine);
        let answers = self.sim.run(async move { engine.decide(ask(items)).await }).done().unwrap();
        answers.items.into_iter().map(Result::unwrap).collect()
    }

    fn counted(&self, result: &str) -> usize {
        let text = self.context.metrics.render();
        let line = text.lines().find(|line| line.contains("tendon_shadow_rows_total{") && line.contains(result));
        line.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).map_or(0, |count| count as usize)
    }

    /// Waits for the thread aside, and fails when it does not come.
    fn until(&self, what: impl Fn(&Self) -> bool) {
        for _ in 0..5_000_000 {
            if what(self) {
                return;
            }
            std::thread::yield_now();
        }
        panic!("the shadow's thread does not come: {}", self.context.metrics.render());
    }
}

fn routes(answers: &[Answer]) -> Vec<String> {
    answers.iter().map(|answer| answer.decision.route.to_string()).collect()
}

#[test]
fn a_canary_keeps_its_share_and_its_subjects() {
    let town = town(canary(20.0), &both(How::Plainly));
    let first = town.decide(0..4000);
    let taken = first.iter().filter(|answer| &*answer.decision.route == "canary").count();
    // Five standard deviations of 4,000 throws.
    assert!((673..=927).contains(&taken), "{taken} of 4000 met the canary at 20 percent");
    for answer in &first {
        let (route, version) = if answer.decision.output == Some(0.75) { ("canary", "v2") } else { ("champion", "v1") };
        assert_eq!((&*answer.decision.route, &*answer.decision.model.as_ref().unwrap().version), (route, version));
    }
    // One by one, in another order, after an install: everybody meets the same version.
    town.engine.install(runtime(canary(20.0), &both(How::Plainly)));
    for subject in (0..4000).rev().step_by(97) {
        assert_eq!(
            town.decide(subject..=subject)[0].decision.route,
            first[subject].decision.route,
            "subject {subject}"
        );
    }
    // A larger share keeps those it has.
    town.engine.install(runtime(canary(45.0), &both(How::Plainly)));
    let (before, after) = (routes(&first), routes(&town.decide(0..4000)));
    assert!(before.iter().zip(&after).all(|(before, after)| before == "champion" || after == "canary"));
    assert!(after.iter().filter(|route| *route == "canary").count() > 1600);
}

#[test]
fn arms_share_and_an_arm_that_is_not_loaded_is_the_champions() {
    let arms = vec![arm("arm:b", "v2", 30.0), arm("arm:c", "v3", 30.0)];
    let town = town(RoutePlan { arms, shadow: None }, &both(How::Plainly));
    let counts = routes(&town.decide(0..3000)).into_iter().fold(BTreeMap::new(), |mut counts, route| {
        *counts.entry(route).or_insert(0) += 1;
        counts
    });
    assert_eq!(counts.keys().collect::<Vec<_>>(), ["arm:b", "champion"]);
    assert!((775..=1025).contains(&counts["arm:b"]), "{counts:?}");
}

#[test]
fn a_canary_that_fails_falls_back_and_says_so() {
    let town = town(canary(100.0), &both(How::Refusing));
    let answer = town.decide(1..=1).remove(0);
    assert_eq!((answer.decision.outcome, &*answer.decision.route), (Outcome::Failed, "canary"));
}

#[test]
fn a_shadow_is_recorded_and_changes_nothing() {
    let town = town(shadow(100.0), &both(How::Plainly));
    let answers = town.decide(0..300);
    assert!(answers.iter().all(|answer| answer.decision.output == Some(0.25) && &*answer.decision.route == "champion"));
    town.until(|town| town.counted("scored") == 300);
    let entries = town.ledger.entries();
    let shadows: Vec<_> = entries.iter().filter(|entry| entry.facts.kind == EntryKind::Shadow).collect();
    assert_eq!(shadows.len(), 300);
    for (entry, answer) in shadows.iter().zip(&answers) {
        assert_eq!(&*entry.facts.model.as_ref().unwrap().version, "v2");
        let body = entry.body.as_ref().unwrap();
        assert!(body.subject.is_none() && body.input.is_empty());
        let said: serde_json::Value = serde_json::from_slice(&body.output).unwrap();
        assert_eq!(said["decision"], answer.decision.id.to_string());
        assert_eq!((said["output"].as_f64(), said["answered"].as_f64()), (Some(0.75), Some(0.25)));
    }
}

#[test]
fn a_hanging_shadow_delays_nobody_and_what_it_drops_is_counted() {
    let gate = Arc::new(Gate::default());
    let versions = both(How::Waiting(Arc::clone(&gate)));
    let town = town(shadow(100.0), &versions);
    town.decide(0..1);
    town.until(|_| versions[1].1.calls.load(Ordering::SeqCst) == 1);
    // The shadow hangs in its first row; 2,000 more are answered all the same.
    let answers = town.decide(1..2001);
    assert!(answers.iter().all(|answer| answer.decision.output == Some(0.25)));
    assert_eq!((town.counted("dropped"), town.counted("scored")), (2000 - 1024, 0));
    gate.open();
    town.until(|town| town.counted("scored") == 1025);
    assert_eq!(town.counted("dropped") + town.counted("scored"), 2001);
}

#[test]
fn a_panicking_or_refusing_shadow_is_counted_and_asked_again() {
    for how in [How::Panicking, How::Refusing] {
        let town = town(shadow(100.0), &both(how));
        for subject in 0..3 {
            let answer = town.decide(subject..=subject).remove(0);
            assert_eq!(answer.decision.output, Some(0.25));
            town.until(|town| town.counted("failed") == subject + 1);
        }
    }
}

#[test]
fn a_shadow_of_a_share_sees_only_that_share() {
    let town = town(shadow(10.0), &both(How::Plainly));
    town.decide(0..1000);
    town.until(|town| {
        let idle = town.counted("scored");
        // Five standard deviations below 100 of 1,000.
        idle > 50 && town.ledger.entries().iter().filter(|entry| entry.facts.kind == EntryKind::Shadow).count() == idle
    });
    assert!(town.counted("scored") < 160, "{}", town.counted("scored"));
}
