//! Every way out after admit leaves exactly one entry per item: under a failing ledger, a failing model, deadlines that
//! pass at any moment, callers who hang up, and every kind of input.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, atomic::Ordering},
    time::Duration,
};

use tendon_engine::{
    ask::{Input, Item},
    record_format::Snapshot,
};
use tendon_kernel::{ErrorKind, sockets::ledger::Entry};
use tendon_testkit::{Rng, Sim};

use crate::common::{Bench, Faults, Wishes, ask, bench, json};

/// What became of an item, as its caller saw it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Seen {
    /// A decision of its own.
    Decided,
    /// An earlier one's answer, or a conflict with it.
    Earlier,
    /// The ledger could not be used.
    NoLedger,
    /// The caller hung up or its time was over.
    Nothing,
}

/// Every item carries its number, also the broken ones.
fn item(number: u64, rng: &mut Rng) -> Item {
    let text = match rng.below(9) {
        0 => format!("{{\"n\": {number}, "),
        1 => format!("{{\"n\": {number}, \"stranger\": 1}}"),
        2 => format!("{{\"n\": {number}, \"days\": 500}}"),
        3 => format!("{{\"n\": {number}, \"days\": 950}}"),
        4 => format!("{{\"n\": {number}, \"balance\": 15}}"),
        5 => format!("{{\"n\": {number}, \"balance\": 6000}}"),
        _ => format!("{{\"n\": {number}, \"balance\": {}}}", rng.below(100)),
    };
    let mut item = json(&text);
    item.idempotency_key = rng.chance(1, 3).then(|| format!("k{}", rng.below(6)));
    item
}

fn number_of(entry: &Entry) -> u64 {
    let snapshot = Snapshot::parse(&entry.body.as_ref().unwrap().input).unwrap();
    let Input::Json(raw) = snapshot.raw.into_input() else { panic!("not JSON") };
    let text = std::str::from_utf8(&raw).unwrap();
    let digits = text.split("\"n\": ").nth(1).unwrap().split(|c: char| !c.is_ascii_digit()).next().unwrap();
    digits.parse().unwrap()
}

/// One caller with a few items; tells what it saw.
async fn call(
    bench: Arc<Bench>,
    sim: tendon_kernel::context::Context,
    mut rng: Rng,
    numbers: Vec<u64>,
    seen: Arc<Mutex<BTreeMap<u64, Seen>>>,
) {
    let items = numbers.iter().map(|number| item(*number, &mut rng)).collect();
    let mut question = ask(items);
    if rng.chance(1, 3) {
        question.deadline = Some(sim.deadline_in(Duration::from_micros(200 + rng.below(4_000))));
    }
    let patience = Duration::from_micros(if rng.chance(1, 4) { 1 + rng.below(3_000) } else { 60_000_000 });
    let answers = tokio::select! {
        biased;
        answers = bench.engine.decide(question) => Some(answers),
        () = sim.clock.sleep(patience) => None,
    };
    let mut seen = seen.lock().unwrap();
    match answers {
        None => seen.extend(numbers.iter().map(|number| (*number, Seen::Nothing))),
        Some(Err(error)) => {
            assert_eq!(error.kind(), ErrorKind::Timeout, "{error:?}");
            seen.extend(numbers.iter().map(|number| (*number, Seen::Nothing)));
        }
        Some(Ok(answers)) => {
            assert_eq!(answers.items.len(), numbers.len());
            for (number, answer) in numbers.iter().zip(answers.items) {
                let saw = match answer {
                    Ok(answer) if answer.replayed => Seen::Earlier,
                    Ok(_) => Seen::Decided,
                    Err(error) if error.kind() == ErrorKind::Conflict => Seen::Earlier,
                    Err(error) if error.code() == "ledger_unavailable" => Seen::NoLedger,
                    Err(error) => panic!("{error:?}"),
                };
                seen.insert(*number, saw);
            }
        }
    }
}

fn run(seed: u64) -> u64 {
    let sim = Sim::new(seed);
    let mut rng = Rng::stream(seed, "exits");
    let bench = Arc::new(bench(&sim.context(), seed, Wishes::default()));
    let failing = rng.chance(1, 2);
    let commit_fails = if failing { 20 } else { 0 };
    bench.ledger.set(Faults { commit_fails, read_fails: commit_fails / 4, slow: true, ..Faults::default() });
    let seen = Arc::new(Mutex::new(BTreeMap::new()));
    let mut count = 0;
    for caller in 0..10 {
        let numbers: Vec<u64> = (0..1 + rng.below(4)).map(|n| caller * 10 + n).collect();
        count += numbers.len();
        let task = call(
            Arc::clone(&bench),
            sim.context(),
            Rng::stream(seed, &format!("caller {caller}")),
            numbers,
            Arc::clone(&seen),
        );
        sim.spawn("caller", task);
    }
    for _ in 0..6 {
        sim.run_for(Duration::from_micros(rng.below(2_000)));
        bench.model.down.store(rng.chance(1, 2), Ordering::Relaxed);
    }
    sim.run_for(Duration::from_secs(120));
    assert_eq!(bench.engine.in_flight(), 0, "seed {seed}: room was not given back; tasks: {:?}", sim.tasks());

    let mut entries: BTreeMap<u64, u64> = BTreeMap::new();
    for entry in bench.ledger.decisions() {
        *entries.entry(number_of(&entry)).or_default() += 1;
    }
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), count, "seed {seed}: a caller never heard anything");
    for (number, saw) in &*seen {
        let found = entries.get(number).copied().unwrap_or(0);
        let right = match saw {
            Seen::Decided => found == 1,
            Seen::Earlier | Seen::NoLedger => found == 0,
            // An item without a key, and no ledger that failed: recorded although nobody waited.
            Seen::Nothing if !failing && !has_key(seed, *number) => found == 1,
            Seen::Nothing => found <= 1,
        };
        assert!(right, "seed {seed}: item {number} was seen as {saw:?} and has {found} entries");
    }
    u64::try_from(entries.len()).unwrap()
}

/// Whether the item of that number was asked with a key: the caller's random choices, made once more.
fn has_key(seed: u64, number: u64) -> bool {
    let mut rng = Rng::stream(seed, &format!("caller {}", number / 10));
    (0..=number % 10).map(|n| item(number / 10 * 10 + n, &mut rng)).last().unwrap().idempotency_key.is_some()
}

#[test]
fn every_way_out_leaves_one_entry() {
    let recorded: u64 = (0..400).map(run).sum();
    assert!(recorded > 4_000, "too little happened: {recorded}");
}

#[test]
fn a_run_can_be_repeated() {
    let hash = |seed| {
        let sim = Sim::new(seed);
        let bench = bench(&sim.context(), seed, Wishes::default());
        bench.ledger.set(Faults { commit_fails: 20, read_fails: 5, slow: true, ..Faults::default() });
        let engine = Arc::clone(&bench.engine);
        sim.run(async move {
            for n in 0..20 {
                drop(engine.decide(ask(vec![json(&format!("{{\"n\": {n}}}"))])).await);
            }
        });
        (
            sim.trace_hash(),
            format!("{:?}", bench.ledger.decisions().iter().map(|entry| entry.facts.id).collect::<Vec<_>>()),
        )
    };
    assert_eq!(hash(3), hash(3));
    assert_ne!(hash(3), hash(4));
}
