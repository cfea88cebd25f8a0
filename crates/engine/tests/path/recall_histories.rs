//! Histories: questions, promotions, rollbacks, canaries, changed plans, erasures and waits in every order that the scheduler
//! finds. Each answer, recalled or not, is what the version and the plan that it names say of that input; no answer is older
//! than its time; nothing comes from a subject after its erasure.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use tendon_engine::{Engine, Parts, Runtime, Slot, ask::Answers, replay::replay_recalled, stored};
use tendon_kernel::{
    Id, Result,
    sockets::{
        ledger::ModelRef,
        model::{Contributions, Matrix, Model, Signature},
    },
};
use tendon_plan::route::{ArmPlan, RoutePlan};
use tendon_platform::MemoryCache;
use tendon_testkit::{Rng, Sim};

use crate::{
    common::{FakeLedger, Faults, Wishes, ask, erasure, json, plan, signature},
    recall::cache,
};

/// A version: what it says depends on the number, the balance and itself.
struct Version(Signature, f64);

fn says(version: f64, n: f64, balance: f64) -> f64 {
    ((n * 31.0 + balance * 7.0) * version).rem_euclid(97.0) / 97.0
}

impl Model for Version {
    fn signature(&self) -> &Signature {
        &self.0
    }

    fn predict(&self, rows: &Matrix) -> Result<Vec<f64>> {
        Ok((0..rows.rows()).map(|at| says(self.1, rows.row(at)[3], rows.row(at)[0])).collect())
    }

    fn margin(&self, rows: &Matrix) -> Result<Vec<f64>> {
        self.predict(rows)
    }

    fn explain(&self, _: &Matrix) -> Result<Vec<Vec<Contributions>>> {
        Ok(Vec::new())
    }
}

const STALE: Duration = Duration::from_secs(20);

/// How long answers are good in this history: in every second one so short that most of them are found stale.
fn ttl(seed: u64) -> Duration {
    Duration::from_secs([4, 20][usize::from(seed % 2 == 1)])
}

fn runtime(seed: u64, rng: &mut Rng) -> Runtime {
    let slot = |number: u32| Slot {
        reference: ModelRef {
            name: "score".into(),
            version: number.to_string().into(),
            digest: number.to_string().into(),
        },
        model: Arc::new(Version(signature(), f64::from(number))),
    };
    let models = (1..4).map(|number| (("score".to_owned(), number.to_string()), slot(number))).collect();
    let champion = (1 + rng.below(3)).to_string();
    let arm = ArmPlan { route: "canary".into(), alias: (1 + rng.below(3)).to_string().into(), percent: 50.0 };
    let arms = if rng.chance(1, 2) { vec![arm] } else { Vec::new() };
    let route = RoutePlan { arms, shadow: None };
    let digest = ["11", "22"][rng.index(2)];
    let wishes = Wishes { route, digest, cache: Some(cache(ttl(seed), STALE)), ..Wishes::default() };
    let aliases = BTreeMap::from([("score".to_owned(), BTreeMap::from([("champion".to_owned(), champion)]))]);
    Runtime::new(plan(wishes), models, &aliases).unwrap()
}

struct Town {
    engine: Arc<Engine>,
    ledger: Arc<FakeLedger>,
    /// Decisions that were erased by an erasure that has returned.
    erased: Mutex<BTreeSet<Id>>,
    seen: Mutex<(u32, u32, u32)>,
}

fn check(
    town: &Town,
    seed: u64,
    asked: &[(u64, u64)],
    answers: &Answers,
    erased_before: &BTreeSet<Id>,
    plans: [String; 2],
) {
    for ((n, balance), answer) in asked.iter().zip(&answers.items) {
        let decision = &answer.as_ref().unwrap().decision;
        let version: f64 = decision.model.as_ref().unwrap().version.parse().unwrap();
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        let expected = says(version, *n as f64, *balance as f64);
        assert_eq!(decision.output, Some(expected), "seed {seed}: {decision:?}");
        let mut seen = town.seen.lock().unwrap();
        seen.0 += 1;
        if let Some(recalled) = &decision.recalled {
            seen.1 += 1;
            seen.2 += u32::from(recalled.stale);
            assert!(!erased_before.contains(&recalled.from), "seed {seed}: recalled from an erased decision");
            assert!(Duration::from_millis(recalled.age_ms) < ttl(seed) + STALE, "seed {seed}: {recalled:?}");
        }
        let entry = town.ledger.decisions().into_iter().find(|entry| entry.facts.id == decision.id).unwrap();
        if plans[0] == plans[1] {
            assert_eq!(&*entry.facts.plan, plans[0], "seed {seed}: the answer of another plan");
        }
    }
}

async fn asker(town: Arc<Town>, seed: u64, mut rng: Rng, clock: Arc<dyn tendon_kernel::context::Clock>) {
    for _ in 0..12 {
        let asked: Vec<(u64, u64)> = (0..1 + rng.below(4)).map(|_| (rng.below(4), rng.below(3))).collect();
        let items = asked.iter().map(|(n, balance)| json(&format!("{{\"n\": {n}, \"balance\": {balance}}}"))).collect();
        let erased = town.erased.lock().unwrap().clone();
        let plan = || town.engine.runtime().plan().digest.to_string();
        let before = plan();
        let answers = town.engine.decide(ask(items)).await.unwrap();
        check(&town, seed, &asked, &answers, &erased, [before, plan()]);
        clock.sleep(Duration::from_millis(rng.below(8_000))).await;
    }
}

fn history(seed: u64) -> (u32, u32, u32) {
    let sim = Sim::new(seed);
    let context = sim.context();
    let mut rng = Rng::stream(seed, "recall histories");
    let ledger = FakeLedger::new(&context, seed);
    ledger.set(Faults { slow: true, ..Faults::default() });
    let runtime_now = runtime(seed, &mut rng);
    let engine =
        Engine::new(Parts { context: context.clone(), ledger: ledger.clone(), runtime: runtime_now, deliveries: None });
    // Sometimes so small that entries keep leaving.
    let bytes = [1 << 20, 2_000][rng.index(2)];
    engine.keep_answers_in(Arc::new(MemoryCache::new(&context, bytes)));
    let town = Arc::new(Town { engine, ledger, erased: Mutex::default(), seen: Mutex::default() });
    for number in 0..3 {
        let clock = Arc::clone(&context.clock);
        sim.spawn("asker", asker(Arc::clone(&town), seed, Rng::stream(seed, ["a", "b", "c"][number]), clock));
    }
    let (changer, clock) = (Arc::clone(&town), Arc::clone(&context.clock));
    let ids = context.clone();
    sim.spawn("changer", async move {
        for _ in 0..14 {
            clock.sleep(Duration::from_millis(rng.below(7_000))).await;
            if rng.chance(1, 2) {
                changer.engine.install(runtime(seed, &mut rng));
                continue;
            }
            let subject = rng.below(4).to_string();
            let facts = erasure(&ids);
            changer.engine.erase(&subject, facts).await.unwrap();
            let gone = changer.ledger.decisions().into_iter().filter(|entry| entry.body.is_none());
            changer.erased.lock().unwrap().extend(gone.map(|entry| entry.facts.id));
        }
    });
    sim.run_for(Duration::from_secs(200));
    assert!(sim.tasks().is_empty(), "seed {seed}: still running: {:?}", sim.tasks());
    replays(&town, seed);
    *town.seen.lock().unwrap()
}

/// Every recalled decision that can still be opened names one that can be opened too, and replays against it.
fn replays(town: &Town, seed: u64) {
    let decisions = town.ledger.decisions();
    let any = runtime(seed, &mut Rng::stream(seed, "replays"));
    for entry in decisions.iter().filter(|entry| entry.body.is_some()) {
        let Some(recalled) = stored::decision(entry).unwrap().recalled else { continue };
        let source = decisions.iter().find(|source| source.facts.id == recalled.from);
        let source = source.unwrap_or_else(|| panic!("seed {seed}: no source {}", recalled.from));
        assert!(source.body.is_some(), "seed {seed}: a recalled answer outlived its erased source");
        assert!(source.seq < entry.seq, "seed {seed}: recalled before it was recorded");
        assert_eq!(source.facts.plan, entry.facts.plan, "seed {seed}");
        let report = replay_recalled(entry, source, &any).unwrap();
        assert!(report.same, "seed {seed}: {report:?}");
    }
}

#[test]
fn a_cache_never_changes_an_answer() {
    let seeds: u64 = std::env::var("TENDON_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(150);
    let mut seen = (0, 0, 0);
    for seed in 0..seeds {
        let (asked, recalled, stale) = history(seed);
        seen = (seen.0 + asked, seen.1 + recalled, seen.2 + stale);
    }
    println!("{} asked, {} recalled, {} of them stale", seen.0, seen.1, seen.2);
    assert!(seen.1 * 5 > seen.0 && seen.2 * 30 > seen.0, "hardly anything was recalled: {seen:?}");
}
