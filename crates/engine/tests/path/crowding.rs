//! More is asked than the path can do: what is answered in time stays what it can do at best, and live questions never give
//! way to a backfill. The path's bottleneck is a ledger that serves its entries one after the other.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tendon_engine::{Engine, ask::Priority};
use tendon_kernel::{ErrorKind, context::Context, decision::Door};
use tendon_testkit::{Rng, Sim, sweep};

use crate::common::{Faults, Wishes, ask, bench, json};

/// Entries that the ledger serves in a second.
const CAPACITY: f64 = 1_000.0;
/// Longest time after which an answer is of any use.
const USEFUL: Duration = Duration::from_millis(400);

#[derive(Default)]
struct Counts {
    asked: AtomicU64,
    good: AtomicU64,
    shed: AtomicU64,
}

/// Callers who come at random, so many a second, for so long, and ask one question each.
async fn callers(
    engine: Arc<Engine>,
    context: Context,
    per_second: f64,
    lasts: Duration,
    counts: Arc<Counts>,
    seed: u64,
) {
    let mut rng = Rng::stream(seed, "callers");
    let end = context.clock.monotonic() + lasts;
    while context.clock.monotonic() < end {
        // Exponential gaps.
        let share = (rng.below(1 << 30) + 1) as f64 / f64::from(1 << 30);
        context.clock.sleep(Duration::from_secs_f64(-share.ln() / per_second)).await;
        counts.asked.fetch_add(1, Ordering::Relaxed);
        let (engine, counts, context) = (engine.clone(), counts.clone(), context.clone());
        let spawn = context.spawn.clone();
        spawn.spawn(
            "caller",
            Box::pin(async move {
                let mut question = ask(vec![json(r#"{"n": 1}"#)]);
                question.deadline = Some(context.deadline_in(USEFUL));
                match engine.decide(question).await {
                    Ok(answers) if answers.items[0].as_ref().is_ok_and(|one| one.decision.error.is_none()) => {
                        counts.good.fetch_add(1, Ordering::Relaxed);
                    }
                    Ok(_) => {}
                    Err(error) if error.kind() == ErrorKind::Overloaded => {
                        counts.shed.fetch_add(1, Ordering::Relaxed);
                    }
                    Err(error) => assert_eq!(error.kind(), ErrorKind::Timeout, "{error}"),
                }
            }),
        );
    }
}

fn slow_engine(sim: &Sim, seed: u64) -> Arc<Engine> {
    let bench = bench(&sim.context(), seed, Wishes::default());
    bench.ledger.set(Faults { service: Duration::from_secs_f64(1.0 / CAPACITY), ..Faults::default() });
    bench.engine
}

/// What is answered in time within the last ten of twenty seconds.
fn goodput(seed: u64, load: f64) -> u64 {
    let sim = Sim::new(seed);
    let engine = slow_engine(&sim, seed);
    let (first, last) = (Arc::new(Counts::default()), Arc::new(Counts::default()));
    let (context, counts) = (sim.context(), (first, last.clone()));
    let ten = Duration::from_secs(10);
    sim.run(async move {
        callers(engine.clone(), context.clone(), load * CAPACITY, ten, counts.0, seed).await;
        callers(engine, context, load * CAPACITY, ten, counts.1, seed + 1).await;
    })
    .done();
    sim.run_for(Duration::from_secs(2));
    last.good.load(Ordering::Relaxed)
}

#[test]
fn under_twice_the_load_the_path_answers_as_much_in_time_as_at_its_best() {
    sweep(3, |seed| {
        let best = goodput(seed, 0.9).max(goodput(seed, 1.0));
        let crowded = goodput(seed, 2.0);
        println!("seed {seed}: {best} answers in time at the best, {crowded} under twice the load");
        assert!(crowded * 10 >= best * 9, "seed {seed}: {crowded} of {best}");
    });
}

#[test]
fn live_questions_never_give_way_to_a_backfill_which_goes_on() {
    sweep(3, |seed| {
        let sim = Sim::new(seed);
        let engine = slow_engine(&sim, seed);
        let (live, done, refused) =
            (Arc::new(Counts::default()), Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        for priority in [Priority::Backfill, Priority::Backfill, Priority::Precompute] {
            let (engine, context, done, refused) = (engine.clone(), sim.context(), done.clone(), refused.clone());
            sim.spawn("greedy", async move {
                loop {
                    let mut question = ask((0..100).map(|n| json(&format!(r#"{{"n": {n}}}"#))).collect());
                    (question.priority, question.door) = (priority, Door::Batch);
                    question.deadline = Some(context.deadline_in(Duration::from_secs(3600)));
                    match engine.decide(question).await {
                        Ok(_) => drop(done.fetch_add(100, Ordering::Relaxed)),
                        Err(error) => {
                            assert_eq!(error.kind(), ErrorKind::Overloaded);
                            refused.fetch_add(1, Ordering::Relaxed);
                            context.clock.sleep(Duration::from_millis(5)).await;
                        }
                    }
                }
            });
        }
        let (context, counts) = (sim.context(), live.clone());
        sim.run(callers(engine, context, 0.5 * CAPACITY, Duration::from_secs(20), counts, seed)).done();
        let (asked, good, shed) = (&live.asked, &live.good, &live.shed);
        let number = |count: &AtomicU64| count.load(Ordering::Relaxed);
        println!("seed {seed}: {} live, {} in time, {} backfilled", number(asked), number(good), number(&done));
        assert_eq!(number(shed), 0, "seed {seed}: live questions were shed");
        assert!(number(good) * 100 >= number(asked) * 98, "seed {seed}: {} of {}", number(good), number(asked));
        assert!(number(&done) > 2_000 && number(&refused) > 0, "seed {seed}: the backfill takes what is left");
    });
}

/// Callers who ask the next question with the answer to the last one, whatever that was.
fn restless(sim: &Sim, engine: &Arc<Engine>, callers: usize, good: &Arc<AtomicU64>) {
    for _ in 0..callers {
        let (engine, context, good) = (engine.clone(), sim.context(), good.clone());
        sim.spawn("restless", async move {
            loop {
                match engine.decide(ask(vec![json(r#"{"n": 1}"#)])).await {
                    Ok(_) => drop(good.fetch_add(1, Ordering::Relaxed)),
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::Overloaded);
                        context.clock.sleep(Duration::from_micros(100)).await;
                    }
                }
            }
        });
    }
}

/// A question about rows that changed in a watched system.
fn change(rows: usize) -> tendon_engine::ask::Ask {
    let mut question = ask((0..rows).map(|n| json(&format!(r#"{{"n": {n}}}"#))).collect());
    question.door = Door::Events;
    question
}

#[test]
fn changes_are_decided_while_callers_fill_the_room_without_a_pause() {
    sweep(3, |seed| {
        let sim = Sim::new(seed);
        let bench = bench(&sim.context(), seed, Wishes { in_flight: 4, ..Wishes::default() });
        bench.ledger.set(Faults { service: Duration::from_secs_f64(1.0 / CAPACITY), ..Faults::default() });
        let (engine, good) = (bench.engine, Arc::new(AtomicU64::new(0)));
        restless(&sim, &engine, 8, &good);
        sim.run_for(Duration::from_secs(1));
        let watches = [1, 3, 50].map(|rows| {
            let engine = engine.clone();
            async move {
                for _ in 0..20 {
                    let answers = engine.decide(change(rows)).await.unwrap();
                    assert!(answers.items.iter().all(Result::is_ok));
                }
            }
        });
        let before = good.load(Ordering::Relaxed);
        sim.run(futures_util::future::join_all(watches)).done();
        let meanwhile = good.load(Ordering::Relaxed) - before;
        println!("seed {seed}: {meanwhile} callers answered beside 60 batches of changes");
        assert!(meanwhile > 120, "seed {seed}: {meanwhile}");
    });
}

#[test]
fn who_leaves_the_line_keeps_no_room() {
    let sim = Sim::new(1);
    let bench = bench(&sim.context(), 1, Wishes { in_flight: 2, ..Wishes::default() });
    bench.ledger.set(Faults { service: Duration::from_secs(1), ..Faults::default() });
    let (engine, context) = (bench.engine, sim.context());
    sim.run(async move {
        let full = [(); 2].map(|()| {
            let engine = engine.clone();
            async move { engine.decide(ask(vec![json(r#"{"n": 1}"#)])).await.unwrap() }
        });
        let left = async {
            let mut question = change(1);
            question.deadline = Some(context.deadline_in(Duration::from_millis(100)));
            assert_eq!(engine.decide(question).await.unwrap_err().kind(), ErrorKind::Timeout);
        };
        futures_util::future::join(futures_util::future::join_all(full), left).await;
        let again = [(); 2].map(|()| engine.decide(ask(vec![json(r#"{"n": 1}"#)])));
        assert!(futures_util::future::join_all(again).await.iter().all(Result::is_ok), "there is room for both");
    })
    .done();
}

#[test]
fn without_callers_changes_take_the_whole_room() {
    let sim = Sim::new(1);
    let bench = bench(&sim.context(), 1, Wishes { in_flight: 4, ..Wishes::default() });
    bench.ledger.set(Faults { service: Duration::from_millis(1), ..Faults::default() });
    let (engine, context) = (bench.engine, sim.context());
    let most = sim.run(async move {
        let both = [(); 2].map(|()| engine.decide(change(3)));
        let mut both = std::pin::pin!(futures_util::future::join_all(both));
        let mut most = 0;
        loop {
            tokio::select! {
                biased;
                answers = &mut both => break answers.iter().all(Result::is_ok).then_some(most),
                () = context.clock.sleep(Duration::from_micros(100)) => most = most.max(engine.in_flight()),
            }
        }
    });
    assert_eq!(most.done(), Some(6), "two batches of three at once");
}
