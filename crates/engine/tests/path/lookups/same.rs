//! A batch of n looks up what n batches of one look up, whatever the policies are and whatever is down; and each decision
//! comes out again from its record.

use std::time::Duration;

use proptest::prelude::*;
use tendon_engine::{ask::Answer, record_format::Snapshot};
use tendon_kernel::{Result, decision::Decision, sockets::ledger::Entry};

use super::{Shop, about, shop, usual};
use crate::common::ask;

fn policy() -> impl Strategy<Value = &'static str> {
    prop_oneof![Just("continue"), Just("fallback"), Just("reject"), Just("quarantine")]
}

/// Settings of one lookup.
fn settings(defaults: &'static str) -> impl Strategy<Value = String> {
    (policy(), policy(), any::<bool>(), any::<bool>()).prop_map(move |(missing, failed, fresh, filled)| {
        let fresh = if fresh { ", fresh: 1h" } else { "" };
        let filled = if filled { defaults } else { "" };
        format!(", missing: {missing}, failed: {failed}{fresh}{filled}")
    })
}

fn essence(answer: &Result<Answer>) -> String {
    let answer = answer.as_ref().unwrap();
    let Decision { outcome, output, band, degraded, repaired, error, lookups, .. } = &*answer.decision;
    let lookups: Vec<_> = lookups.iter().map(|note| (&note.name, note.state, &note.why)).collect();
    format!("{outcome:?} {:?} {band:?} {degraded:?} {repaired:?} {error:?} {lookups:?}", output.map(f64::to_bits))
}

fn recorded(entry: &Entry) -> String {
    let snapshot = Snapshot::parse(&entry.body.as_ref().unwrap().input).unwrap();
    let rows: Vec<_> = snapshot
        .lookups
        .iter()
        .map(|found| (&found.name, found.state, found.row.as_ref().map(|row| &row.values)))
        .collect();
    let bits: Vec<_> = snapshot.features.iter().map(|feature| feature.to_bits()).collect();
    format!("{} {} {rows:?} {bits:?}", entry.facts.reason, entry.facts.route)
}

fn world(integration: &str, down: bool) -> Shop {
    let shop = shop(7, integration);
    if down {
        shop.books.down_for(Duration::from_secs(86_400));
    }
    shop
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_batch_of_n_is_n_batches_of_one(
        customer in settings(", defaults: { credit: 3.5, segment: admin, region: south }"),
        region in settings(", defaults: { risk: 11 }"),
        rule in any::<bool>(),
        down in prop::bool::weighted(0.3),
        keys in prop::collection::vec(prop_oneof![4 => (0..12i64).prop_map(|no| no.to_string()), 1 => Just("null".to_owned())], 1..12),
    ) {
        let mut integration = usual(&customer, &region);
        if rule {
            let when = "has(region.risk) && region.risk == 11 && has(customer.segment)";
            integration.push_str(&format!("  quality: {{ quarantine: [ {{ when: '{when}', reason: eleven }} ] }}\n"));
        }
        let items: Vec<_> = keys.iter().zip(0..).map(|(no, n)| about(n, no)).collect();
        let whole = world(&integration, down);
        let together = whole.decide(ask(items.clone()));
        let single = world(&integration, down);
        let alone: Vec<_> = items.into_iter().flat_map(|item| single.decide(ask(vec![item]))).collect();
        let essences = |answers: &[Result<Answer>]| answers.iter().map(essence).collect::<Vec<_>>();
        // Of a system that fails again and again the breaker speaks, in time: which failure it was is not promised.
        let same = |text: Vec<String>| text.into_iter().map(|text| text.replace("circuit_open", "system_down")).collect::<Vec<_>>();
        prop_assert_eq!(same(essences(&together)), same(essences(&alone)));
        let records = |shop: &Shop| shop.ledger.decisions().iter().map(recorded).collect::<Vec<_>>();
        prop_assert_eq!(records(&whole), records(&single));
        whole.replays();
        single.replays();
    }
}
