//! Cached answers made from looked-up rows: a hit asks no system, brings its rows along, and uses none of them longer than its
//! lookup lets it be used.

use std::{sync::Arc, time::Duration};

use tendon_engine::{
    ask::{Answer, Item},
    replay::replay_recalled,
    stored,
};
use tendon_kernel::{
    Value,
    decision::{LookupState, Outcome},
};
use tendon_platform::MemoryCache;

use super::{Shop, about, notes, shop, usual};
use crate::common::{ask, json};

use LookupState::{Failed, Fresh, Missing, Stale};

const SECOND: Duration = Duration::from_secs(1);
const RECALLED: Option<&str> = Some("recalled");

/// A shop that keeps its answers.
pub(super) fn keeping(seed: u64, integration: &str, cache: &str) -> Shop {
    let shop = shop(seed, &format!("{integration}cache: {cache}\n"));
    shop.engine.keep_answers_in(Arc::new(MemoryCache::new(&shop.sim.context(), 1 << 20)));
    shop
}

fn caching(customer: &str, region: &str, cache: &str) -> Shop {
    keeping(1, &usual(customer, region), cache)
}

fn ask_about(shop: &Shop, item: Item) -> Answer {
    shop.decide(ask(vec![item])).remove(0).unwrap()
}

fn is_hit(answer: &Answer) -> bool {
    answer.decision.recalled.is_some()
}

fn credit(shop: &Shop, no: i64, credit: f64) {
    shop.books.edit("customers", [("no", Value::Int(no)), ("credit", Value::Float(credit))]);
}

#[test]
fn a_hit_asks_no_system_and_brings_its_rows_along() {
    let explained =
        format!("{}explain: has(region.risk) && region.risk > 100\n", usual(", fresh: 10s", ", fresh: 30s"));
    let shop = keeping(1, &explained, "{ key: [n], ttl: 1m }");
    let first = shop.one("3");
    let calls = shop.books.calls();
    credit(&shop, 3, 9000.0);
    shop.wait(4 * SECOND);
    let hit = shop.one("3");
    assert_eq!((shop.books.calls(), shop.scored()), (calls, 1));
    assert_eq!(hit.decision.recalled.as_ref().unwrap().from, first.decision.id);
    assert_eq!(hit.decision.output, first.decision.output);
    assert_eq!(notes(&first), [("customer", Fresh, None), ("region", Fresh, None)]);
    assert_eq!(notes(&hit), [("customer", Fresh, RECALLED), ("region", Fresh, RECALLED)]);
    assert!(
        hit.decision.lookups.iter().all(|note| note.age_ms.unwrap() >= 4000),
        "as old as the row, not as the answer"
    );
    assert_eq!(shop.recorded()["customer"].get("credit"), Value::Float(3000.0), "its entry holds the rows");
    assert!(hit.decision.explanation.is_some() && first.decision.explanation.is_some(), "the condition sees them");
    shop.wait(7 * SECOND);
    let after = shop.one("3");
    assert!(!is_hit(&after), "a row may be used for ten seconds");
    assert_ne!(after.decision.output, first.decision.output);
    shop.replays();
}

#[test]
fn an_answer_lives_from_when_its_rows_were_read() {
    let shop = caching(", fresh: 10s", ", fresh: 1h", "{ key: [n], ttl: 1m }");
    shop.one("3");
    shop.wait(8 * SECOND);
    let calls = shop.books.calls();
    let second = ask_about(&shop, about(2, "3"));
    assert_eq!((shop.books.calls(), is_hit(&second)), (calls, false), "computed, from rows of before");
    shop.wait(SECOND);
    assert!(is_hit(&ask_about(&shop, about(2, "3"))));
    shop.wait(2 * SECOND);
    assert!(!is_hit(&ask_about(&shop, about(2, "3"))), "three seconds old, but its row is eleven");
    assert_eq!(shop.books.calls(), calls + 1);
    // The other bound: the answer's own age.
    let shop = caching(", fresh: 1h", ", fresh: 1h", "{ key: [n], ttl: 5s }");
    shop.one("3");
    shop.wait(6 * SECOND);
    let again = shop.one("3");
    assert!(!is_hit(&again));
    assert!(again.decision.lookups[0].age_ms.is_some(), "the rows may be used for an hour");
    shop.wait(4 * SECOND);
    assert!(is_hit(&shop.one("3")));
    shop.replays();
}

#[test]
fn what_was_made_without_a_row_that_was_read_is_not_kept() {
    let shop = caching(", fresh: 5s, stale: 60s", ", fresh: 1h", "{ key: [n], ttl: 1m }");
    shop.one("3");
    shop.wait(6 * SECOND);
    shop.books.down_for(Duration::from_secs(3600));
    for (no, state) in [("3", Stale), ("4", Failed)] {
        for _ in 0..2 {
            let without = ask_about(&shop, about(2, no));
            assert_eq!((without.decision.outcome, is_hit(&without)), (Outcome::Ok, false), "{no}");
            assert_eq!(without.decision.lookups[0].state, state, "{no}");
        }
    }
    shop.books.up();
    shop.wait(60 * SECOND);
    assert!(!is_hit(&ask_about(&shop, about(2, "3"))));
    assert!(is_hit(&ask_about(&shop, about(2, "3"))));
    shop.replays();
}

#[test]
fn that_there_is_no_row_is_believed_while_a_row_would_be_fresh_and_never_stale() {
    let shop = caching(", fresh: 5s, stale: 1m", ", fresh: 1h", "{ key: [n], ttl: 1m, stale: 1m }");
    shop.one("77");
    let hit = shop.one("77");
    assert!(is_hit(&hit));
    assert_eq!(notes(&hit), [("customer", Missing, RECALLED), ("region", Missing, RECALLED)]);
    shop.wait(6 * SECOND);
    credit(&shop, 77, 2000.0);
    let found = shop.one("77");
    assert_eq!(
        (is_hit(&found), found.decision.lookups[0].state),
        (false, Failed),
        "a row without its region is no row"
    );
    shop.replays();
}

#[test]
fn a_stale_answer_has_no_row_older_than_its_lookup_lets_it_be() {
    let shop = caching(", fresh: 5s, stale: 20s", ", fresh: 1h", "{ key: [n], ttl: 1m, stale: 1m }");
    let first = shop.one("3");
    credit(&shop, 3, 9000.0);
    shop.wait(6 * SECOND);
    let calls = shop.books.calls();
    let stale = shop.one("3");
    let recalled = stale.decision.recalled.clone().unwrap();
    assert!(recalled.stale && recalled.from == first.decision.id, "{recalled:?}");
    assert_eq!(notes(&stale), [("customer", Stale, RECALLED), ("region", Fresh, RECALLED)]);
    shop.wait(SECOND);
    assert_eq!(shop.books.calls(), calls + 1, "renewed behind it: the customer is read again, the region is fresh");
    let renewal = shop.ledger.decisions().into_iter().find(|entry| &*entry.facts.caller == "cache:renew").unwrap();
    let again = shop.one("3");
    let recalled = again.decision.recalled.clone().unwrap();
    assert!(!recalled.stale && recalled.from == renewal.facts.id, "{recalled:?}");
    assert_ne!(again.decision.output, first.decision.output);
    shop.books.down_for(Duration::from_secs(3600));
    shop.wait(6 * SECOND);
    assert!(
        shop.one("3").decision.recalled.as_ref().unwrap().stale,
        "without the system, as long as the row may be used"
    );
    shop.wait(20 * SECOND);
    let late = shop.one("3");
    assert_eq!((is_hit(&late), late.decision.lookups[0].state), (false, Failed));
    shop.replays();
}

#[test]
fn another_key_of_a_lookup_is_another_question() {
    let shop = caching(", fresh: 1m", ", fresh: 1m", "{ key: [n], ttl: 1m }");
    let (three, four) = (shop.one("3"), shop.one("4"));
    assert!(!is_hit(&four) && three.decision.output != four.decision.output);
    assert!(is_hit(&shop.one("3")) && is_hit(&shop.one("4")));
    let digest = |shop: &Shop| shop.engine.runtime().plan().digest.clone();
    let other = caching(", fresh: 1m, missing: reject", ", fresh: 1m", "{ key: [n], ttl: 1m }");
    assert_ne!(
        digest(&shop),
        digest(&other),
        "a lookup that is declared otherwise is another plan, with other answers"
    );
    shop.replays();
}

#[test]
fn a_rule_over_looked_up_fields_judges_each_question_by_its_own_input() {
    let integration =
        usual(", fresh: 1m", ", fresh: 1m").replace("no: { type: int } }", "no: { type: int }, loud: { type: bool } }");
    let rule = "input.loud == true && has(region.risk) && region.risk > 100";
    let rule = format!("  quality: {{ reject: [ {{ when: '{rule}', reason: too loud }} ] }}\n");
    let shop = keeping(1, &format!("{integration}{rule}"), "{ key: [n], ttl: 1m }");
    shop.one("3");
    let calls = shop.books.calls();
    let loud = ask_about(&shop, json(r#"{"n": 1, "no": 3, "loud": true}"#));
    assert_eq!((loud.decision.outcome, loud.decision.output, is_hit(&loud)), (Outcome::Rejected, None, false));
    assert_eq!(loud.decision.error.as_ref().unwrap().message, "too loud");
    assert_eq!(notes(&loud)[0], ("customer", Fresh, RECALLED));
    assert!(is_hit(&shop.one("3")));
    assert_eq!((shop.books.calls(), shop.scored()), (calls, 1));
    shop.replays();
}

#[test]
fn of_many_at_once_one_asks_and_where_a_system_failed_each_asks() {
    let shop = caching(", fresh: 1m", ", fresh: 1m", "{ key: [n], ttl: 1m }");
    let answers = shop.decide(ask((0..5).map(|_| about(1, "3")).collect()));
    assert_eq!((shop.books.calls() - 1, shop.scored()), (2, 1));
    assert_eq!(answers.iter().filter(|answer| is_hit(answer.as_ref().unwrap())).count(), 4);
    shop.books.down_for(SECOND);
    let answers = shop.decide(ask((0..5).map(|_| about(2, "5")).collect()));
    assert!(answers.iter().all(|answer| !is_hit(answer.as_ref().unwrap())), "nobody takes over another's misfortune");
    shop.replays();
}

#[test]
fn what_is_computed_ahead_spares_the_systems_too() {
    let shop = caching(", fresh: 10s", ", fresh: 10s", "{ key: [n], ttl: 1m }");
    let ahead = || {
        let engine = Arc::clone(&shop.engine);
        let inputs = (0..4).map(|n| vec![Value::Int(n), Value::Int(3)]).collect();
        shop.sim.run(async move { engine.precompute("lead-score", inputs).await }).done().unwrap()
    };
    assert_eq!((ahead(), shop.books.calls() - 1, ahead()), (4, 2, 0), "one read of each for all, and once");
    let answer = shop.one("3");
    assert!(is_hit(&answer));
    assert_eq!(shop.books.calls() - 1, 2);
    shop.wait(11 * SECOND);
    assert_eq!(ahead(), 4, "once the rows are too old, all of it again");
    shop.replays();
}

#[test]
fn a_hit_with_other_rows_than_its_sources_does_not_replay() {
    let shop = caching(", fresh: 1m", ", fresh: 1m", "{ key: [n], ttl: 1m }");
    let (first, second) = (shop.one("3"), shop.one("3"));
    let entries = shop.ledger.decisions();
    let of = |answer: &Answer| entries.iter().find(|entry| entry.facts.id == answer.decision.id).unwrap().clone();
    let (source, hit, runtime) = (of(&first), of(&second), shop.engine.runtime());
    assert!(replay_recalled(&hit, &source, &runtime).unwrap().same);
    let mut forged = hit.clone();
    let body = forged.body.as_mut().unwrap();
    let text = String::from_utf8(body.input.clone()).unwrap();
    assert!(text.contains("3000.0"), "{text}");
    body.input = text.replace("\"credit\":3000.0", "\"credit\":3001.0").into_bytes();
    let report = replay_recalled(&forged, &source, &runtime).unwrap();
    let what: Vec<_> = report.differences.iter().map(|one| one.what.as_str()).collect();
    assert_eq!(what, ["source: looked-up rows"]);
    assert!(!report.differences[0].recorded.contains("3001"), "what differs is personal");
    assert!(stored::decision(&hit).unwrap().recalled.is_some());
}
