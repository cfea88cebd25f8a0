//! Each promise by an example.

use std::{sync::Arc, time::Duration};

use tendon_engine::{ask::Ask, stored::took};
use tendon_kernel::{
    Value,
    decision::{LookupState, Outcome, Rung},
};
use tendon_testkit::system::Faults;

use super::{about, notes, shop, usual};
use crate::common::{ask, erasure};

use LookupState::{Failed, Fresh, Missing, Stale};

#[test]
fn a_batch_asks_each_system_once_for_its_distinct_keys() {
    let shop = shop(1, &usual("", ""));
    let items = (0..60).map(|n| about(n, &(n % 5).to_string())).collect();
    let answers = shop.decide(ask(items));
    // One read of customers and one of regions.
    assert_eq!(shop.books.calls() - 1, 2, "the catalog was the first call");
    assert_eq!(shop.counted("customer", "asked"), "5", "each key once");
    for (n, answer) in answers.iter().enumerate() {
        let answer = answer.as_ref().unwrap();
        assert_eq!(notes(answer), [("customer", Fresh, None), ("region", Fresh, None)]);
        assert_eq!(answer.decision.outcome, Outcome::Ok);
        let no = n % 5;
        let (job, risk) = ([0.0, 1.0, 0.5][no % 3], [2.0, 40_000.0][no % 2]);
        let expected = 1.0 / (1.0 + (-(no as f64 * 1000.0 / 1e4 + job - risk / 1e5)).exp());
        assert!((answer.decision.output.unwrap() - expected).abs() < 1e-12, "customer {no}");
    }
    shop.replays();
}

#[test]
fn lookups_that_need_nothing_of_each_other_are_asked_at_the_same_time() {
    let lookups = usual("", "").replace("customer.region", "\"'south'\"");
    let shop = shop(1, &lookups);
    shop.books.faults(Faults { latency: (Duration::from_millis(50), Duration::from_millis(50)), ..Faults::default() });
    let before = shop.sim.now();
    shop.one("3");
    assert_eq!(shop.books.most_at_once(), 2);
    assert!(shop.sim.now() - before < Duration::from_millis(100), "one wait, not two");
}

#[test]
fn the_record_says_how_long_each_stage_took() {
    let shop = shop(1, &usual("", ""));
    shop.books.faults(Faults { latency: (Duration::from_millis(50), Duration::from_millis(50)), ..Faults::default() });
    let engine = Arc::clone(&shop.engine);
    let answers =
        shop.sim.run(async move { engine.decide(ask(vec![about(1, "3"), about(2, "4")])).await }).done().unwrap();
    let entries = shop.ledger.decisions();
    assert_eq!((answers.items.len(), entries.len()), (2, 2));
    for entry in &entries {
        let took = took(entry).unwrap().unwrap();
        assert_eq!(took.of, 2, "both went the way together");
        // The customer first, then its region. Nothing else waits in a simulation but the ledger, which comes after.
        let waited = took.stages().filter(|(_, spent)| *spent >= Duration::from_millis(1));
        assert_eq!(waited.map(|(stage, spent)| (stage, spent.as_millis())).collect::<Vec<_>>(), [("enrich", 100)]);
        let kept = |stage: &str| took.stages().find(|(name, _)| *name == stage).map(|(_, spent)| spent);
        for (stage, spent) in answers.timings.iter().filter(|(stage, _)| !["record", "deliver"].contains(stage)) {
            assert_eq!(kept(stage), Some(*spent), "{stage}: the caller was told the same");
        }
    }
}

#[test]
fn a_system_that_is_late_costs_the_deadline_and_no_more() {
    let shop = shop(1, &usual(", deadline: 200ms", ", deadline: 200ms"));
    shop.books.faults(Faults { slow: 1000, slowness: Duration::from_secs(60), ..Faults::default() });
    let before = shop.sim.now();
    let answer = shop.one("3");
    assert_eq!(notes(&answer), [("customer", Failed, Some("lookup_late")), ("region", Missing, Some("no_key"))]);
    assert_eq!(answer.decision.outcome, Outcome::Ok, "the fields are null, the model answers");
    assert!(shop.sim.now() - before < Duration::from_millis(250));
    // The request's own deadline is sooner: nothing is waited for beyond it.
    let deadline = Some(shop.sim.context().deadline_in(Duration::from_millis(50)));
    let before = shop.sim.now();
    let engine = shop.engine.clone();
    let late = Ask { deadline, ..ask(vec![about(1, "3")]) };
    let answered = shop.sim.run(async move { engine.decide(late).await }).done();
    // At the very moment of the deadline either may come first: the recorded failure, or that nobody waits any more.
    match answered {
        Ok(mut answers) => {
            let decision = answers.items.remove(0).unwrap().decision;
            assert_eq!(decision.error.as_ref().unwrap().code, "deadline_exceeded");
        }
        Err(error) => assert_eq!(error.code(), "deadline_exceeded"),
    }
    shop.wait(Duration::from_millis(100));
    assert!(shop.sim.now() - before < Duration::from_millis(200));
    let last = shop.ledger.decisions().pop().unwrap();
    assert_eq!(&*last.facts.reason, "failed", "what nobody waits for is not computed, and recorded");
}

#[test]
fn a_fresh_row_is_used_again_and_a_stale_one_only_without_the_system() {
    let shop = shop(1, &usual(", fresh: 10s, stale: 60s", ", fresh: 10s"));
    let first = shop.one("3");
    let calls = shop.books.calls();
    shop.books.edit("customers", [("no", Value::Int(3)), ("credit", Value::Float(9000.0))]);
    let again = shop.one("3");
    assert_eq!(shop.books.calls(), calls, "both rows are fresh");
    assert_eq!(again.decision.output, first.decision.output);
    assert_eq!(notes(&again), [("customer", Fresh, None), ("region", Fresh, None)]);
    assert!(again.decision.lookups[0].age_ms.is_some(), "it says that the row was read before");
    shop.wait(Duration::from_secs(11));
    shop.books.down_for(Duration::from_secs(3600));
    let without = shop.one("3");
    assert_eq!(notes(&without), [("customer", Stale, Some("system_down")), ("region", Failed, Some("system_down"))]);
    assert!(without.decision.lookups[0].age_ms.unwrap() >= 11_000);
    assert_eq!(shop.recorded()["customer"].get("credit"), Value::Float(3000.0), "the row of then");
    // Another key was never read.
    assert_eq!(notes(&shop.one("4"))[0].1, Failed);
    shop.wait(Duration::from_secs(60));
    assert_eq!(notes(&shop.one("3"))[0].1, Failed, "nothing is used beyond its time");
    shop.books.up();
    shop.wait(Duration::from_secs(60));
    let after = shop.one("3");
    assert_eq!(notes(&after)[0], ("customer", Fresh, None));
    assert_eq!(shop.recorded()["customer"].get("credit"), Value::Float(9000.0));
    shop.replays();
}

#[test]
fn that_there_is_no_row_is_believed_as_long_as_a_row_is_fresh() {
    let shop = shop(1, &usual(", fresh: 10s, stale: 60s", ""));
    assert_eq!(notes(&shop.one("77")), [("customer", Missing, None), ("region", Missing, Some("no_key"))]);
    let calls = shop.books.calls();
    assert_eq!(notes(&shop.one("77"))[0], ("customer", Missing, None));
    assert_eq!(shop.books.calls(), calls);
    shop.wait(Duration::from_secs(11));
    shop.books.down_for(Duration::from_secs(3600));
    assert_eq!(notes(&shop.one("77"))[0], ("customer", Failed, Some("system_down")), "not once it is stale");
    shop.replays();
}

#[test]
fn after_an_erasure_nothing_of_before_is_used() {
    let shop = shop(1, &usual(", fresh: 1h", ", fresh: 1h"));
    shop.one("3");
    // The entry may be durable although the end of the erasure failed: what is in memory goes all the same.
    for erase_fails in [false, true] {
        let calls = shop.books.calls();
        shop.one("3");
        assert_eq!(shop.books.calls(), calls);
        shop.ledger.set(crate::common::Faults { erase_fails, ..crate::common::Faults::default() });
        let (engine, facts) = (shop.engine.clone(), erasure(&shop.sim.context()));
        let erased = shop.sim.run(async move { engine.erase("1", facts).await }).done();
        assert_eq!(erased.is_err(), erase_fails);
        shop.one("3");
        assert_eq!(shop.books.calls(), calls + 2, "both rows are read again");
    }
}

#[test]
fn under_another_plan_nothing_of_before_is_used() {
    let text = usual(", fresh: 1h", ", fresh: 1h");
    let shop = shop(1, &text);
    shop.one("3");
    // Models or aliases may have changed: the plan is the same, and so are the systems.
    shop.install(&text);
    let calls = shop.books.calls();
    shop.one("3");
    assert_eq!(shop.books.calls(), calls, "both rows are still known");
    shop.install(&text.replace("0.7", "0.8"));
    let calls = shop.books.calls();
    shop.one("3");
    assert_eq!(shop.books.calls(), calls + 2, "both rows are read again");
}

#[test]
fn defaults_fill_what_is_missing_and_each_use_is_a_repair() {
    let shop = shop(1, &usual(", defaults: { credit: 1234.5, segment: student }", ", defaults: { risk: 7 }"));
    let repairs = |no: &str| {
        let answer = shop.one(no);
        assert_eq!(answer.decision.outcome, Outcome::Ok);
        answer.decision.repaired.iter().map(|repair| repair.field.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(repairs("3"), Vec::<String>::new());
    assert_eq!(repairs("7"), ["customer.credit"], "a null of a row that is there");
    assert_eq!(repairs("8"), ["region.risk"]);
    assert_eq!(repairs("null"), ["customer.segment", "customer.credit", "region.risk"]);
    let entry = shop.ledger.decisions().pop().unwrap();
    let features = tendon_engine::record_format::Snapshot::parse(&entry.body.unwrap().input).unwrap().features;
    assert_eq!(features, [1234.5, 1.0, 7.0, 1.0]);
    shop.replays();
}

#[test]
fn without_a_row_the_plan_decides() {
    for (policy, outcome, code) in [
        ("reject", Outcome::Rejected, Some("lookup_missing")),
        ("quarantine", Outcome::Quarantined, Some("lookup_missing")),
        ("fallback", Outcome::Degraded, None),
        ("continue", Outcome::Ok, None),
    ] {
        let shop = shop(1, &usual(&format!(", missing: {policy}"), ""));
        let answer = shop.one("77");
        assert_eq!(answer.decision.outcome, outcome, "{policy}");
        assert_eq!(answer.decision.error.as_ref().map(|error| error.code.as_str()), code, "{policy}");
        assert_eq!(notes(&answer)[0], ("customer", Missing, None));
        let asked = if policy == "continue" { 1 } else { 0 };
        assert_eq!(shop.scored(), asked, "{policy}: the model is asked only where it has what it needs");
        // Others of the same batch are not touched.
        let mixed = shop.decide(ask(vec![about(1, "3"), about(2, "77"), about(3, "4")]));
        let outcomes: Vec<_> = mixed.iter().map(|answer| answer.as_ref().unwrap().decision.outcome).collect();
        assert_eq!(outcomes, [Outcome::Ok, outcome, Outcome::Ok], "{policy}");
        shop.replays();
    }
}

#[test]
fn a_failing_system_has_a_policy_of_its_own() {
    for (policy, outcome) in
        [("reject", Outcome::Failed), ("quarantine", Outcome::Quarantined), ("fallback", Outcome::Degraded)]
    {
        let shop = shop(1, &usual(&format!(", missing: continue, failed: {policy}"), ""));
        shop.books.down_for(Duration::from_secs(3600));
        let answer = shop.one("3");
        assert_eq!(answer.decision.outcome, outcome, "{policy}");
        let retryable = answer.decision.error.as_ref().map(|error| error.retryable);
        assert_eq!(retryable, (policy != "fallback").then_some(true), "{policy}: the input is not at fault");
        shop.replays();
    }
}

#[test]
fn the_ladder_sees_what_was_found() {
    let lookups = usual("", ", missing: fallback").replace("5000.0", "7500.0");
    let shop = shop(1, &lookups);
    // Customer 8 has 8,000 and lives in a region that is not there.
    let answer = shop.one("8");
    assert_eq!((answer.decision.outcome, answer.decision.degraded), (Outcome::Degraded, Some(Rung::Rules)));
    assert_eq!(answer.decision.output, Some(0.5));
    assert_eq!(shop.scored(), 0);
    shop.replays();
}

#[test]
fn quality_rules_may_name_what_was_looked_up() {
    let rules = "  quality: { reject: [ { when: 'region.risk != null && region.risk > 100', reason: too far } ] }\n";
    let shop = shop(1, &format!("{}{rules}", usual("", "")));
    assert_eq!(shop.one("2").decision.outcome, Outcome::Ok);
    let answer = shop.one("3");
    assert_eq!(answer.decision.outcome, Outcome::Rejected);
    assert_eq!(answer.decision.error.as_ref().unwrap().message, "too far");
    shop.replays();
}

#[test]
fn what_is_asked_and_found_is_counted() {
    let shop = shop(1, &usual("", ""));
    let metrics = shop.sim.context().metrics.render();
    assert!(metrics.contains("tendon_lookup_rows_total"), "{metrics}");
    shop.one("3");
    shop.one("77");
    let line = |result: &str| shop.counted("customer", result);
    assert_eq!(line("asked"), "2");
    assert_eq!(line("missing"), "1");
    assert_eq!(line("failed"), "0");
}
