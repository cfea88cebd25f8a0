//! Histories of a shop with a cache, whose books change, fail and are late while it is asked: every decision, computed or
//! recalled, says what the model says of rows that really stood in the books, at a time that its lookups still allow.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tendon_engine::{record_format::Snapshot, stored};
use tendon_kernel::{
    Timestamp, Value,
    context::Clock,
    decision::{LookupState, Outcome},
    sockets::{
        ledger::Entry,
        model::{Matrix, Model as _},
    },
};
use tendon_testkit::{Rng, system::Faults};

use super::{Shop, about, cached::keeping, usual};
use crate::common::ask;

/// Longest time between a lookup's beginning and the reading of its row.
const DEADLINE_MS: u64 = 300;

/// How long rows and answers may be used, in milliseconds.
#[derive(Clone, Copy)]
struct Rules {
    fresh: [u64; 2],
    stale: [u64; 2],
    ttl: u64,
    longer: u64,
}

/// What stood in the books since when: the customer's credit, or the region's risk; `None`: no row.
type Log = Arc<Mutex<Vec<(Timestamp, Value, Option<f64>)>>>;

#[derive(Default)]
struct Seen {
    decided: u32,
    hits: u32,
    stale: u32,
    old_rows: u32,
}

fn rules(rng: &mut Rng) -> Rules {
    let fresh = [1_000 + rng.below(4_000), 1_000 + rng.below(8_000)];
    let stale = fresh.map(|fresh| fresh + [0, 6_000][usize::from(rng.chance(1, 2))]);
    Rules { fresh, stale, ttl: 1_000 + rng.below(6_000), longer: [0, 5_000][usize::from(rng.chance(3, 4))] }
}

fn found(seed: u64, rules: Rules) -> Shop {
    let settings =
        |at: usize| format!(", deadline: {DEADLINE_MS}ms, fresh: {}ms, stale: {}ms", rules.fresh[at], rules.stale[at]);
    let cache = format!("{{ key: [n], ttl: {}ms, stale: {}ms }}", rules.ttl, rules.longer);
    keeping(seed, &usual(&settings(0), &settings(1)), &cache)
}

/// Changes the books, and writes down what stands there.
async fn changer(books: tendon_testkit::FakeSystem, clock: Arc<dyn Clock>, log: Log, mut rng: Rng) {
    for turn in 0..40u32 {
        clock.sleep(Duration::from_millis(rng.below(1_500))).await;
        let number = f64::from(2_000 + turn * 10);
        let now = clock.now();
        match rng.below(8) {
            0..=3 => {
                let no = Value::Int(rng.below(3) as i64);
                let region = Value::text(["north", "south"][rng.index(2)]);
                let segment = Value::text("admin");
                let fields =
                    [("no", no.clone()), ("segment", segment), ("credit", Value::Float(number)), ("region", region)];
                books.edit("customers", fields);
                log.lock().unwrap().push((now, no, Some(number)));
            }
            4..=5 => {
                let code = Value::text(["north", "south"][rng.index(2)]);
                books.edit("regions", [("code", code.clone()), ("risk", Value::Int(number as i64))]);
                log.lock().unwrap().push((now, code, Some(number)));
            }
            6 => {
                let no = Value::Int(rng.below(3) as i64);
                books.remove("customers", std::slice::from_ref(&no));
                log.lock().unwrap().push((now, no, None));
            }
            _ => books.down_for(Duration::from_millis(rng.below(4_000))),
        }
    }
}

fn history(seed: u64) -> Seen {
    let mut rng = Rng::stream(seed, "lookup histories");
    let rules = rules(&mut rng);
    let shop = found(seed, rules);
    let context = shop.sim.context();
    let faults = Faults {
        slow: 20,
        slowness: Duration::from_secs(2),
        latency: (Duration::ZERO, Duration::from_millis(20)),
        ..Faults::default()
    };
    shop.books.faults(faults);
    let begin = context.clock.now();
    let credits = (0..3).map(|no| (begin, Value::Int(no), Some(no as f64 * 1000.0)));
    let risks = [("north", 2.0), ("south", 40_000.0)].map(|(code, risk)| (begin, Value::text(code), Some(risk)));
    let log: Log = Arc::new(Mutex::new(credits.chain(risks).collect()));
    for name in ["a", "b"] {
        let (engine, clock, mut rng) = (Arc::clone(&shop.engine), Arc::clone(&context.clock), Rng::stream(seed, name));
        shop.sim.spawn("asker", async move {
            for _ in 0..30 {
                let items =
                    (0..1 + rng.below(3)).map(|_| about(rng.below(3) as i64, &rng.below(3).to_string())).collect();
                engine.decide(ask(items)).await.unwrap();
                clock.sleep(Duration::from_millis(rng.below(1_500))).await;
            }
        });
    }
    shop.sim.spawn("changer", changer(shop.books.clone(), Arc::clone(&context.clock), Arc::clone(&log), rng));
    shop.sim.run_for(Duration::from_secs(120));
    assert!(shop.sim.tasks().is_empty(), "seed {seed}: still running: {:?}", shop.sim.tasks());
    let mut seen = Seen::default();
    let entries = shop.ledger.decisions();
    for entry in &entries {
        check(&shop, rules, &log.lock().unwrap(), entry, &mut seen, seed);
    }
    let computed = u64::from(seen.decided - seen.hits);
    assert!(shop.books.calls() - 1 <= 2 * computed, "seed {seed}: a hit asked a system");
    shop.replays();
    seen
}

/// Whether a row of this key held this value (or was not there) at some time of the wait.
fn stood(log: &[(Timestamp, Value, Option<f64>)], key: &Value, value: Option<f64>, read: Timestamp) -> bool {
    let own: Vec<_> = log.iter().filter(|(_, other, _)| other == key).collect();
    let until = Timestamp(read.0 + DEADLINE_MS as i64 * 1000);
    let ends = own.iter().skip(1).map(|(time, ..)| *time).chain([Timestamp(i64::MAX)]);
    own.iter().zip(ends).any(|((from, _, stood), end)| *stood == value && *from <= until && end >= read)
}

fn check(
    shop: &Shop,
    rules: Rules,
    log: &[(Timestamp, Value, Option<f64>)],
    entry: &Entry,
    seen: &mut Seen,
    seed: u64,
) {
    let decision = stored::decision(entry).unwrap();
    let snapshot = Snapshot::parse(&entry.body.as_ref().unwrap().input).unwrap();
    let at = format!("seed {seed}: {decision:?}");
    assert_eq!(decision.outcome, Outcome::Ok, "{at}");
    seen.decided += 1;
    let hit = decision.recalled.as_ref();
    seen.hits += u32::from(hit.is_some());
    seen.stale += u32::from(hit.is_some_and(|hit| hit.stale));
    let input: serde_json::Value = match &snapshot.raw {
        tendon_engine::record_format::Raw::Json(text) => serde_json::from_slice(text).unwrap(),
        tendon_engine::record_format::Raw::Values(_) => panic!("nobody asks by values"),
    };
    let [customer, region] = &snapshot.lookups[..] else { panic!("{at}: two lookups") };
    let field = |found: &tendon_engine::lookup::LookedUp, name: &str| found.row.as_ref().map(|row| row.get(name));
    let number = |value: Option<Value>| value.and_then(|value| value.number());
    let (credit, risk) = (number(field(customer, "credit")), number(field(region, "risk")));
    let keys = [Some(Value::Int(input["no"].as_i64().unwrap())), field(customer, "region")];
    for (which, (found, value)) in [(customer, credit), (region, risk)].into_iter().enumerate() {
        let age = u64::try_from(decision.at.0 - found.at.0).unwrap_or(0) / 1000;
        let longest = match found.state {
            LookupState::Fresh | LookupState::Missing => rules.fresh[which],
            LookupState::Stale => rules.stale[which],
            LookupState::Failed => u64::MAX,
        };
        assert!(age <= longest, "{at}: the row of {} is {age} ms old", found.name);
        assert!(found.state != LookupState::Failed || hit.is_none(), "{at}: a failure was kept");
        let allowed = hit.is_none() || found.state == LookupState::Fresh || found.state == LookupState::Missing;
        assert!(
            allowed || hit.is_some_and(|hit| hit.stale),
            "{at}: a row beyond its time, and the answer is not stale"
        );
        seen.old_rows += u32::from(found.state == LookupState::Stale);
        match (found.state, &keys[which]) {
            (LookupState::Failed, _) | (_, None) => {}
            (_, Some(key)) => assert!(stood(log, key, value, found.at), "{at}: {} never held {value:?}", found.name),
        }
    }
    if let Some(hit) = hit {
        let limit = rules.ttl + if hit.stale { rules.longer } else { 0 };
        assert!(hit.age_ms < limit, "{at}: the answer is too old");
    }
    let segment = field(customer, "segment").map_or(f64::NAN, |text| match text.as_text() {
        Some("admin") => 0.0,
        Some("student") => 1.0,
        _ => f64::NAN,
    });
    let row = [credit.unwrap_or(f64::NAN), segment, risk.unwrap_or(f64::NAN), input["n"].as_f64().unwrap()];
    let says = shop.model.predict(&Matrix { values: row.to_vec(), columns: 4 }).unwrap()[0];
    assert_eq!(decision.output.map(f64::to_bits), Some(says.to_bits()), "{at}");
}

#[test]
fn a_cache_makes_no_row_older_than_its_lookup_does() {
    let seeds: u64 = std::env::var("TENDON_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(150);
    let mut all = Seen::default();
    for seed in 0..seeds {
        let seen = history(seed);
        all.decided += seen.decided;
        all.hits += seen.hits;
        all.stale += seen.stale;
        all.old_rows += seen.old_rows;
    }
    let Seen { decided, hits, stale, old_rows } = all;
    println!("{decided} decided, {hits} recalled, {stale} of them stale; {old_rows} rows beyond their time");
    assert!(hits * 5 > decided && stale * 30 > decided && old_rows * 30 > decided, "too tame");
}
