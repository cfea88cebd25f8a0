//! Error budgets held against the plain list of what happened: counted by the metrics, kept in slots and added up again, they must
//! come out as if somebody had gone through the list by hand.

use std::{sync::Arc, time::Duration};

use proptest::prelude::*;
use tendon_doors::{console::Slot, overview::Budget};
use tendon_kernel::{
    Timestamp,
    metrics::{Registry, SECONDS},
};
use tendon_plan::objectives::{ObjectiveKind, ObjectivePlan};

use super::{PROCESS, SECOND, STEP, first, key, parse, past, pause, rings, sample::Totals};

/// Something that was decided: when, how it ended, how long it took.
#[derive(Clone, Debug)]
struct Happened {
    at: i64,
    outcome: &'static str,
    took: f64,
}

const OUTCOMES: [&str; 6] = ["ok", "ok", "degraded", "failed", "rejected", "quarantined"];
const HOUR: i64 = 3600;

fn happened() -> impl Strategy<Value = Vec<Happened>> {
    // Bursts, and gaps of up to two days, so that all spans are left behind.
    let gap = prop_oneof![0..15_i64, 0..HOUR, 0..48 * HOUR];
    let one = (gap, 0..OUTCOMES.len(), 0.0..0.6_f64);
    prop::collection::vec(one, 0..120).prop_map(|all| {
        let mut at = 1_700_000_000;
        let mut next = |(gap, outcome, took): (i64, usize, f64)| {
            at += gap;
            Happened { at, outcome: OUTCOMES[outcome], took }
        };
        all.into_iter().map(&mut next).collect()
    })
}

/// By hand: what went wrong and of how many, of those in as many steps as the last while has.
fn by_hand(kind: ObjectiveKind, all: &[Happened], now: i64, time: i64) -> (u64, u64) {
    let step = match time / HOUR {
        0..=1 => 10,
        2..=24 => 120,
        25..=168 => 900,
        _ => 3600,
    };
    let begin = |at: i64| at - at.rem_euclid(step);
    let newest = match all.last() {
        Some(last) if begin(last.at) == begin(now) => begin(now),
        _ => begin(now) - step,
    };
    let mut found = (0, 0);
    for one in all.iter().filter(|one| begin(one.at) > newest - time) {
        let answered = ["ok", "degraded", "failed"].contains(&one.outcome);
        let (counts, wrong) = match kind {
            ObjectiveKind::Answered => (answered, one.outcome == "failed"),
            ObjectiveKind::ByModel => (answered, one.outcome != "ok"),
            ObjectiveKind::Fast(within) => (true, one.took > within.as_secs_f64()),
        };
        found.0 += u64::from(counts && wrong);
        found.1 += u64::from(counts);
    }
    found
}

fn close(found: Option<f64>, wanted: Option<f64>) -> bool {
    match (found, wanted) {
        (None, None) => true,
        (Some(found), Some(wanted)) => (found - wanted).abs() <= 1e-9 * wanted.abs().max(1.0),
        _ => false,
    }
}

proptest! {
    #[test]
    fn a_budget_is_what_the_list_says(
        all in happened(),
        later in 0..40 * 24 * HOUR,
        bound in 4..13_usize,
        kind in 0..3_usize,
        allowed in 1..500_000_u32,
        window in prop_oneof![Just(1), 2..30_i64, Just(24), Just(168), Just(720)],
    ) {
        let registry = Registry::default();
        let labels = [("integration", "a"), ("priority", "live")];
        let seconds = registry.histogram("tendon_decision_duration_seconds", "X.", &labels, SECONDS);
        let (mut rings, mut before) = (rings(), Totals::default());
        for one in &all {
            let labels = [("integration", "a"), ("outcome", one.outcome)];
            registry.counter("tendon_decisions_total", "X.", &labels).increment();
            seconds.observe(one.took);
            let totals = Totals::of(&registry.snapshot());
            let slot = totals.since(&before).remove(&Arc::<str>::from("a")).unwrap();
            before = totals;
            rings.iter_mut().for_each(|ring| ring.add(one.at, &slot));
        }
        let now = all.last().map_or(1_700_000_000, |last| last.at) + later;
        let within = Duration::from_secs_f64(SECONDS[bound]);
        let kind = [ObjectiveKind::Answered, ObjectiveKind::ByModel, ObjectiveKind::Fast(within)][kind];
        let [window, day] = [window, 24].map(|hours| Duration::from_secs(u64::try_from(hours * HOUR).unwrap()));
        let slots = [window, Duration::from_secs(3600), day].map(|time| past(&rings, now, time));
        let found = Budget::of(ObjectivePlan { kind, allowed }, window, slots.each_ref());

        let hand = |time: Duration| by_hand(kind, &all, now, i64::try_from(time.as_secs()).unwrap());
        #[expect(clippy::cast_precision_loss, reason = "a hundred of them")]
        let burnt = |(wrong, counted): (u64, u64)| {
            (counted > 0).then(|| wrong as f64 / counted as f64 / (f64::from(allowed) / 1e6))
        };
        let (wrong, counted) = hand(window);
        prop_assert_eq!((found.wrong, found.counted), (wrong, counted));
        prop_assert!(close(found.left, burnt((wrong, counted)).map(|burnt| 1.0 - burnt)), "{:?}", found);
        prop_assert!(close(found.burn_1h, burnt(hand(Duration::from_secs(3600)))), "{:?}", found);
        prop_assert!(close(found.burn_24h, burnt(hand(day))), "{:?}", found);
        prop_assert_eq!(found.spent, wrong > 0 && wrong * 1_000_000 >= counted * u64::from(allowed));
    }
}

#[test]
fn a_steady_rate_is_a_steady_figure() {
    let counted = Slot { ok: 25, watched: 10, ..Slot::default() };
    // Looks anywhere in a step, and questions at each second between them.
    for offset in 0..10 {
        let mut rings = rings();
        for look in 0..30 {
            let at = 1_700_000_000 + look * 10 + offset;
            rings.iter_mut().for_each(|ring| ring.add(at, &counted));
            for now in (at..at + 10).filter(|_| look >= 6) {
                let minute = past(&rings, now, Duration::from_secs(60));
                assert_eq!((minute.ok, minute.rate()), (150, Some(2.5)), "look at {at}, asked at {now}");
            }
        }
        // Nobody looked for a while: what there was is over.
        assert_eq!(past(&rings, 1_700_000_000 + 400, Duration::from_secs(60)).ok, 0);
    }
}

#[test]
fn each_step_has_one_look_however_late_it_wakes() {
    let mut now = Timestamp(1_700_000_007_300_000);
    let first = pause(now, SECOND);
    assert_eq!(first, Duration::from_millis(7_700), "to the middle of the next step");
    now = Timestamp(now.0 + i64::try_from(first.as_micros()).unwrap());
    let mut step = now.0.div_euclid(10_000_000);
    // Woken early by a clock that is set, late by a busy machine.
    for off in [0, -4_000, 900_000, -900_000, 4_400_000, 3, -2_000_000, 4_999_999].into_iter().cycle().take(100) {
        let wait = pause(now, STEP / 2);
        now = Timestamp(now.0 + i64::try_from(wait.as_micros()).unwrap() + off);
        step += 1;
        assert_eq!(now.0.div_euclid(10_000_000), step, "{off}");
    }
}

#[test]
fn what_is_known_begins_with_the_first_start() {
    let (mut rings, counted) = (rings(), Slot { watched: 10, ..Slot::default() });
    assert_eq!(first(&rings), None);
    // 17:32:05 of some day, and a restart a week later: the hour has forgotten the first, the week tells it to a quarter.
    let start = 1_700_000_000 / 86_400 * 86_400 + 17 * HOUR + 32 * 60 + 5;
    rings.iter_mut().for_each(|ring| ring.add(start, &counted));
    assert_eq!(first(&rings), Some(start - 5));
    rings.iter_mut().for_each(|ring| ring.add(start + 6 * 24 * HOUR, &counted));
    assert_eq!(first(&rings), Some(start - 125), "17:30");
}

#[test]
fn a_key_tells_its_level_and_series() {
    assert_eq!(parse(&key(2, "lead-score", 77)), Some((2, "lead-score")));
    assert_eq!(parse(&key(3, PROCESS, 0)), Some((3, "")));
    assert_eq!(parse(b"x"), None);
}
